package kernel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/ctl/text"
	"astrid/kernel"
	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

func itoa(n int) string { return strconv.Itoa(n) }

// hold takes the lock of a home as a kernel does that serves nobody.
func hold(t *testing.T, h home.Home) (release func()) {
	t.Helper()
	f, err := os.OpenFile(h.Lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("4711\n"), 0); err != nil {
		t.Fatal(err)
	}
	return func() { _ = f.Close() }
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAKilledKernelIsFollowedByOneThatTakesOver(t *testing.T) {
	h := scratch(t, "h")
	pid := begin(t, h)
	s := up(t, h, project(t))
	inView := filepath.Join(s.Workspace, "f")
	write(t, inView, "two\n")

	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitDeath(t, pid)
	lockFree(t, h)
	if _, err := os.ReadFile(filepath.Join(h.Ctl(), "version")); !errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("ctl of a killed kernel: %v", err)
	}
	if _, err := client.Dial(context.Background(), h); !fault.Is(err, fault.NotRunning) {
		t.Errorf("a client: %v", err)
	}
	if got := read(t, inView); got != "two\n" {
		t.Errorf("the view holds %q", got)
	}
	write(t, inView, "three\n")

	if again := begin(t, h); again == pid {
		t.Error("the dead runs")
	}
	after := up(t, h, s.Base)
	if after.PID != s.PID || after.Name != s.Name {
		t.Errorf("another view server: %+v, was %+v", after, s)
	}
	if got := read(t, filepath.Join(h.CtlLink(s.Name), "changes")); got != "M f\n" {
		t.Errorf("changes: %q", got)
	}
}

func TestSIGTERMEndsEverythingAndKeepsTheWork(t *testing.T) {
	h := scratch(t, "h")
	pid := begin(t, h)
	s := up(t, h, project(t))
	write(t, filepath.Join(s.Workspace, "g"), "new\n")
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitDeath(t, pid)
	gone(t, h.Socket(), h.Token(), h.Ready())
	lockFree(t, h)
	if mounts := mountsBelow(t, h.String()); len(mounts) > 0 {
		t.Errorf("still mounted: %v", mounts)
	}
	begin(t, h)
	s = up(t, h, s.Base)
	if got := read(t, filepath.Join(s.Workspace, "g")); got != "new\n" {
		t.Errorf("the work: %q", got)
	}
}

func TestTheLastDownEndsTheKernel(t *testing.T) {
	h := scratch(t, "h")
	pid := begin(t, h)
	one, two := up(t, h, project(t)), up(t, h, project(t))
	if one.Name == two.Name {
		t.Fatalf("two sessions of one name: %s", one.Name)
	}
	c := dial(t, h)
	ctx := context.Background()
	if err := c.Call(ctx, op.Down, wire.DownRequest{Session: one.Name}, nil); err != nil {
		t.Fatal(err)
	}
	var list []wire.Session
	if err := c.Call(ctx, op.List, nil, &list); err != nil || len(list) != 2 {
		t.Errorf("after the first down: %+v, %v", list, err)
	}
	if err := c.Call(ctx, op.Down, wire.DownRequest{Session: two.Name}, nil); err != nil {
		t.Errorf("the last down was not answered: %v", err)
	}
	var status wire.KernelStatus
	if err := c.Call(ctx, op.About, nil, &status); err != nil {
		t.Errorf("while a client is there it stays, and says: %v", err)
	}
	_ = c.Close()
	awaitDeath(t, pid)
	gone(t, h.Socket(), h.Token(), h.Ready())
}

func TestAKernelWithoutASessionEnds(t *testing.T) {
	h := scratch(t, "hasty")
	awaitDeath(t, begin(t, h))
	gone(t, h.Socket(), h.Token(), h.Ready())
}

// agree has a kernel of its own agree to a capsule that lies in the home.
func agree(t *testing.T, h home.Home, id string) {
	t.Helper()
	k, err := kernel.New(t.Context(), kernel.Config{Home: h})
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- k.Run(context.Background()) }()
	c := dial(t, h)
	must(t, c.Call(t.Context(), op.TrustCapsule, wire.TrustCapsule{ID: id, Yes: true}, nil))
	must(t, c.Call(t.Context(), op.Shutdown, wire.ShutdownRequest{}, nil))
	_ = c.Close()
	must(t, <-done)
}

// A capsule that waits for the world needs the kernel, with or without a session.
func TestAKernelWithACapsuleThatWaitsStays(t *testing.T) {
	h := scratch(t, "h")
	must(t, h.Ensure())
	must(t, os.Mkdir(filepath.Join(h.Capsules(), "ear"), 0o700))
	must(t, os.WriteFile(filepath.Join(h.Capsules(), "ear", "Capsule.toml"), []byte("[package]\nname = \"ear\"\nversion = \"1.0.0\"\n[[uplink]]\nname = \"u\"\nplatform = \"p\"\nprofile = \"chat\"\n"), 0o600))
	agree(t, h, "ear")
	const hasty = 20 * time.Millisecond
	k, err := kernel.New(t.Context(), kernel.Config{Home: h, Linger: hasty})
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- k.Run(context.Background()) }()
	select {
	case err := <-done:
		t.Fatalf("it ended, %v", err)
	case <-time.After(20 * hasty):
	}
	c := dial(t, h)
	must(t, c.Call(t.Context(), op.DisableCapsule, wire.ByID{ID: "ear"}, nil))
	_ = c.Close()
	must(t, <-done)
	_ = os.Remove(h.Lock())
}

func TestShutdownByAControlFileIsAnswered(t *testing.T) {
	h := scratch(t, "h")
	pid := begin(t, h)
	s := up(t, h, project(t))
	if err := os.WriteFile(filepath.Join(h.Ctl(), "shutdown"), []byte("enough\n"), 0); err != nil {
		t.Errorf("the writer hears %v", err)
	}
	awaitDeath(t, pid)
	if mounts := mountsBelow(t, h.String()); len(mounts) > 0 {
		t.Errorf("still mounted: %v", mounts)
	}
	if log := read(t, h.KernelLog()); !strings.Contains(log, `reason="ctl/shutdown: enough"`) {
		t.Errorf("the log:\n%s", log)
	}
	if _, err := os.Readlink(h.BaseLink(s.Name)); err != nil {
		t.Error(err)
	}
}

// The same request gets the same kind of answer through the socket and through
// a control file.
func TestTheDoorsAgree(t *testing.T) {
	h := scratch(t, "h")
	begin(t, h)
	s := up(t, h, project(t))
	write(t, filepath.Join(s.Workspace, "a b"), "new\n")
	c := dial(t, h)
	ctx := context.Background()
	dir := h.SessionCtl(s.Name)

	for name, request := range map[string]struct {
		line string
		req  wire.CommitRequest
	}{
		"a digest that moved": {"all --if=0000", wire.CommitRequest{If: "0000"}},
		"no such path":        {"no/such/path", wire.CommitRequest{Paths: wire.Paths{"no/such/path"}}},
		"a path that climbs":  {"../f", wire.CommitRequest{Paths: wire.Paths{"../f"}}},
		"a broken glob":       {"'a[' --dry-run", wire.CommitRequest{Paths: wire.Paths{"a["}, DryRun: true}},
	} {
		bySocket := c.Call(ctx, op.Commit, wire.For[wire.CommitRequest]{Session: s.Name, Request: request.req}, nil)
		byFile := os.WriteFile(filepath.Join(dir, "commit"), []byte(request.line+"\n"), 0)
		if (bySocket == nil) != (byFile == nil) || bySocket != nil && !errors.Is(byFile, fault.ErrnoOf(bySocket)) {
			t.Errorf("%s: the socket says %v, the file %v", name, bySocket, byFile)
		}
		if bySocket == nil {
			continue
		}
		shown, err := text.ScanPairs([]byte(read(t, filepath.Join(dir, "commit"))))
		if err != nil || shown[0].Value != fault.KindOf(bySocket).Code() || shown[1].Value != bySocket.Error() {
			t.Errorf("%s: the socket says %v, the file %v", name, bySocket, shown)
		}
	}

	var list wire.ChangesReply
	if err := c.Call(ctx, op.Changes, wire.For[wire.ChangesRequest]{Session: s.Name}, &list); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, filepath.Join(dir, "changes")), string(text.Changes(list.Changes)); got != want || got != "A \"a b\"\n" {
		t.Errorf("the file lists %q, the socket %q", got, want)
	}
	var patch bytes.Buffer
	if err := c.CallStream(ctx, op.Patch, wire.For[wire.PatchRequest]{Session: s.Name}, nil, &patch); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "patch")); got != patch.String() || got == "" {
		t.Errorf("the file's patch %q, the socket's %q", got, patch.String())
	}
}

func TestAStopTellsThoseWhoWaitForAnApproval(t *testing.T) {
	h := scratch(t, "h")
	exe, _ := os.Executable()
	k, err := kernel.New(t.Context(), kernel.Config{Home: h, Exe: exe, Environ: environ(), StopTimeout: 24 * time.Hour})
	must(t, err)
	c := dial(t, h)
	asked := make(chan error, 1)
	go func() {
		asked <- c.Call(context.Background(), op.Ask, wire.AskApproval{Action: "a", Resource: "r"}, nil)
	}()
	eventually(t, "it waits", func() bool { list, _ := k.Approvals.Pending(); return len(list) == 1 })
	must(t, k.Stop("test"))
	if err := <-asked; !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "the kernel is stopping (test)") {
		t.Errorf("it was told %v", err)
	}
	_ = os.Remove(h.Lock())
}

// Commits that a killed kernel did not record are in the log before the next one
// serves anybody, and no commit is ever there twice.
func TestEachCommitIsRecordedOnce(t *testing.T) {
	h := scratch(t, "h")
	pid := begin(t, h)
	s := up(t, h, project(t))
	commit(t, h, s, "one")
	commit(t, h, s, "two")
	kill(t, h, pid)
	forgetCommits(t, h, s.Name)

	pid = begin(t, h)
	late := commits(t, h, s.Name)
	if want := []string{"1", "2", "1", "2"}; !slices.Equal(late, want) {
		t.Fatalf("what was missing is recorded as %q", late)
	}
	s = up(t, h, s.Base)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() { commit(t, h, s, "x"+itoa(i)) })
	}
	all.Wait()
	live := commits(t, h, s.Name)
	kill(t, h, pid)
	begin(t, h)
	if after := commits(t, h, s.Name); !slices.Equal(after, live) {
		t.Errorf("recorded were %q, and are %q", live, after)
	}
	seen := live[len(late):]
	slices.Sort(seen)
	if n := len(seen); n == 0 || n != len(slices.Compact(seen)) {
		t.Errorf("recorded are %q", live)
	}
}

// commit writes a file and commits it.
func commit(t *testing.T, h home.Home, s wire.Session, name string) {
	t.Helper()
	c, err := client.Dial(context.Background(), h)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if err := os.WriteFile(filepath.Join(s.Workspace, name), nil, 0o644); err != nil {
		t.Error(err)
	}
	if err := c.Call(context.Background(), op.Commit, wire.For[wire.CommitRequest]{Session: s.Name}, nil); err != nil {
		t.Error(err)
	}
}

// commits are the numbers of the recorded commits of a session.
func commits(t *testing.T, h home.Home, session string) (numbers []string) {
	t.Helper()
	for _, r := range auditLog(t, dial(t, h)) {
		if r.Action["type"] == "commit" && r.Action["session"] == session {
			numbers = append(numbers, fmt.Sprint(r.Action["number"]))
		}
	}
	return numbers
}

func kill(t *testing.T, h home.Home, pid int) {
	t.Helper()
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	awaitDeath(t, pid)
	lockFree(t, h)
}

// forgetCommits makes a dead kernel one that recorded no commit of a session.
func forgetCommits(t *testing.T, h home.Home, session string) {
	t.Helper()
	s, err := store.Open(h.State(), store.Config{})
	must(t, err)
	p, err := s.Space("system:commits", store.SpaceOptions{})
	must(t, err)
	existed, err := p.Delete(session)
	if !existed || err != nil {
		t.Error(existed, err)
	}
	must(t, s.Close())
}
