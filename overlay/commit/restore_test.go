package commit_test

import (
	"testing"

	"astrid/overlay"
	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

// TestRollbackOfWhatWasCommitted goes to and fro over a commit with the same objects
// open, in the view and in a checkpoint.
func TestRollbackOfWhatWasCommitted(t *testing.T) {
	s := start(t)
	s.do(write("a/f", 9)...)
	_, err := s.o.Checkpoint(overlay.Checkpoint{Name: "first"})
	must(t, err)
	past, release, err := s.o.Past("first")
	must(t, err)
	defer release()
	c := ot.NewClient(past)
	defer c.Close()
	first := string(s.view()["a/f"].Data)
	shows := func(what, want string) {
		t.Helper()
		m, err := c.Image()
		must(t, err)
		if have := string(m["a/f"].Data); have != first {
			t.Errorf("%s: the checkpoint shows %q, not %q", what, have, first)
		}
		if have := string(s.view()["a/f"].Data); have != want {
			t.Errorf("%s: the view shows %q, not %q", what, have, want)
		}
	}
	s.do(ot.Op{Kind: ot.Write, Path: "a/f", Seed: 99, Len: 5})
	second := string(s.view()["a/f"].Data)
	shows("changed", second)
	s.mustCommit(commit.Request{})
	shows("committed", second)
	_, err = s.undo(commit.UndoRequest{})
	must(t, err)
	shows("undone", "one\n")
	_, err = s.undo(commit.UndoRequest{Redo: true})
	must(t, err)
	shows("redone", second)
	kept, err := s.o.Rollback("first", overlay.Checkpoint{})
	must(t, err)
	shows("rolled back", first)
	_, err = s.o.Rollback(kept.Name, overlay.Checkpoint{})
	must(t, err)
	shows("and back", second)
	_, err = s.o.Restore("first", []string{"a"}, overlay.Checkpoint{})
	must(t, err)
	shows("restored", first)
}
