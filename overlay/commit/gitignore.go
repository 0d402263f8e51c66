package commit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
)

// gitTimeout bounds how long git may think about what it ignores.
const gitTimeout = 20 * time.Second

// gitIgnored returns which of the paths git ignores in the workspace. Where
// there is no git or no repository, or where git fails, it is none of them and
// a note says so unless that is ordinary.
func gitIgnored(ctx context.Context, cfg Config, d *disk, paths []string) (ignored map[string]bool, note string) {
	if len(paths) == 0 || cfg.Git == "-" {
		return nil, ""
	}
	st, err := d.stat(".git")
	if err != nil || st == nil {
		return nil, ""
	}
	git := cfg.Git
	if git == "" {
		if git, err = exec.LookPath("git"); err != nil {
			return nil, ""
		}
	}
	out, err := askGit(ctx, git, d.root, paths)
	if err != nil {
		return nil, "git could not say what it ignores: " + err.Error()
	}
	ignored = make(map[string]bool)
	for p := range bytes.SplitSeq(out, []byte{0}) {
		if len(p) > 0 {
			ignored[strings.TrimSuffix(string(p), "/")] = true
		}
	}
	return ignored, ""
}

// askGit runs git check-ignore in the workspace. What a repository could make
// git run is switched off.
func askGit(ctx context.Context, git string, root int, paths []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	dir, err := unix.FcntlInt(uintptr(root), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	cmd := exec.CommandContext(ctx, git, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
		"-c", "core.quotePath=false", "check-ignore", "--stdin", "-z")
	cmd.Dir = "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(dir)
	cmd.Env = gitEnv()
	cmd.Stdin = strings.NewReader(strings.Join(paths, "\x00") + "\x00")
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stderr = &limited{w: &said, n: 4096}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 { // nothing is ignored
		return nil, nil
	}
	if err != nil && said.Len() > 0 {
		line, _, _ := strings.Cut(said.String(), "\n")
		return nil, errors.New(line)
	}
	return out, err
}

func gitEnv() []string {
	env := []string{"GIT_OPTIONAL_LOCKS=0", "LC_ALL=C", "GIT_TERMINAL_PROMPT=0"}
	for _, name := range []string{"PATH", "HOME", "XDG_CONFIG_HOME"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// limited drops what is written beyond n bytes.
type limited struct {
	w io.Writer
	n int
}

func (l *limited) Write(p []byte) (int, error) {
	if keep := min(len(p), l.n); keep > 0 {
		l.n -= keep
		if _, err := l.w.Write(p[:keep]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// askable are the paths that git may be asked about: none of its own, and none
// below what is a symbolic link in the workspace, for it gives up at those.
func (s *selection) askable() []string {
	var paths []string
	for _, it := range s.items {
		p := it.c.Path
		if p == change.Root || change.InGit(p) || s.belowTyped(p) {
			continue
		}
		if it.c.IsDir() {
			p += "/" // it need not be there for git to see that it is one
		}
		paths = append(paths, p)
	}
	return paths
}

func (s *selection) belowTyped(p string) bool {
	for q := change.Parent(p); q != change.Root; q = change.Parent(q) {
		if up := s.at[q]; up != nil && up.c.Op == change.Typed {
			return true
		}
	}
	return false
}
