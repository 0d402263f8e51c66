package commit_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

// TestIndexRewrittenInTheWorkspace runs git in the workspace while the view
// changes the repository: what only looks is no conflict.
func TestIndexRewrittenInTheWorkspace(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	add := join(create(".git/index.lock", 1, 200), rename(".git/index.lock", ".git/index"))
	branch := create(".git/refs/heads/x", 1, 41)
	for _, c := range []struct {
		name     string
		before   []string // of the view's changes
		view     []ot.Op
		git      []string
		conflict bool
	}{
		{"status, and the view staged something", nil, add, []string{"status"}, false},
		{"status, and the view made a branch", nil, branch, []string{"status"}, false},
		{"add before and status after", []string{"add", "new"}, add, []string{"status"}, false},
		{"add, and the view staged something", nil, add, []string{"add", "new"}, true},
		{"add, and the view made a branch", nil, branch, []string{"add", "new"}, true},
		{"a split index", nil, add, []string{"update-index", "--split-index"}, true},
		{"commit, and the view made a branch", nil, branch, []string{"commit", "-q", "--allow-empty", "-m", "y"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			git := func(args ...string) {
				t.Helper()
				cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
				cmd.Dir = p.Base
				cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("git %v: %v\n%s", args, err, out)
				}
			}
			write := func(name string) {
				t.Helper()
				must(t, os.WriteFile(filepath.Join(p.Base, name), []byte("x"), 0o644))
			}
			git("init", "-q")
			must(t, os.WriteFile(filepath.Join(p.Base, ".git/info/exclude"), []byte("/.astrid/\n"), 0o644))
			write("file")
			git("add", "file")
			git("commit", "-q", "-m", "x")
			write("new")
			if c.before != nil {
				git(c.before...)
			}
			s := p.open(t)
			defer s.close()
			s.do(c.view...)
			tick(t)
			must(t, os.Chtimes(filepath.Join(p.Base, "file"), time.Time{}, time.Unix(1e9, 0)))
			index := s.base(".git/index")
			git(c.git...)
			if s.base(".git/index") == index && c.git[0] != "commit" {
				t.Fatal("git did not rewrite its index")
			}
			view := s.view()
			_, err := s.commit(commit.Request{Git: commit.GitYes})
			var conflict *commit.ConflictError
			if !c.conflict {
				must(t, err)
				if d := s.settled(view); d != "" {
					t.Error(d)
				}
				return
			}
			if !errors.As(err, &conflict) {
				t.Fatalf("no conflict: %v", err)
			}
			if c.git[0] == "add" && !slices.ContainsFunc(conflict.List, func(x commit.Conflict) bool { return x.Path == ".git/index" }) {
				t.Errorf("conflicts %v, none at the index", conflict.List)
			}
		})
	}
}
