package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"astrid/kernel"
	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/view"
	"astrid/kernel/wire"
)

const patience = 2 * time.Minute // on a machine that has much else to do

// TestMain lets the test binary play the program astrid: a kernel, and the view
// servers that kernels start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "kernel":
			os.Exit(playKernel(os.Args[3]))
		case "view-server":
			os.Exit(playView(os.Getenv("ASTRID_HOME"), os.Args[3]))
		}
	}
	goleak.VerifyTestMain(m)
}

func playKernel(dir string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	h, err := home.At(dir)
	if err == nil {
		var k *kernel.Kernel
		if k, err = kernel.New(ctx, kernel.Config{Home: h, Environ: os.Environ(), Log: log, Linger: linger(dir)}); err == nil {
			err = k.Run(ctx)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "astrid: %v\n", err)
	}
	return fault.ExitOf(err)
}

// linger is short in a home whose name asks for it.
func linger(dir string) time.Duration {
	if strings.HasSuffix(dir, "hasty") {
		return 100 * time.Millisecond
	}
	return patience
}

func playView(dir, session string) int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM)
	h, err := home.At(dir)
	if err == nil {
		err = view.Run(context.Background(), view.Config{Home: h, Session: session, Signals: signals,
			Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "astrid: %v\n", err)
	}
	return fault.ExitOf(err)
}

// environ is that of children: a program built with the race detector would
// sleep a second at its end.
func environ() []string { return append(os.Environ(), "GORACE=atexit_sleep_ms=0") }

// scratch is a home with a short path, and everything that runs in it is ended
// with the test.
func scratch(t *testing.T, name string) home.Home {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("there is no /dev/fuse:", err)
	}
	dir, err := os.MkdirTemp("", "astrid-kernel-")
	if err != nil {
		t.Fatal(err)
	}
	h, err := home.At(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end(t, h)
		if t.Failed() {
			for _, log := range []string{h.KernelLog(), h.ViewLog("proj")} {
				data, _ := os.ReadFile(log)
				t.Logf("%s:\n%s", log, data)
			}
		}
		if mounts := mountsBelow(t, dir); len(mounts) > 0 {
			t.Errorf("still mounted: %v", mounts)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return h
}

// end stops the kernel of a home and its views.
func end(t *testing.T, h home.Home) {
	t.Helper()
	if _, err := os.Stat(h.Lock()); err != nil {
		return
	}
	exe, _ := os.Executable()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := client.Start(ctx, exe, h, environ()); err != nil {
		t.Log(err)
		return
	}
	pid := lockedBy(h)
	c := dial(t, h)
	_ = c.Call(ctx, op.Shutdown, wire.ShutdownRequest{Reason: "end of the test"}, nil)
	_ = c.Close()
	awaitDeath(t, pid)
}

func mountsBelow(t *testing.T, dir string) (found []string) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, " "+dir) {
			found = append(found, strings.Fields(line)[4])
		}
	}
	return found
}

// begin starts a kernel process in h and returns its pid.
func begin(t *testing.T, h home.Home) int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := client.Start(ctx, exe, h, environ()); err != nil {
		t.Fatal(err)
	}
	pid := lockedBy(h)
	if pid <= 0 {
		t.Fatal("the kernel that runs has no pid in its lock")
	}
	return pid
}

// lockedBy is the pid in the lock of a home, 0 when there is none.
func lockedBy(h home.Home) int {
	data, _ := os.ReadFile(h.Lock())
	pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return pid
}

// awaitDeath returns when a child of this process has died, and buries it.
func awaitDeath(t *testing.T, pid int) {
	t.Helper()
	if pid == 0 {
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n == 0 || err != nil {
			t.Fatalf("process %d lives on: %v", pid, err)
		}
		var status unix.WaitStatus
		_, _ = unix.Wait4(pid, &status, 0, nil)
		return
	}
}

func dial(t *testing.T, h home.Home) *client.Client {
	t.Helper()
	c, err := client.Dial(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// project is a workspace with one file.
func project(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "proj")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("one\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func up(t *testing.T, h home.Home, dir string) wire.Session {
	t.Helper()
	c := dial(t, h)
	defer c.Close()
	var s wire.Session
	if err := c.Call(context.Background(), op.Up, wire.Up{Dir: dir}, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func gone(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

// lockFree fails the test while somebody holds the lock of a home.
func lockFree(t *testing.T, h home.Home) {
	t.Helper()
	f, err := os.Open(h.Lock())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("the lock is held: %v", err)
	}
}
