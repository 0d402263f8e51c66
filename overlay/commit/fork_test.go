package commit_test

import (
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"astrid/overlay"
	"astrid/overlay/check"
	"astrid/overlay/commit"
)

// fork makes a fork of the view, or of a checkpoint, with places of its own for all
// but the base.
func (s *session) fork(t TB, name, checkpoint string) place {
	t.Helper()
	p := s.place
	top := filepath.Join(filepath.Dir(s.Base), name)
	p.Dir, p.Journal, p.Undo = filepath.Join(top, "session"), filepath.Join(top, "journal"), filepath.Join(top, "undo")
	for _, d := range []string{top, p.Journal, p.Undo} {
		must(t, os.Mkdir(d, 0o700))
	}
	must(t, s.o.Fork(p.Dir, checkpoint))
	check.Killed(t, p.Dir)
	return p
}

// TestForkRandom forks a view and goes on in both: neither sees the other, and the one
// that commits first wins.
func TestForkRandom(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := newPlace(t)
		defer os.RemoveAll(filepath.Dir(p.Base)) // what is reserved for logs adds up
		plantRandom(r, p.Base, false)
		s := p.open(r)
		defer s.close()
		s.scramble(r, false)
		want := s.view()
		from := ""
		if rapid.Bool().Draw(r, "of a checkpoint") {
			from = "here"
			s.remember(from)
			s.scramble(r, false)
			if rapid.Bool().Draw(r, "after a commit") {
				_, err := s.commit(commit.Request{})
				must(r, err)
			}
		}
		f := s.fork(r, "fork", from).open(r)
		defer f.close()
		if d := undated(want, f.view()); d != "" {
			r.Fatalf("the fork does not begin as it should:\n%s\nchanges\n%s\nof the view\n%s", d, f.changes(), s.changes())
		}
		mine := s.view()
		f.scramble(r, false)
		theirs := f.view()
		if d := undated(mine, s.view()); d != "" {
			r.Fatalf("the fork changed the view:\n%s", d)
		}
		s.scramble(r, false)
		if d := undated(theirs, f.view()); d != "" {
			r.Fatalf("the view changed the fork:\n%s", d)
		}
		if d := f.forgotten(remembered{overlay.Forked: want}); d != "" {
			r.Fatal(d)
		}
		changes := f.changes()
		if _, err := f.commit(commit.Request{}); err != nil && from == "" {
			r.Fatalf("the first of two to commit is refused: %v\nof\n%s", err, changes)
		} else if err == nil {
			if d := f.settled(f.viewOfChanges()); d != "" {
				r.Fatalf("%s\nafter a commit of\n%s", d, changes)
			}
		}
	})
}
