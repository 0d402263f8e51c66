package fs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/fs/mem"
	"astrid/fs/tree"
)

// Every tree here is cached for an hour: only a notification can show a change.

func TestContentChanged(t *testing.T) {
	m := newMem()
	dir := fstest.Mount(t, m, fs.Options{})
	if err := writes(dir+"/f", "before", unix.O_CREAT); err != nil {
		t.Fatal(err)
	}
	if got := reads(t, dir+"/f"); got != "before" {
		t.Fatalf("reads %q", got)
	}
	if err := m.Replace("f", []byte("after, and longer")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new bytes", func() bool { return reads(t, dir+"/f") == "after, and longer" })
}

func TestEntryAppearsAndGoes(t *testing.T) {
	m := newMem()
	dir := fstest.Mount(t, m, fs.Options{})
	if err := statErr(dir + "/link"); err != unix.ENOENT {
		t.Fatalf("got %v", err)
	}
	list := func() int {
		names, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	if n := list(); n != 0 {
		t.Fatalf("lists %d", n)
	}
	if err := m.Attach("link", mem.Link("target")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the name that was absent", func() bool { return statErr(dir+"/link") == nil })
	eventually(t, "the listing with it", func() bool { return list() == 1 })
	if err := m.Detach("link"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the name gone", func() bool { return statErr(dir+"/link") == unix.ENOENT })
	eventually(t, "the listing without it", func() bool { return list() == 0 })
}

func TestEverythingChanged(t *testing.T) {
	m := newMem()
	dir := fstest.Mount(t, m, fs.Options{})
	if err := os.MkdirAll(dir+"/a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writes(dir+"/a/b/f", "before", unix.O_CREAT); err != nil {
		t.Fatal(err)
	}
	cwd := start(t, fstest.Command("stand", dir+"/a/b"))
	if err := statErr(dir + "/a/absent"); err != unix.ENOENT {
		t.Fatal(err)
	}
	silently(t, m, func() {
		if err := m.Replace("a/b/f", []byte("after")); err != nil {
			t.Fatal(err)
		}
		if err := m.Attach("a/absent", mem.Link("x")); err != nil {
			t.Fatal(err)
		}
	})
	m.Publish(tree.Change{Kind: tree.EverythingChanged})
	eventually(t, "the new bytes", func() bool { return reads(t, dir+"/a/b/f") == "after" })
	eventually(t, "the absent name", func() bool { return statErr(dir+"/a/absent") == nil })
	where, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", cwd.cmd.Process.Pid))
	if err != nil || where != filepath.Join(dir, "a/b") {
		t.Errorf("who stood there stands in %q, %v", where, err)
	}
	cwd.end(t)
}

// silently runs edits that nobody hears of.
func silently(t *testing.T, m *mem.Tree, edits func()) {
	t.Helper()
	m.Mute(true)
	defer m.Mute(false)
	edits()
}

// TestOverflowIsEverything publishes more than the queue holds while the
// notifier cannot keep up; nothing may be lost.
func TestOverflowIsEverything(t *testing.T) {
	m := newMem()
	dir := fstest.Mount(t, m, fs.Options{})
	if err := writes(dir+"/f", "0", unix.O_CREAT); err != nil {
		t.Fatal(err)
	}
	for i := range 20_000 {
		m.Publish(tree.Change{Kind: tree.EntryChanged, ID: 1, Name: fmt.Sprintf("none%d", i)})
	}
	if err := m.Replace("f", []byte("last")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the last change", func() bool { return reads(t, dir+"/f") == "last" })
}

// TestChangesUnderReaders edits while others look; in the end all agree.
func TestChangesUnderReaders(t *testing.T) {
	m := newMem()
	dir := fstest.Mount(t, m, fs.Options{})
	if err := writes(dir+"/f", "0", unix.O_CREAT); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			fd, err := unix.Open(dir+"/f", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err == nil {
				_, _ = unix.Read(fd, make([]byte, 10))
				unix.Close(fd)
			}
			_ = statErr(dir + "/x")
		}
	}()
	for i := range 300 {
		if err := m.Replace("f", []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		_ = m.Attach("x", mem.Link("y"))
		_ = m.Detach("x")
	}
	close(stop)
	<-done
	eventually(t, "the last bytes", func() bool { return reads(t, dir+"/f") == "299" })
	eventually(t, "the name gone", func() bool { return statErr(dir+"/x") == unix.ENOENT })
}
