package commit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	ot "astrid/overlay/overlaytest"
)

// plantBase makes the base that every case of the matrix begins with.
func plantBase(t testing.TB, dir string) {
	t.Helper()
	for name, content := range map[string]string{
		"a/f": "one\n", "a/g": "two\n", "a/sub/x": "x\n", "d/1": "1", "d/2": "2", "d/e/3": "3",
		"file": "text\n", "other": "o", "run.sh": "#!/bin/sh\n", "h1": "linked\n", ".git/HEAD": "ref: x\n", ".git/refs/x": "0\n",
	} {
		p := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, []byte(content), 0o644))
	}
	must(t, os.Symlink("file", filepath.Join(dir, "link")))
	must(t, os.Link(filepath.Join(dir, "h1"), filepath.Join(dir, "h2")))
	must(t, unix.Setxattr(filepath.Join(dir, "other"), "user.x", []byte("1"), 0))
	old := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
	for _, p := range []string{"a", "a/f", "a/sub", "d", "d/e", "file", ""} {
		must(t, os.Chtimes(filepath.Join(dir, p), old, old))
	}
}

func create(p string, seed uint64, n int64) []ot.Op {
	return []ot.Op{
		{Kind: ot.Create, Path: p, Mode: 0o644},
		{Kind: ot.Write, Path: p, Seed: seed, Len: n},
	}
}

func join(l ...[]ot.Op) (out []ot.Op) {
	for _, x := range l {
		out = append(out, x...)
	}
	return out
}

func one(op ot.Op) []ot.Op            { return []ot.Op{op} }
func mkdir(p string) []ot.Op          { return one(ot.Op{Kind: ot.Mkdir, Path: p, Mode: 0o755}) }
func unlink(p string) []ot.Op         { return one(ot.Op{Kind: ot.Unlink, Path: p}) }
func rmdir(p string) []ot.Op          { return one(ot.Op{Kind: ot.Rmdir, Path: p}) }
func rename(from, to string) []ot.Op  { return one(ot.Op{Kind: ot.Rename, Path: from, To: to}) }
func link(from, to string) []ot.Op    { return one(ot.Op{Kind: ot.Link, Path: from, To: to}) }
func write(p string, n int64) []ot.Op { return one(ot.Op{Kind: ot.Write, Path: p, Seed: 7, Len: n}) }
func swap(a, b string) []ot.Op        { return one(ot.Op{Kind: ot.Rename, Path: a, To: b, Flags: 2}) }
func removeD() []ot.Op {
	return join(unlink("d/1"), unlink("d/2"), unlink("d/e/3"), rmdir("d/e"), rmdir("d"))
}

// kinds are the kinds of changes of the matrix.
func kinds() map[string][]ot.Op {
	return map[string][]ot.Op{
		"add":              create("new", 1, 100),
		"add tree":         join(mkdir("n"), mkdir("n/m"), create("n/m/f", 2, 10), create("n/g", 3, 0)),
		"modify":           write("file", 9),
		"modify and add":   join(write("a/f", 3), create("a/n", 4, 5), write("other", 2)),
		"delete":           unlink("a/f"),
		"delete tree":      removeD(),
		"rename file":      rename("file", "a/moved"),
		"rename and write": join(rename("file", "a/moved"), write("a/moved", 70000)),
		"rename dir":       rename("a", "z"),
		"rename dir and change": join(rename("a", "z"), write("z/f", 4), unlink("z/g"), create("z/new", 5, 6),
			rename("z/sub", "top"), mkdir("a"), create("a/f", 6, 7)),
		"swap files":     swap("file", "other"),
		"swap dirs":      swap("a", "d"),
		"cycle":          join(rename("file", "t"), rename("other", "file"), rename("run.sh", "other"), rename("t", "run.sh")),
		"file to dir":    join(unlink("file"), mkdir("file"), create("file/in", 8, 9)),
		"dir to file":    join(removeD(), create("d", 9, 10)),
		"dir over dir":   join(removeD(), rename("a", "d")),
		"dir made anew":  join(removeD(), mkdir("d"), create("d/1", 10, 11), create("d/9", 11, 12)),
		"child up":       join(rename("a/sub", "t"), unlink("a/f"), unlink("a/g"), rmdir("a"), rename("t", "a")),
		"parent to kid":  join(mkdir("n"), rename("a", "n/a"), rename("d", "n/a/d")),
		"symlink":        join(unlink("link"), one(ot.Op{Kind: ot.Symlink, Path: "link", Target: "other"}), one(ot.Op{Kind: ot.Symlink, Path: "l2", Target: "a/f"})),
		"chmod":          join(one(ot.Op{Kind: ot.Chmod, Path: "run.sh", Mode: 0o755}), one(ot.Op{Kind: ot.Chmod, Path: "a", Mode: 0o700}), one(ot.Op{Kind: ot.Chmod, Path: "", Mode: 0o711})),
		"times":          one(ot.Op{Kind: ot.Utimes, Path: "file", Atime: 1e18, Mtime: 1e18 + 5}),
		"xattr":          join(one(ot.Op{Kind: ot.Setxattr, Path: "file", Name: "user.a", Value: []byte("v")}), one(ot.Op{Kind: ot.Rmxattr, Path: "other", Name: "user.x"})),
		"rename + chmod": join(rename("file", "f2"), one(ot.Op{Kind: ot.Chmod, Path: "f2", Mode: 0o600})),
		"link to base":   join(link("file", "hard"), link("file", "a/hard")),
		"link over":      join(unlink("other"), link("file", "other")),
		"linked write":   write("h1", 7),
		"linked chmod":   one(ot.Op{Kind: ot.Chmod, Path: "h1", Mode: 0o600}),
		"linked rename":  join(rename("h1", "a/h"), write("a/h", 5)),
		"new links":      join(create("n1", 12, 13), link("n1", "n2"), mkdir("n"), link("n1", "n/3")),
		"large":          create("large", 13, 3<<20),
		"fifo":           one(ot.Op{Kind: ot.Mknod, Path: "p", Mode: unix.S_IFIFO | 0o600}),
		"odd names":      join(create("new\nline\xff%", 14, 15), rename("file", "\x01 \"q\"")),
		"git":            join(write(".git/HEAD", 6), create(".git/objects", 15, 3), write("file", 1)),
	}
}

// TestKillMatrix kills a commit at each of its points, for each kind of change,
// and recovers: the base is exactly as before or exactly as the view, and the
// view has not changed.
func TestKillMatrix(t *testing.T) {
	for name, ops := range kinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for the disk most of the time
			points := whole(t, ops)
			if testing.Short() {
				return
			}
			for k := 1 + len(name)%stride; k <= len(points); k += stride {
				if !killAt(t, ops, k, points[k-1]) {
					t.Fatalf("point %d, %s", k, points[k-1])
				}
			}
		})
	}
}

// prepare makes a base and a session with changes, and returns what both look like.
// There are checkpoints of either.
func prepare(t testing.TB, ops []ot.Op) (p place, base, view ot.Image) {
	t.Helper()
	p = newPlace(t)
	plantBase(t, p.Base)
	base = disk(t, p.Base)
	s := p.open(t)
	s.remember("begin")
	s.do(ops...)
	s.remember("end")
	view = s.view()
	s.close()
	return p, base, view
}

func (s *session) remember(name string) {
	s.t.Helper()
	_, err := s.o.Checkpoint(overlay.Checkpoint{Name: name})
	must(s.t, err)
}

// recalls tells what is wrong with the checkpoints of prepare.
func (s *session) recalls(base, view ot.Image) string {
	s.t.Helper()
	return s.forgotten(remembered{"begin": base, "end": view})
}

// whole runs a commit to its end and returns its points.
func whole(t testing.TB, ops []ot.Op) []string {
	t.Helper()
	p, base, view := prepare(t, ops)
	points, killed := childJob{place: p}.run(t)
	if killed {
		t.Fatal("it was killed")
	}
	if d := differ(view, disk(t, p.Base)); d != "" {
		t.Fatalf("the base is not as the view was:\n%s", d)
	}
	s := p.open(t)
	defer s.close()
	if d := differ(view, s.view()); d != "" {
		t.Errorf("the view changed:\n%s", d)
	}
	if d := renumbered(view, s.view()); d != "" {
		t.Errorf("numbers changed:\n%s", d)
	}
	if l := s.changes(); l != "" {
		t.Errorf("changes that remain:\n%s", l)
	}
	if d := s.recalls(base, view); d != "" {
		t.Error(d)
	}
	return points
}

// killAt kills one commit at its k-th point and then recovers, killing the
// recovery too at each of its points.
func killAt(t testing.TB, ops []ot.Op, k int, point string) bool {
	t.Helper()
	p, base, view := prepare(t, ops)
	if _, killed := (childJob{place: p, KillAt: k}).run(t); !killed {
		t.Errorf("the commit ended before its point %d, %s", k, point)
		return false
	}
	return recovers(t, p, base, view)
}

// recovers checks what a killed commit left and what recovery makes of it.
func recovers(t testing.TB, p place, base, view ot.Image) bool {
	t.Helper()
	s := p.open(t)
	defer s.close()
	report := s.recover()
	if len(report.Left) > 0 {
		t.Errorf("left: %s", strings.Join(report.Left, "\n"))
	}
	ok := true
	fail := func(format string, args ...any) {
		t.Helper()
		ok = false
		t.Errorf(format+"\nrecovery: %q", append(args, report.Actions)...)
	}
	now, seen := disk(t, p.Base), s.view()
	asBefore, asAfter := differ(base, now), differ(view, now)
	if asBefore != "" && asAfter != "" {
		fail("the base is neither as before:\n%s\nnor as the view:\n%s", asBefore, asAfter)
	}
	if d := differ(view, seen); d != "" {
		fail("the view changed:\n%s", d)
	}
	if d := renumbered(view, seen); d != "" {
		fail("numbers changed:\n%s", d)
	}
	if l := s.changes(); (l == "") != (asAfter == "") {
		fail("changes that remain:\n%s", l)
	}
	if d := s.recalls(base, view); d != "" {
		fail("%s", d)
	}
	if n := p.journals(t); n > 1 {
		fail("%d journals", n)
	}
	return ok
}
