package fs_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
)

// heldBy unmounts while a task holds the mount and checks what is said of it.
func heldBy(t *testing.T, s *fs.Server, c *child, how string, stands bool) {
	t.Helper()
	err := s.Unmount(context.Background())
	var busy *fs.BusyError
	if !errors.As(err, &busy) || !errors.Is(err, syscall.EBUSY) {
		t.Fatalf("got %v", err)
	}
	if len(busy.Holders) != 1 || busy.Hidden {
		t.Fatalf("holders %+v, hidden %v", busy.Holders, busy.Hidden)
	}
	h := busy.Holders[0]
	if h.PID != c.cmd.Process.Pid || h.How != how || h.Stands() != stands || busy.Opened() == stands {
		t.Errorf("holder %+v", h)
	}
	if h.Comm == "" || h.Exe == "" {
		t.Errorf("it has no name: %+v", h)
	}
}

func TestBusyStander(t *testing.T) {
	s := fstest.Serve(t, newMem(), fs.Options{})
	c := start(t, fstest.Command("stand", s.Dir()))
	heldBy(t, s, c, fs.HoldsCwd, true)
	c.end(t)
}

func TestBusyOpener(t *testing.T) {
	s := fstest.Serve(t, newMem(), fs.Options{})
	c := start(t, fstest.Command("open", s.Dir()+"/f"))
	heldBy(t, s, c, fs.HoldsFd, false)
	if got, _, err := fs.Holders(s.Dir()); err != nil || len(got) != 1 || got[0].Path != s.Dir()+"/f" {
		t.Errorf("%+v, %v", got, err)
	}
	c.end(t)
}

func TestBusyProgram(t *testing.T) {
	s := fstest.Serve(t, newMem(), fs.Options{})
	cat, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Skip("no /bin/cat to copy")
	}
	path := s.Dir() + "/cat"
	if err := os.WriteFile(path, cat, 0o755); err != nil {
		t.Fatal(err)
	}
	// A shell starts it, so that this process does not exec from its own mount.
	cmd := exec.Command("/bin/sh", "-c", "exec "+path+" /dev/fd/3 -")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.WriteString("ready\n")
	w.Close()
	cmd.ExtraFiles = []*os.File{r}
	c := start(t, cmd)
	r.Close()
	err = s.Unmount(context.Background())
	var busy *fs.BusyError
	if !errors.As(err, &busy) || len(busy.Holders) == 0 || busy.Holders[0].How != fs.HoldsExe || !busy.Opened() {
		t.Errorf("got %v", err)
	}
	c.end(t)
}

// TestDetachServesOn takes the name away; who holds a file keeps using it.
func TestDetachServesOn(t *testing.T) {
	fstest.Need(t)
	dir := t.TempDir()
	s, err := fs.Mount(dir, newMem(), fs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir+"/f", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Detach(); err != nil {
		t.Fatal(err)
	}
	if err := statErr(dir + "/f"); err != unix.ENOENT {
		t.Errorf("the name: %v", err)
	}
	if _, err := unix.Pwrite(fd, []byte("still here"), 0); err != nil {
		t.Error(err)
	}
	select {
	case <-s.Done():
		t.Error("it ended while a file is open")
	default:
	}
	unix.Close(fd)
	s.Wait()
	if err := s.Unmount(context.Background()); err != nil {
		t.Errorf("unmounting what is gone: %v", err)
	}
}

func TestStaleMount(t *testing.T) {
	fstest.Need(t)
	dir := filepath.Join(t.TempDir(), "m")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	health := func(want fs.Health, patience time.Duration) {
		t.Helper()
		if got, err := fs.Stale(dir, patience); got != want || err != nil {
			t.Errorf("it is %v, %v; want %v", got, err, want)
		}
	}
	health(fs.Unmounted, time.Minute)
	c := start(t, fstest.Command("serve", dir))
	health(fs.Alive, time.Minute)
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(c.cmd.Process.Pid, &ws, unix.WUNTRACED, nil); err != nil || !ws.Stopped() {
		t.Fatalf("it did not stop: %v, %v", ws, err)
	}
	health(fs.Hung, 100*time.Millisecond)
	c.kill(t)
	health(fs.Dead, time.Minute)
	if found, err := fs.Mounts(dir); err != nil || len(found) != 1 || found[0].Source != "stale" {
		t.Errorf("%+v, %v", found, err)
	}
	if err := fs.DetachStale(dir); err != nil {
		t.Error(err)
	}
	health(fs.Unmounted, time.Minute)
	if err := fs.DetachStale(dir); err != nil {
		t.Errorf("detaching nothing: %v", err)
	}
	again, err := fs.Mount(dir, newMem(), fs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Unmount(context.Background()); err != nil {
		t.Error(err)
	}
}
