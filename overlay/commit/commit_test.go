package commit_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

func TestHeldBack(t *testing.T) {
	s := start(t)
	s.write(".astridignore", "secret*\n/logs/\n")
	s.do(join(create(".env", 1, 2), create("a/id_rsa", 1, 2), create("ok", 1, 2), create("secret.txt", 1, 2), mkdir("logs"), create("logs/l", 1, 2),
		create("suid", 1, 2), one(ot.Op{Kind: ot.Chmod, Path: "suid", Mode: 0o4755}),
		one(ot.Op{Kind: ot.Symlink, Path: "abs", Target: "/etc"}), one(ot.Op{Kind: ot.Symlink, Path: "a/up", Target: "../../x"}),
		one(ot.Op{Kind: ot.Symlink, Path: "a/ok", Target: "../x"}),
		mkdir(".husky"), create(".husky/hook", 1, 2), rename("d", ".vscode"), create(".vscode/tasks.json", 1, 2), create("skip.tmp", 1, 2))...)
	res := s.mustCommit(commit.Request{Exclude: []string{"*.tmp"}})
	if d := cmp.Diff("R .vscode < d\nA a/ok\nA ok\n", lines(res.Applied)); d != "" {
		t.Error(d)
	}
	want := "A .env\nA .husky\nA .husky/hook\nA .vscode/tasks.json\nA a/id_rsa\nA a/up\nA abs\nA logs\nA logs/l\nA secret.txt\nA suid\n"
	if d := cmp.Diff(want, lines(res.Held)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff("A skip.tmp\n", lines(res.Skipped)); d != "" {
		t.Error(d)
	}
	for _, c := range res.Held {
		if c.Note == "" {
			t.Errorf("%s is held without a reason", c.Path)
		}
	}
	res = s.mustCommit(commit.Request{Paths: []string{".env", "suid", ".husky", "logs", "abs"}})
	if len(res.Held) != 0 || len(res.Applied) != 7 {
		t.Errorf("named: applied\n%sheld\n%s", lines(res.Applied), lines(res.Held))
	}
	res = s.mustCommit(commit.Request{Paths: []string{"a", "*.txt"}})
	if len(res.Applied) != 0 || len(res.Held) != 3 {
		t.Errorf("a directory and a glob name nothing that is held: applied\n%sheld\n%s", lines(res.Applied), lines(res.Held))
	}
}

func TestHeldBackTakesItsUsersAlong(t *testing.T) {
	s := start(t)
	// A removed directory in which something protected stays, and a new thing
	// in its place, which therefore cannot come.
	s.write("d/.env", "x")
	s.do(join(unlink("d/.env"), removeD(), create("d", 1, 2), create("free", 1, 2))...)
	res := s.mustCommit(commit.Request{})
	if d := cmp.Diff("A free\nD d/1\nD d/2\nD d/e\nD d/e/3\n", lines(res.Applied)); d != "" && !strings.HasPrefix(lines(res.Applied), "") {
		t.Error(d)
	}
	held := lines(res.Held)
	if !strings.Contains(held, "T d\n") || !strings.Contains(held, "D d/.env\n") {
		t.Errorf("held:\n%s", held)
	}
	if d := undated(s.view(), s.view()); d != "" {
		t.Error(d)
	}
	if _, err := os.Stat(filepath.Join(s.Base, "d/.env")); err != nil {
		t.Error(err)
	}
}

func TestGitUnit(t *testing.T) {
	s := start(t)
	must(t, os.MkdirAll(filepath.Join(s.Base, ".git/hooks"), 0o755))
	s.do(join(write(".git/HEAD", 3), create(".git/hooks/post-commit", 1, 2), write("file", 1))...)
	res := s.mustCommit(commit.Request{})
	if lines(res.Applied) != "M file\n" || len(res.Held) != 2 {
		t.Errorf("a hook holds the repository back: applied\n%sheld\n%s", lines(res.Applied), lines(res.Held))
	}
	res = s.mustCommit(commit.Request{Git: commit.GitNo})
	if len(res.Held) != 0 || len(res.Skipped) != 2 {
		t.Errorf("--no-git: %+v", res)
	}
	res = s.mustCommit(commit.Request{Git: commit.GitYes})
	if d := cmp.Diff("M .git/HEAD\nA .git/hooks/post-commit\n", lines(res.Applied)); d != "" {
		t.Error(d)
	}
	s.do(join(write(".git/HEAD", 5), create(".git/index.lock", 1, 1))...)
	if res = s.mustCommit(commit.Request{Git: commit.GitYes}); len(res.Held) != 2 {
		t.Errorf("a lock in the view holds it back: %+v", res)
	}
	s.do(unlink(".git/index.lock")...)
	s.write(".git/refs/x", "moved\n")
	s.do(create(".git/objects", 1, 3)...)
	must(t, os.WriteFile(filepath.Join(s.Base, ".git/refs/y"), []byte("1"), 0o644))
	var conflict *commit.ConflictError
	if _, err := s.commit(commit.Request{}); !errors.As(err, &conflict) {
		t.Errorf("a ref that moved in the workspace: %v", err)
	}
}

func TestGitIgnored(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("no git here")
	}
	s := start(t)
	must(t, os.RemoveAll(filepath.Join(s.Base, ".git")))
	cmd := exec.Command(git, "init", "-q", s.Base)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.write(".gitignore", "*.o\nbuild/\n")
	s.do(join(create("x.o", 1, 2), create("x\n.c", 1, 2), mkdir("build"), create("build/out", 1, 2))...)
	cfg := s.config()
	cfg.Git = git
	res, err := commit.Commit(context.Background(), s.o, cfg, commit.Request{})
	must(t, err)
	if d := cmp.Diff("A \"x\\n.c\"\n", lines(res.Applied)); d != "" {
		t.Error(d)
	}
	if len(res.Held) != 0 || len(res.Skipped) != 3 || len(res.Outside) != 0 {
		t.Errorf("%+v", res)
	}
	if text := s.base(".git/info/exclude"); strings.Count(text, "/.astrid/\n") != 1 {
		t.Errorf("exclude: %s", text)
	}
	res, err = commit.Commit(context.Background(), s.o, cfg, commit.Request{Paths: []string{"build", "x.o"}})
	must(t, err)
	if len(res.Applied) != 3 {
		t.Errorf("named: %+v", res)
	}
	if text := s.base(".git/info/exclude"); strings.Count(text, "/.astrid/\n") != 1 {
		t.Errorf("exclude again: %s", text)
	}
}

// TestConflicts changes the base under the view: nothing may be applied.
func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		name string
		view []ot.Op
		edit func(s *session)
		path string // "" when there must be no conflict
	}{
		{"changed on both sides", write("file", 3), func(s *session) { s.write("file", "theirs\n") }, "file"},
		{"the same change on both sides", write("file", 3), func(s *session) { s.write("file", string(ot.Bytes(7, 3))+"t\n") }, ""},
		{"touched but not changed", write("file", 3), func(s *session) { must(s.t, os.Chmod(filepath.Join(s.Base, "file"), 0o640)) }, ""},
		{"removed there", write("file", 3), func(s *session) { must(s.t, os.Remove(filepath.Join(s.Base, "file"))) }, "file"},
		{"removed here, changed there", unlink("file"), func(s *session) { s.write("file", "theirs\n") }, "file"},
		{"removed on both sides", unlink("file"), func(s *session) { must(s.t, os.Remove(filepath.Join(s.Base, "file"))) }, ""},
		{"made on both sides", create("new", 1, 2), func(s *session) { s.write("new", "theirs\n") }, "new"},
		{"a directory made on both sides", join(mkdir("n"), create("n/x", 1, 2)), func(s *session) { must(s.t, os.Mkdir(filepath.Join(s.Base, "n"), 0o755)) }, "n"},
		{"moved here, gone there", rename("file", "z"), func(s *session) { must(s.t, os.Remove(filepath.Join(s.Base, "file"))) }, "z"},
		{"moved here, replaced there", rename("file", "z"), func(s *session) {
			s.write("t", "x")
			must(s.t, os.Rename(filepath.Join(s.Base, "t"), filepath.Join(s.Base, "file")))
		}, "z"},
		{"moved onto what appeared", rename("file", "z"), func(s *session) { s.write("z", "theirs") }, "z"},
		{"a directory moved there, changed here", write("a/f", 3), func(s *session) {
			must(s.t, os.Rename(filepath.Join(s.Base, "a"), filepath.Join(s.Base, "b")))
		}, "a"},
		{"a directory moved here, changed there", rename("a", "z"), func(s *session) { s.write("a/f", "theirs") }, ""},
		{"a removed directory that grew", removeD(), func(s *session) { s.write("d/new", "theirs") }, "d/new"},
		{"a directory made anew over one that grew", join(removeD(), mkdir("d")), func(s *session) { s.write("d/new", "theirs") }, "d/new"},
		{"somewhere else", write("file", 3), func(s *session) { s.write("other", "theirs") }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			s.do(c.view...)
			tick(t)
			c.edit(s)
			before := disk(t, s.Base)
			_, err := s.commit(commit.Request{})
			var conflict *commit.ConflictError
			if c.path == "" {
				must(t, err)
				if d := s.settled(s.view()); d != "" {
					t.Error(d)
				}
				return
			}
			if !errors.As(err, &conflict) {
				t.Fatalf("no conflict: %v", err)
			}
			if !slices.ContainsFunc(conflict.List, func(x commit.Conflict) bool { return x.Path == c.path }) {
				t.Errorf("conflicts %v, none at %s", conflict.List, c.path)
			}
			if d := differ(before, disk(t, s.Base)); d != "" {
				t.Errorf("the base changed:\n%s", d)
			}
			pre, err := commit.Preview(context.Background(), s.o, s.config(), commit.Request{})
			must(t, err)
			if len(pre.Conflicts) == 0 {
				t.Error("the preview does not show it")
			}
		})
	}
}

// tick waits until the clock of the file system has moved on.
func tick(t *testing.T) {
	t.Helper()
	f := filepath.Join(t.TempDir(), "f")
	var first int64
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		must(t, os.WriteFile(f, nil, 0o600))
		st, err := os.Stat(f)
		must(t, err)
		if now := st.ModTime().UnixNano(); first == 0 {
			first = now
		} else if now > first {
			return
		}
	}
}

// TestSurprise changes the base between the plan and the steps.
func TestSurprise(t *testing.T) {
	for name, edit := range map[string]func(s *session){
		"a replaced file changes":    func(s *session) { s.write("file", "theirs") },
		"a removed tree grows":       func(s *session) { s.write("d/e/new", "theirs") },
		"something at a new name":    func(s *session) { s.write("zz", "theirs") },
		"a moved file is gone":       func(s *session) { must(s.t, os.Remove(filepath.Join(s.Base, "other"))) },
		"a file to be changed moved": func(s *session) { must(s.t, os.Rename(filepath.Join(s.Base, "run.sh"), filepath.Join(s.Base, "r"))) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.do(join(write("file", 3), removeD(), create("zz", 1, 2), rename("other", "o2"),
				one(ot.Op{Kind: ot.Chmod, Path: "run.sh", Mode: 0o755}))...)
			cfg := s.config()
			var before ot.Image
			cfg.Kill = func(point string) {
				if point == "journal: plan written" {
					edit(s)
					before = disk(t, s.Base)
				}
			}
			view := s.view()
			_, err := commit.Commit(context.Background(), s.o, cfg, commit.Request{})
			var conflict *commit.ConflictError
			if !errors.As(err, &conflict) {
				t.Fatalf("%v", err)
			}
			for p := range before { // ours was there while it was looked at
				if strings.HasPrefix(p, ".astrid") {
					delete(before, p)
				}
			}
			if d := undated(before, disk(t, s.Base)); d != "" {
				t.Errorf("the base is not as it was:\n%s", d)
			}
			if name != "a moved file is gone" && name != "a file to be changed moved" {
				if d := undated(view, s.view()); d != "" {
					t.Errorf("the view changed:\n%s", d)
				}
			}
			if l, _ := os.ReadDir(s.Journal); len(l) != 0 {
				t.Errorf("journals left: %v", l)
			}
		})
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
	j, err := os.ReadDir(s.Journal)
	must(t, err)
	if len(j) != 10 {
		t.Errorf("%d journals", len(j))
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
	cfg.Kill = func(point string) {
		if point == "journal: applied" {
			s.do(join(write("file", 9), create("z/later", 1, 2))...)
		}
	}
	_, err := commit.Commit(context.Background(), s.o, cfg, commit.Request{})
	must(t, err)
	if d := cmp.Diff("M file\nA z/later\n", s.changes()); d != "" {
		t.Error(d)
	}
	s.mustCommit(commit.Request{})
	if d := s.settled(s.view()); d != "" {
		t.Error(d)
	}
}

func TestDiscard(t *testing.T) {
	s := start(t)
	before := disk(t, s.Base)
	s.do(join(write("file", 70_000), rename("a", "z"), create("z/new", 3, 5), unlink("d/1"), mkdir("n"), create("n/x", 1, 2))...)
	dropped, kept, err := commit.Discard(context.Background(), s.o, s.config(), []string{"file", "n"})
	must(t, err)
	if d := cmp.Diff("M file\nA n\nA n/x\n", lines(dropped)); d != "" {
		t.Error(d)
	}
	if l, err := os.ReadDir(kept); err != nil || len(l) != 3 {
		t.Errorf("kept: %v %v", l, err)
	}
	if d := cmp.Diff("D d/1\nR z < a\nA z/new\n", s.changes()); d != "" {
		t.Error(d)
	}
	if _, _, err = commit.Discard(context.Background(), s.o, s.config(), nil); err != nil {
		t.Fatal(err)
	}
	if d := undated(before, s.view()); d != "" || s.changes() != "" {
		t.Errorf("%s\n%s", d, s.changes())
	}
	cfg := s.config()
	cfg.Now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	s.do(write("file", 1)...)
	_, kept, err = commit.Discard(context.Background(), s.o, cfg, []string{"file"})
	must(t, err)
	if l, err := os.ReadDir(s.Kept); err != nil || len(l) != 1 || l[0].Name() != filepath.Base(kept) {
		t.Errorf("after a day: %v %v", l, err)
	}
}

func TestDiscardTogether(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []ot.Op
		path string
		want string
	}{
		{"a new directory", join(mkdir("n"), create("n/x", 1, 2)), "n", ""},
		{"in a new directory", join(mkdir("n"), create("n/x", 1, 2), create("n/y", 1, 2)), "n/x", "A n\nA n/y\n"},
		{"a moved directory whose place is taken", join(rename("a", "z"), mkdir("a"), create("a/f", 1, 2)), "z", ""},
		{"one of a removed directory", removeD(), "d/1", ""},
		{"what came in place of a directory", join(removeD(), create("d", 1, 2)), "d", ""},
		{"something removed from a moved directory", join(rename("a", "z"), unlink("z/f")), "z/f", "R z < a\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			s.do(c.ops...)
			_, _, err := commit.Discard(context.Background(), s.o, s.config(), []string{c.path})
			must(t, err)
			if d := cmp.Diff(c.want, s.changes()); d != "" {
				t.Error(d)
			}
		})
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
