package commit_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/check"
	"astrid/overlay/commit"
	"astrid/overlay/overlaytest"
)

const childEnv = "ASTRID_TEST_COMMIT"

// TestMain is also the process that a test kills in the middle of a commit.
func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		if err := child(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	for name, value := range map[string]string{"test.parallel": "8", "rapid.checks": "60"} {
		if f := flag.Lookup(name); f != nil {
			_ = f.Value.Set(value) // what the command line says comes after
		}
	}
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// place is where a session keeps what.
type place struct {
	Base, Dir, Journal, Undo, Beside string
}

func newPlace(t testing.TB) place {
	t.Helper()
	top := t.TempDir()
	p := place{
		Base: filepath.Join(top, "base"), Dir: filepath.Join(top, "session"),
		Journal: filepath.Join(top, "journal"), Undo: filepath.Join(top, "undo"), Beside: filepath.Join(top, "beside"),
	}
	for _, d := range []string{p.Base, p.Dir, p.Journal, p.Undo, p.Beside} {
		must(t, os.Mkdir(d, 0o700))
	}
	must(t, os.Chmod(p.Base, 0o755))
	return p
}

func (p place) config() commit.Config {
	return commit.Config{Journal: p.Journal, Undo: p.Undo, Git: "-"}
}

// childJob is what a child does: Commit, Undo or Recover, dying at the KillAt-th point.
type childJob struct {
	place
	Recover bool
	Back    bool // undo, or with Redo redo
	Redo    bool
	Hop     string // roll back to and fro for ever: the view, or a path of it
	Part    bool   // commit the hunks with an odd number only
	KillAt  int
	UID     uint32           // whom to be
	Ops     []overlaytest.Op // what to do in the view before
}

// child prints the names of the points it passed.
func child(text string) error {
	var job childJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	o, err := overlay.Open(context.Background(), overlay.Config{Base: job.Base, Dir: job.Dir})
	if err != nil {
		return err
	}
	defer o.Close()
	if err := job.work(o); err != nil {
		return err
	}
	if job.Hop != "" {
		return hop(o, job.Hop)
	}
	cfg := job.config()
	n := 0
	cfg.Kill = func(point string) {
		fmt.Println(point)
		if n++; n == job.KillAt {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if job.Recover {
		_, err = commit.Recover(context.Background(), o, cfg)
		return err
	}
	if job.Back {
		_, err = commit.Undo(context.Background(), o, cfg, commit.UndoRequest{Redo: job.Redo})
		return err
	}
	req := commit.Request{Git: commit.GitYes}
	if job.Part {
		if req.Hunks, err = oddHunks(o); err != nil {
			return err
		}
	}
	_, err = commit.Commit(context.Background(), o, cfg, req)
	return err
}

func (job childJob) work(o *overlay.Overlay) error {
	c := overlaytest.NewClient(o)
	for i := range job.Ops {
		op := job.Ops[i]
		op.At, op.ToAt = overlaytest.NoSlot, overlaytest.NoSlot
		if r, err := c.Do(&op); err != nil || r.Errno != 0 {
			return fmt.Errorf("%s: %v %w", &op, r.Errno, err)
		}
	}
	return c.Close()
}

// run runs a child and returns the points that it passed and whether it was killed.
func (job childJob) run(t testing.TB) (points []string, killed bool) {
	t.Helper()
	text, err := json.Marshal(job)
	must(t, err)
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	if job.UID != 0 { // who may not look into the directory that the program is in
		f, err := os.Open(exe)
		must(t, err)
		defer f.Close()
		cmd.Path, cmd.ExtraFiles = "/proc/self/fd/3", []*os.File{f}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: job.UID, Gid: job.UID}}
	}
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() && s.Signal() == syscall.SIGKILL {
			killed = true
		} else {
			t.Fatalf("child: %v\n%s", err, stderr.String())
		}
	} else {
		must(t, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n"), killed
}

// TB is what tests and checks of random values have in common.
type TB interface {
	Helper()
	Context() context.Context
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func must(t TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// session is an open overlay with somebody who works in it.
type session struct {
	place
	t TB
	o *overlay.Overlay
	c *overlaytest.Client
}

func (p place) open(t TB) *session {
	t.Helper()
	o, err := overlay.Open(context.Background(), overlay.Config{Base: p.Base, Dir: p.Dir})
	must(t, err)
	return &session{place: p, t: t, o: o, c: overlaytest.NewClient(o)}
}

// close closes the session and looks at what it left.
func (s *session) close() {
	s.t.Helper()
	if err := s.c.Close(); err != nil {
		s.t.Error(err)
	}
	must(s.t, s.o.Close())
	check.Killed(s.t, s.Dir)
}

func (s *session) do(ops ...overlaytest.Op) {
	s.t.Helper()
	for i := range ops {
		op := ops[i]
		op.At, op.ToAt = overlaytest.NoSlot, overlaytest.NoSlot
		r, err := s.c.Do(&op)
		if err != nil || r.Errno != 0 {
			s.t.Fatalf("%s: %v %v", &op, r.Errno, err)
		}
	}
}

// view reads the view.
func (s *session) view() overlaytest.Image {
	s.t.Helper()
	m, err := s.c.Image()
	must(s.t, err)
	return m
}

// disk reads a plain directory.
func disk(t TB, dir string) overlaytest.Image {
	t.Helper()
	d, err := overlaytest.NewPosix(dir)
	must(t, err)
	defer d.Close()
	m, err := d.Image()
	must(t, err)
	return m
}

func (s *session) changes() string {
	s.t.Helper()
	l, err := change.List(context.Background(), s.o.Live(), change.Options{All: true})
	must(s.t, err)
	return lines(l)
}

func lines(l []change.Change) string {
	var b strings.Builder
	for _, c := range l {
		b.WriteString(c.Op.String() + " " + change.Quote(c.Path))
		if c.From != "" {
			b.WriteString(" < " + change.Quote(c.From))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (s *session) commit(req commit.Request) (commit.Result, error) {
	return commit.Commit(context.Background(), s.o, s.config(), req)
}

func (s *session) recover() commit.Report {
	s.t.Helper()
	r, err := commit.Recover(context.Background(), s.o, s.config())
	must(s.t, err)
	return r
}

// journals looks at what is written down of commits, and returns how many are.
func (p place) journals(t testing.TB) int {
	t.Helper()
	r, err := check.Journals(context.Background(), p.Journal)
	must(t, err)
	for _, f := range slices.Concat(r.Findings, r.Leftovers) {
		t.Errorf("journals: %s", f)
	}
	l, err := filepath.Glob(filepath.Join(p.Journal, "*.journal"))
	must(t, err)
	return len(l)
}

// differ compares two trees in all but inode numbers.
func differ(want, have overlaytest.Image) string {
	rule := overlaytest.Rule{}
	countLinks(want)
	countLinks(have)
	out := rule.Diff(want, have)
	for p, w := range want {
		if h := have[p]; h != nil && w.Mtime != h.Mtime {
			out = append(out, fmt.Sprintf("%q: mtime %d, not %d", p, h.Mtime, w.Mtime))
		}
	}
	return strings.Join(out, "\n")
}

// countLinks sets link counts to the names in the tree: the undo store has some
// of the others.
func countLinks(m overlaytest.Image) {
	names := map[uint64]uint32{}
	for _, e := range m {
		names[e.Ino]++
	}
	for _, e := range m {
		e.Nlink = names[e.Ino]
	}
}

// miscounted tells which objects have another link count than the tree shows.
func miscounted(m overlaytest.Image) string {
	names, dirs := map[uint64]uint32{}, map[string]uint32{}
	for p, e := range m {
		names[e.Ino]++
		if e.Kind() == syscall.S_IFDIR && p != "" {
			dirs[strings.TrimSuffix(filepath.Dir(p), ".")]++
		}
	}
	var out []string
	for p, e := range m {
		want := names[e.Ino]
		if e.Kind() == syscall.S_IFDIR {
			want = 2 + dirs[p]
		}
		if e.Nlink != want {
			out = append(out, fmt.Sprintf("%q has a link count of %d, not %d", p, e.Nlink, want))
		}
	}
	return strings.Join(out, "\n")
}

// renumbered tells which paths have another inode number.
func renumbered(before, after overlaytest.Image) string {
	var out []string
	for p, b := range before {
		if a := after[p]; a != nil && a.Ino != b.Ino {
			out = append(out, fmt.Sprintf("%q was %d and is %d", p, b.Ino, a.Ino))
		}
	}
	return strings.Join(out, "\n")
}
