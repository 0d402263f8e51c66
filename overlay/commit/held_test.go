package commit_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

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
	s.do(create(".git/objects", 1, 3)...)
	tick(t)
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
