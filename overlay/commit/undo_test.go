package commit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

func (s *session) undo(req commit.UndoRequest) (commit.UndoResult, error) {
	return commit.Undo(context.Background(), s.o, s.config(), req)
}

// back undoes or redoes, and tells what is wrong then: the base must be as want,
// and the view as the base.
func (s *session) back(redo bool, want ot.Image) string {
	s.t.Helper()
	res, err := s.undo(commit.UndoRequest{Redo: redo})
	if err != nil {
		return "refused: " + err.Error()
	}
	if len(res.Changed) == 0 {
		return "nothing is said to be changed"
	}
	return s.as(want)
}

func (s *session) as(want ot.Image) string {
	s.t.Helper()
	var out []string
	if d := differ(want, disk(s.t, s.Base)); d != "" {
		out = append(out, "the base is not as it should be:\n"+d)
	}
	if d := undated(want, s.viewOfChanges()); d != "" {
		out = append(out, "the view is not as the base should be:\n"+d)
	}
	if l := s.changes(); l != "" {
		out = append(out, "there are changes:\n"+l)
	}
	return strings.Join(out, "\n")
}

// TestUndo undoes and redoes each kind of change, and both again.
func TestUndo(t *testing.T) {
	for name, ops := range kinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, base, view := prepare(t, ops)
			s := p.open(t)
			defer s.close()
			if _, err := s.commit(commit.Request{Git: commit.GitYes}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if d := s.back(false, base); d != "" {
					t.Fatalf("undo: %s", d)
				}
				if d := s.back(true, view); d != "" {
					t.Fatalf("redo: %s", d)
				}
			}
			if _, err := s.undo(commit.UndoRequest{Redo: true}); !errors.Is(err, commit.ErrNothing) {
				t.Errorf("a redo of nothing: %v", err)
			}
		})
	}
}

// TestUndoKillMatrix kills an undo, and a redo, at each of its points, and
// recovers: the base is as before or as after, and the rest of the way is open.
func TestUndoKillMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	for name, ops := range kinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, redo := range []bool{false, true} {
				job, _, _ := undoneCase(t, ops, redo)
				points, killed := job.run(t)
				if killed {
					t.Fatal("it was killed")
				}
				for k := 1 + len(name)%(2*stride); k <= len(points); k += 2 * stride { // the steps are a commit's
					if !undoKilledAt(t, ops, redo, k) {
						t.Fatalf("redo %v, point %d, %s", redo, k, points[k-1])
					}
				}
			}
		})
	}
}

// undoneCase is a place with a commit that a child is to undo, or to redo, and
// what the base is before that and after.
func undoneCase(t testing.TB, ops []ot.Op, redo bool) (job childJob, before, after ot.Image) {
	t.Helper()
	p, base, view := prepare(t, ops)
	s := p.open(t)
	defer s.close()
	if _, err := s.commit(commit.Request{Git: commit.GitYes}); err != nil {
		t.Fatal(err)
	}
	job = childJob{place: p, Back: true, Redo: redo}
	if !redo {
		return job, view, base
	}
	if _, err := s.undo(commit.UndoRequest{}); err != nil {
		t.Fatal(err)
	}
	return job, base, view
}

func undoKilledAt(t testing.TB, ops []ot.Op, redo bool, k int) bool {
	t.Helper()
	job, before, after := undoneCase(t, ops, redo)
	job.KillAt = k
	if _, killed := job.run(t); !killed {
		t.Errorf("it ended before its point %d", k)
		return false
	}
	s := job.place.open(t)
	defer s.close()
	report := s.recover()
	if len(report.Left) > 0 {
		t.Errorf("left: %s", strings.Join(report.Left, "\n"))
		return false
	}
	now := disk(t, job.Base)
	undone := differ(after, now) == ""
	if d := differ(before, now); d != "" && !undone {
		t.Errorf("the base is neither as before:\n%s\nnor as after:\n%s\nrecovery: %q", d, differ(after, now), report.Actions)
		return false
	}
	if !undone {
		if d := s.back(redo, after); d != "" {
			t.Errorf("again: %s\nrecovery: %q", d, report.Actions)
			return false
		}
	}
	if d := s.back(!redo, before); d != "" {
		t.Errorf("the other way: %s\nrecovery: %q", d, report.Actions)
		return false
	}
	base, view := after, before
	if redo {
		base, view = before, after
	}
	if d := s.recalls(base, view); d != "" {
		t.Errorf("%s\nrecovery: %q", d, report.Actions)
		return false
	}
	return true
}

// TestUndoRandom commits random changes in parts, undoes all of it, redoes it.
func TestUndoRandom(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := newPlace(t)
		links := rapid.Bool().Draw(r, "links")
		plantRandom(r, p.Base, links)
		s := p.open(r)
		defer s.close()
		states := []ot.Image{disk(r, p.Base)}
		for range rapid.IntRange(1, 4).Draw(r, "rounds") {
			s.scramble(r, links)
			if rapid.Bool().Draw(r, "a part") {
				res, err := s.commit(commit.Request{Paths: []string{drawPath(r, "commit")}})
				if err != nil {
					r.Fatal(err)
				}
				if res.Number > 0 {
					r.Logf("commit %d\n%s", res.Number, lines(res.Applied))
					states = append(states, disk(r, p.Base))
				}
			}
			changes := s.changes()
			res, err := s.commit(commit.Request{})
			if err != nil {
				r.Fatal(err)
			}
			if res.Number > 0 {
				r.Logf("commit %d of\n%s\nwas\n%s", res.Number, lines(res.Applied), changes)
				states = append(states, disk(r, p.Base))
			}
		}
		if len(states) > 10 {
			return // more than are kept
		}
		at := len(states) - 1
		for range rapid.IntRange(1, 2).Draw(r, "times") {
			for ; at > 0; at-- {
				if d := s.back(false, states[at-1]); d != "" {
					r.Fatalf("undo to %d: %s", at-1, d)
				}
			}
			for ; at < len(states)-1; at++ {
				if d := s.back(true, states[at+1]); d != "" {
					r.Fatalf("redo to %d: %s", at+1, d)
				}
			}
		}
	})
}

// TestUndoLosesNoEdit undoes while somebody has changed the workspace: it does,
// or refuses and touches nothing; what they wrote is there in either case.
func TestUndoLosesNoEdit(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := newPlace(t)
		plantRandom(r, p.Base, true)
		s := p.open(r)
		defer s.close()
		s.scramble(r, true)
		changes := s.changes()
		if res, err := s.commit(commit.Request{}); err != nil {
			r.Fatal(err)
		} else if res.Number == 0 {
			return
		}
		editBase(r, p.Base, true)
		base := disk(r, p.Base)
		_, err := s.undo(commit.UndoRequest{})
		var conflict *commit.ConflictError
		switch {
		case errors.As(err, &conflict):
			if d := differ(base, disk(r, p.Base)); d != "" {
				r.Fatalf("a refused undo changed the base:\n%s\n%v", d, err)
			}
		case err != nil:
			r.Fatalf("undo: %v\nof\n%s", err, changes)
		default:
			if before, after := theirs(base), theirs(disk(r, p.Base)); after < before {
				r.Fatalf("%d files of theirs, and %d after an undo of\n%s", before, after, changes)
			}
		}
		if l, _ := os.ReadDir(filepath.Join(p.Base, ".astrid")); len(l) > 0 {
			r.Fatalf("left in .astrid: %v", l)
		}
	})
}

// TestUndoKeepsNumbers has a file open over an undo and a redo: it is the same
// file, with the bytes of now.
func TestUndoKeepsNumbers(t *testing.T) {
	s := start(t)
	before := s.view()
	s.do(join(write("file", 9), rename("a", "z"), write("z/f", 70_000))...)
	s.mustCommit(commit.Request{})
	after := s.view()
	for range 2 {
		if d := s.back(false, before); d != "" {
			t.Fatal(d)
		}
		if d := renumbered(before, s.view()); d != "" {
			t.Error(d)
		}
		if d := s.back(true, after); d != "" {
			t.Fatal(d)
		}
		if d := renumbered(after, s.view()); d != "" {
			t.Error(d)
		}
	}
}
