package layer

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func watcher(t *testing.T, queue int) *Watcher {
	t.Helper()
	w, err := NewWatcher(queue)
	check(t, err)
	t.Cleanup(func() { w.Close() })
	return w
}

// await returns the first event with one of these bits.
func await(t *testing.T, w *Watcher, mask uint32) Event {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case e, ok := <-w.Events():
			if e.Mask&mask != 0 {
				return e
			}
			if !ok {
				t.Fatalf("the watcher ended without %#x", mask)
			}
		case <-late:
			t.Fatalf("no event %#x", mask)
		}
	}
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	check(t, err)
	w := watcher(t, 4)
	wd, err := w.Add(fd)
	check(t, err)
	if again, err := w.Add(fd); again != wd || err != nil {
		t.Errorf("the same directory: %d, then %d (%v)", wd, again, err)
	}
	const name = "\xff odd\n"
	write(t, join(dir, name), "x")
	for _, c := range []struct {
		what string
		do   func() error
		mask uint32
		name string
	}{
		{"create", func() error { return nil }, unix.IN_CREATE, name},
		{"modify", func() error { return nil }, unix.IN_MODIFY, name},
		{"chmod", func() error { return os.Chmod(join(dir, name), 0o600) }, unix.IN_ATTRIB, name},
		{"move away", func() error { return os.Rename(join(dir, name), join(dir, "n")) }, unix.IN_MOVED_FROM, name},
		{"move here", func() error { return nil }, unix.IN_MOVED_TO, "n"},
		{"delete", func() error { return os.Remove(join(dir, "n")) }, unix.IN_DELETE, "n"},
		// An inode is only gone when the last descriptor of it is, O_PATH too.
		{"delete itself", func() error { unix.Close(fd); return os.Remove(dir) }, unix.IN_DELETE_SELF, ""},
	} {
		check(t, c.do())
		if e := await(t, w, c.mask); e.WD != wd || e.Name != c.name {
			t.Errorf("%s: %+v", c.what, e)
		}
	}
}

func TestWatchRefuses(t *testing.T) {
	dir, fd := tempDir(t)
	w := watcher(t, 1)
	_, err := w.Add(openFile(t, join(dir, "f"), unix.O_RDONLY|unix.O_CREAT))
	want(t, "a file", err, unix.ENOTDIR)
	want(t, "no such watch", w.Remove(12345), unix.EINVAL)
	wd, err := w.Add(fd)
	check(t, err)
	check(t, w.Remove(wd))
	await(t, w, unix.IN_IGNORED)
	check(t, w.Close())
	check(t, w.Close())
	_, err = w.Add(fd)
	want(t, "after close", err, os.ErrClosed)
	want(t, "after close", w.Remove(wd), os.ErrClosed)
}

func TestWatchOverflow(t *testing.T) {
	dir, fd := tempDir(t)
	w := watcher(t, 0)
	_, err := w.Add(fd)
	check(t, err)
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	check(t, err)
	limit := 0
	for _, c := range b {
		if c >= '0' && c <= '9' {
			limit = 10*limit + int(c-'0')
		}
	}
	if limit > 1<<20 {
		t.Skipf("the queue of this system holds %d events", limit)
	}
	for i := 0; i < limit+4096; i += 2 { // nobody receives: two events each
		check(t, unix.Mkdirat(fd, "d", 0o755))
		check(t, unix.Unlinkat(fd, "d", unix.AT_REMOVEDIR))
	}
	if e := await(t, w, unix.IN_Q_OVERFLOW); e.WD != Overflow {
		t.Errorf("%+v", e)
	}
	write(t, join(dir, "after"), "") // it goes on
	for e := await(t, w, unix.IN_CREATE); e.Name != "after"; e = await(t, w, unix.IN_CREATE) {
	}
}

func TestWatchCloseWithFullQueue(t *testing.T) {
	_, fd := tempDir(t)
	w := watcher(t, 0)
	_, err := w.Add(fd)
	check(t, err)
	check(t, unix.Mkdirat(fd, "d", 0o755)) // the goroutine is stuck with it or about to be
	check(t, w.Close())
}
