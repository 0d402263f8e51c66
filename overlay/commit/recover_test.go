package commit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	ot "astrid/overlay/overlaytest"
)

// mixed is one commit with steps of every sort.
func mixed() []ot.Op {
	return join(rename("a", "z"), write("z/f", 4), unlink("z/g"), create("z/new", 5, 6), rename("z/sub", "top"), mkdir("a"), create("a/f", 6, 7),
		swap("file", "other"), removeD(), link("run.sh", "a/run"), one(ot.Op{Kind: ot.Chmod, Path: "run.sh", Mode: 0o755}))
}

// TestKillRecovery kills a commit in the middle, and then the recovery at each
// of its points.
func TestKillRecovery(t *testing.T) {
	p, _, _ := prepare(t, mixed())
	points, _ := childJob{place: p}.run(t)
	for _, at := range []string{"journal: plan written", "apply: before a swap", "apply: after times", "journal: applied", "fold: recorded"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			k := 1
			for points[k-1] != at {
				k++
			}
			for r := 1; ; r++ {
				p, base, view := prepare(t, mixed())
				if _, killed := (childJob{place: p, KillAt: k}).run(t); !killed {
					t.Fatal("the commit was not killed")
				}
				_, killed := childJob{place: p, Recover: true, KillAt: r}.run(t)
				if !recovers(t, p, base, view) {
					t.Fatalf("recovery killed at its point %d", r)
				}
				if !killed {
					break
				}
			}
		})
	}
}

// pointOf is the number of the n-th point of that name.
func pointOf(t *testing.T, points []string, name string, n int) int {
	t.Helper()
	for i, p := range points {
		if p == name {
			if n--; n == 0 {
				return i + 1
			}
		}
	}
	t.Fatalf("no point %q in %q", name, points)
	return 0
}

// TestEditAfterKill changes the base after a commit was killed and before
// recovery: nothing of the edit is lost, and what it stood in the way of is named.
func TestEditAfterKill(t *testing.T) {
	ops := join(write("a/f", 3), write("file", 5), write("other", 7))
	p, _, _ := prepare(t, ops)
	points, _ := childJob{place: p}.run(t)
	t.Run("of what is not yet replaced", func(t *testing.T) {
		p, base, view := prepare(t, ops)
		childJob{place: p, KillAt: pointOf(t, points, "apply: after a swap", 1)}.run(t)
		must(t, os.WriteFile(filepath.Join(p.Base, "file"), []byte("theirs"), 0o644))
		s := p.open(t)
		defer s.close()
		if r := s.recover(); len(r.Left) == 0 || !strings.Contains(strings.Join(r.Left, " "), "file") {
			t.Errorf("%+v", r)
		}
		now := disk(t, p.Base)
		if string(now["file"].Data) != "theirs" || string(now["a/f"].Data) != string(base["a/f"].Data) {
			t.Errorf("the edit: %q; a/f: %q", now["file"].Data, now["a/f"].Data)
		}
		if d := undated(view, s.view()); d != "" {
			t.Errorf("the view changed:\n%s", d)
		}
	})
	t.Run("of what is replaced already", func(t *testing.T) {
		p, _, view := prepare(t, ops)
		childJob{place: p, KillAt: pointOf(t, points, "apply: after a swap", 1)}.run(t)
		must(t, os.WriteFile(filepath.Join(p.Base, "a/f"), []byte("later"), 0o644))
		s := p.open(t)
		defer s.close()
		if r := s.recover(); len(r.Left) != 0 {
			t.Errorf("the rest could be done: %+v", r)
		}
		now := disk(t, p.Base)
		if string(now["a/f"].Data) != "later" || string(now["file"].Data) != string(view["file"].Data) {
			t.Errorf("a/f %q, file %q", now["a/f"].Data, now["file"].Data)
		}
	})
	t.Run("of both", func(t *testing.T) {
		p, base, _ := prepare(t, ops)
		childJob{place: p, KillAt: pointOf(t, points, "apply: after a swap", 1)}.run(t)
		must(t, os.WriteFile(filepath.Join(p.Base, "a/f"), []byte("later"), 0o644))
		must(t, os.WriteFile(filepath.Join(p.Base, "file"), []byte("theirs"), 0o644))
		s := p.open(t)
		defer s.close()
		r := s.recover()
		if len(r.Left) != 2 {
			t.Fatalf("%+v", r)
		}
		now := disk(t, p.Base)
		if string(now["a/f"].Data) != "later" || string(now["file"].Data) != "theirs" {
			t.Errorf("a/f %q, file %q", now["a/f"].Data, now["file"].Data)
		}
		var other string
		for q, e := range now {
			if strings.HasPrefix(q, ".astrid/commit-1/") && string(e.Data) == string(base["a/f"].Data) {
				other = q
			}
		}
		if other == "" || !strings.Contains(strings.Join(r.Left, " "), other) {
			t.Errorf("the original of a/f is at %q; the report says %q", other, r.Left)
		}
		if l := s.changes(); !strings.Contains(l, "M other") {
			t.Errorf("what was not committed: %s", l)
		}
	})
}

// TestOrphans recovers when nothing was begun, and leaves what is another's.
func TestOrphans(t *testing.T) {
	p, base, view := prepare(t, write("file", 3))
	theirs := filepath.Join(p.Base, ".astrid/commit-5")
	must(t, os.MkdirAll(theirs, 0o700))
	s := p.open(t)
	defer s.close()
	if r := s.recover(); len(r.Actions)+len(r.Left) != 0 {
		t.Errorf("%+v", r)
	}
	_ = base
	if _, err := os.Stat(theirs); err != nil {
		t.Errorf("the staging directory of another home: %v", err)
	}
	must(t, os.Remove(theirs))
	must(t, os.Remove(filepath.Dir(theirs)))
	if d := undated(view, s.view()); d != "" {
		t.Error(d)
	}
}

// TestUser commits as somebody who is not root, in directories that nobody may
// write to, and kills that too.
func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	const nobody = 65534
	ops := join(rename("a", "d/z"), write("d/z/f", 3), unlink("d/1"), create("d/new", 1, 2), mkdir("ro"), create("ro/x", 1, 2),
		one(ot.Op{Kind: ot.Chmod, Path: "ro", Mode: 0o555}), rename("d/e", "ro/e"), one(ot.Op{Kind: ot.Chmod, Path: "run.sh", Mode: 0o755}))
	run := func(kill int) (place, ot.Image, []string) {
		p := newPlace(t)
		plantBase(t, p.Base)
		must(t, os.Chmod(filepath.Dir(filepath.Dir(p.Base)), 0o711))
		for _, dir := range []string{"a", "a/sub", "d", "d/e"} {
			must(t, os.Chmod(filepath.Join(p.Base, dir), 0o555))
		}
		must(t, filepath.WalkDir(filepath.Dir(p.Base), func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, nobody, nobody)
		}))
		base := disk(t, p.Base)
		points, killed := childJob{place: p, UID: nobody, Ops: ops, KillAt: kill}.run(t)
		if killed != (kill > 0) {
			t.Fatalf("point %d: killed %v", kill, killed)
		}
		return p, base, points
	}
	p, _, points := run(0)
	s := p.open(t)
	if d := s.settled(s.view()); d != "" {
		t.Error(d)
	}
	s.close()
	for k := 1; k <= len(points); k += stride {
		p, base, _ := run(k)
		childJob{place: p, UID: nobody, Recover: true}.run(t)
		s := p.open(t)
		if before, after := differ(base, disk(t, p.Base)), s.settled(s.view()); before != "" && after != "" {
			t.Errorf("killed at point %d, %s: the base is neither as before:\n%s\nnor as after:\n%s", k, points[k-1], before, after)
		}
		s.close()
	}
}
