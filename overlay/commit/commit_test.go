package commit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

// start opens a session over the base of the matrix.
func start(t *testing.T) *session {
	t.Helper()
	p := newPlace(t)
	plantBase(t, p.Base)
	s := p.open(t)
	t.Cleanup(s.close)
	return s
}

func (s *session) write(p, content string) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.Base, p), []byte(content), 0o644))
}

func (s *session) base(p string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Base, p))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (s *session) mustCommit(req commit.Request) commit.Result {
	s.t.Helper()
	res, err := s.commit(req)
	must(s.t, err)
	return res
}

func TestNothingToCommit(t *testing.T) {
	s := start(t)
	res := s.mustCommit(commit.Request{})
	if res.Number != 0 || len(res.Applied) != 0 {
		t.Errorf("%+v", res)
	}
	if _, err := os.Stat(filepath.Join(s.Base, ".astrid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf(".astrid: %v", err)
	}
}

func TestCommitByPath(t *testing.T) {
	s := start(t)
	s.do(join(write("file", 3), mkdir("n"), create("n/x", 1, 2), create("n/y", 1, 2), rename("a", "z"), write("z/f", 3), unlink("z/g"))...)
	for _, c := range []struct {
		paths []string
		want  string
	}{
		{[]string{"n/x"}, "A n\nA n/x\n"},
		{[]string{"z/f"}, "R z < a\nM z/f\n"},
		{[]string{"**/g"}, "D z/g\n"},
		{[]string{"nothing"}, ""},
		{[]string{"no*", "n[o]", "nothing?"}, ""},
		{[]string{"f*"}, "M file\n"},
		{[]string{"."}, "A n/y\n"},
	} {
		res := s.mustCommit(commit.Request{Paths: c.paths})
		if d := cmp.Diff(c.want, lines(res.Applied)); d != "" {
			t.Errorf("%v: %s", c.paths, d)
		}
	}
	if d := s.settled(s.view()); d != "" {
		t.Error(d)
	}
}

// TestGlobWithoutChange says so, and is no error.
func TestGlobWithoutChange(t *testing.T) {
	s := start(t)
	s.do(join(write("file", 3), rename("other", "o2"))...)
	want := []string{"no change matches a/*", `no change matches "x\ty*"`}
	req := commit.Request{Paths: []string{"a/*", "f*", "oth*", "x\ty*", "a/f"}}
	pre, err := commit.Preview(context.Background(), s.o, s.config(), req)
	must(t, err)
	res := s.mustCommit(req)
	for _, r := range []commit.Result{pre, res} {
		if d := cmp.Diff(want, r.Outside); d != "" || len(r.Applied) != 2 {
			t.Errorf("%v %s", lines(r.Applied), d)
		}
	}
	res = s.mustCommit(commit.Request{Paths: []string{"a/*"}})
	if res.Number != 0 || cmp.Diff(want[:1], res.Outside) != "" {
		t.Errorf("nothing to do: %+v", res)
	}
}

func TestNumbersGrow(t *testing.T) {
	s := start(t)
	for n := uint64(1); n <= 3; n++ {
		s.do(create("f"+string(rune('0'+n)), 1, 2)...)
		if res := s.mustCommit(commit.Request{}); res.Number != n || s.o.Folded() != n {
			t.Errorf("commit %d has number %d, folded %d", n, res.Number, s.o.Folded())
		}
	}
}

func TestDigestGuards(t *testing.T) {
	s := start(t)
	s.do(write("file", 3)...)
	pre, err := commit.Preview(context.Background(), s.o, s.config(), commit.Request{})
	must(t, err)
	s.do(write("other", 3)...)
	_, err = s.commit(commit.Request{If: pre.Digest})
	var moved *commit.DigestError
	if !errors.As(err, &moved) || moved.Want != pre.Digest || moved.Have == pre.Digest {
		t.Fatalf("a digest that moved: %v", err)
	}
	if s.base("file") != "text\n" {
		t.Error("it was applied")
	}
	pre, err = commit.Preview(context.Background(), s.o, s.config(), commit.Request{})
	must(t, err)
	res := s.mustCommit(commit.Request{If: pre.Digest})
	if d := cmp.Diff(lines(pre.Applied), lines(res.Applied)); d != "" {
		t.Errorf("preview and commit differ: %s", d)
	}
	empty, err := commit.Preview(context.Background(), s.o, s.config(), commit.Request{})
	must(t, err)
	if res.Digest != empty.Digest {
		t.Error("the digest of what remains is not that of nothing")
	}
}

func TestBusyAndPending(t *testing.T) {
	s := start(t)
	s.do(write("file", 3)...)
	fd, err := unix.Open(s.Base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	must(t, unix.Flock(fd, unix.LOCK_EX))
	if _, err := s.commit(commit.Request{}); !errors.Is(err, commit.ErrBusy) {
		t.Errorf("a locked workspace: %v", err)
	}
	unix.Close(fd)
	must(t, os.WriteFile(filepath.Join(s.Journal, "commit-9.journal"), nil, 0o600))
	if _, err := s.commit(commit.Request{}); !errors.Is(err, commit.ErrPending) {
		t.Errorf("a journal of before: %v", err)
	}
	s.recover()
	s.mustCommit(commit.Request{})
}

func TestUndoStore(t *testing.T) {
	s := start(t)
	for i := range 12 {
		s.do(write("file", int64(1+i))...)
		s.mustCommit(commit.Request{})
	}
	l, err := os.ReadDir(s.Undo)
	must(t, err)
	if len(l) != 10 {
		t.Errorf("%d sets of pre-images", len(l))
	}
	if n := s.journals(t); n != 10 {
		t.Errorf("%d journals", n)
	}
	pre := disk(t, filepath.Join(s.Undo, "12"))
	if len(pre) != 2 {
		t.Errorf("pre-images of one change: %v", pre.Paths())
	}
	cfg := s.config()
	cfg.Undo = ""
	s.do(unlink("other")...)
	_, err = commit.Commit(context.Background(), s.o, cfg, commit.Request{})
	must(t, err)
	if _, err := os.Stat(filepath.Join(s.Base, ".astrid/undo/13")); err != nil {
		t.Errorf("without a place of its own: %v", err)
	}
	if d := s.changes(); d != "" {
		t.Errorf("the store is a change: %s", d)
	}
}

func TestLinksOutside(t *testing.T) {
	s := start(t)
	out := filepath.Join(filepath.Dir(s.Base), "outside")
	must(t, os.Link(filepath.Join(s.Base, "file"), out))
	s.do(join(write("file", 3), one(ot.Op{Kind: ot.Chmod, Path: "file", Mode: 0o755}))...)
	res := s.mustCommit(commit.Request{})
	if len(res.Outside) != 1 {
		t.Errorf("notes: %q", res.Outside)
	}
	b, err := os.ReadFile(out)
	must(t, err)
	st, err := os.Stat(out)
	must(t, err)
	if string(b) != "text\n" || st.Mode().Perm() != 0o644 {
		t.Errorf("the name outside changed: %q %v", b, st.Mode())
	}
}

func TestWritersGoOn(t *testing.T) {
	s := start(t)
	s.do(join(write("file", 3), rename("a", "z"))...)
	cfg := s.config()
	var writer sync.WaitGroup
	cfg.Kill = func(point string) {
		if point == "journal: applied" {
			// It may wait for the end of the commit where it meets something
			// that was moved.
			writer.Go(func() { s.do(join(write("file", 9), create("z/later", 1, 2))...) })
		}
	}
	_, err := commit.Commit(context.Background(), s.o, cfg, commit.Request{})
	must(t, err)
	writer.Wait()
	if d := cmp.Diff("M file\nA z/later\n", s.changes()); d != "" {
		t.Error(d)
	}
	s.mustCommit(commit.Request{})
	if d := s.settled(s.view()); d != "" {
		t.Error(d)
	}
}

func TestErrorsReadWell(t *testing.T) {
	e := &commit.ConflictError{List: []commit.Conflict{{Path: "a\nb", Why: "it appeared"}}}
	if e.Error() != `conflict with the workspace, nothing was applied: "a\nb": it appeared` {
		t.Error(e)
	}
	var many []commit.Conflict
	for range 7 {
		many = append(many, commit.Conflict{Path: "x", Why: "y"})
	}
	if s := (&commit.ConflictError{List: many}).Error(); !strings.Contains(s, "7 conflicts") || !strings.Contains(s, "and 2 more") {
		t.Error(s)
	}
}

// TestNoPlaceToStage refuses, before anything is visible, where the name of the
// staging directory is taken.
func TestNoPlaceToStage(t *testing.T) {
	s := start(t)
	s.write(".astrid", "theirs")
	s.do(write("file", 3)...)
	before, view := disk(t, s.Base), s.view()
	if _, err := s.commit(commit.Request{}); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("%v", err)
	}
	if d := differ(before, disk(t, s.Base)) + differ(view, s.view()); d != "" {
		t.Error(d)
	}
	if l, _ := os.ReadDir(s.Journal); len(l) != 0 {
		t.Errorf("journals left: %v", l)
	}
}
