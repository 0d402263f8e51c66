package fs_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/fs/mem"
	"astrid/fs/tree"
)

// below looks at a file of a tree past its mount.
func below(t *testing.T, tr tree.Tree, name string) (content string, a tree.Attr) {
	t.Helper()
	var e tree.Entry
	n, err := tr.Root().Lookup(name, &e)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Forget(1)
	buf := make([]byte, e.Size)
	if _, err := n.(tree.File).ReadAt(buf, 0); err != nil {
		t.Fatal(err)
	}
	return string(buf), e.Attr
}

// edit replaces the content of a file past the mount, as an edit in the workspace
// does, and says so.
func edit(t *testing.T, m *mem.Tree, name, content string) {
	t.Helper()
	var e tree.Entry
	n, err := m.Root().Lookup(name, &e)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Forget(1)
	if err := n.Setattr(&tree.Caller{}, &tree.SetAttr{Valid: tree.SetSize}, &e.Attr); err != nil {
		t.Fatal(err)
	}
	if _, err := n.(tree.File).WriteAt(&tree.Caller{}, []byte(content), 0, false, false); err != nil {
		t.Fatal(err)
	}
	m.Publish(tree.Change{Kind: tree.ContentChanged, ID: n.ID()})
}

// openIn opens a file of a mount until the end of the test or an earlier close.
func openIn(t *testing.T, path string, flags int) int {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestWritebackHandsOverAtClose is the contract: writes are collected, and after
// close(2) the tree has them, with the times that fstat(2) told before.
func TestWritebackHandsOverAtClose(t *testing.T) {
	h := newHooked()
	dir := fstest.Mount(t, h, fs.Options{Writeback: true})
	var writes atomic.Int64
	count := func() { writes.Add(1) }
	h.root.write.Store(&count)
	fd := openIn(t, dir+"/f", unix.O_CREAT|unix.O_WRONLY|unix.O_APPEND)
	const lines = 1000
	for range lines {
		if _, err := unix.Write(fd, []byte("0123456789")); err != nil {
			t.Fatal(err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Size != lines*10 {
		t.Errorf("before close: %d bytes, %v", st.Size, err)
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	got, a := below(t, h.Tree, "f")
	if got != strings.Repeat("0123456789", lines) {
		t.Errorf("after close the tree has %d bytes", len(got))
	}
	if mtime := a.Mtime.UnixNano(); mtime != unix.TimespecToNsec(st.Mtim) {
		t.Errorf("the tree's mtime is %d, fstat said %d", mtime, unix.TimespecToNsec(st.Mtim))
	}
	if ctime := a.Ctime.UnixNano(); ctime != unix.TimespecToNsec(st.Ctim) {
		t.Errorf("the tree's ctime is %d, fstat said %d", ctime, unix.TimespecToNsec(st.Ctim))
	}
	if n := writes.Load(); n == 0 || n > lines/10 {
		t.Errorf("%d writes reached the tree as %d", lines, n)
	}
}

// TestWritebackErrorsComeAtClose: what the tree refuses is told by fsync(2) and
// close(2), once the kernel has handed it over.
func TestWritebackErrorsComeAtClose(t *testing.T) {
	h := newHooked()
	dir := fstest.Mount(t, h, fs.Options{Writeback: true, Log: quiet()})
	fd := openIn(t, dir+"/f", unix.O_CREAT|unix.O_WRONLY)
	refuse := func() { panic("refused") }
	h.root.write.Store(&refuse)
	if _, err := unix.Write(fd, []byte("lost")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(fd); err != unix.EIO {
		t.Errorf("close says %v", err)
	}
}

// TestWritebackChangedBelow: the kernel owns the size of a file that it knows, and
// yet a change below shows. Who has the old one open is told so.
func TestWritebackChangedBelow(t *testing.T) {
	m := newMem()
	dir := fstest.Mount(t, m, fs.Options{Writeback: true})
	if err := writes(dir+"/f", "one", unix.O_CREAT); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"longer than before", "", "short", strings.Repeat("x", 10_000)} {
		if got := reads(t, dir+"/f"); got == content {
			t.Fatal("it is there already")
		}
		edit(t, m, "f", content)
		eventually(t, "the change shows", func() bool {
			var st unix.Stat_t
			return unix.Stat(dir+"/f", &st) == nil && st.Size == int64(len(content))
		})
		if got := reads(t, dir+"/f"); got != content {
			t.Errorf("reads %q, want %q", got, content)
		}
	}
	fd := openIn(t, dir+"/f", unix.O_RDWR)
	defer unix.Close(fd)
	edit(t, m, "f", "while it is open")
	eventually(t, "the change shows", func() bool {
		var st unix.Stat_t
		return unix.Stat(dir+"/f", &st) == nil && st.Size == 16
	})
	if _, err := unix.Pread(fd, make([]byte, 10), 0); err != unix.EIO {
		t.Errorf("who has the old one open reads with %v", err)
	}
	if err := writes(dir+"/f", "W", 0); err != nil {
		t.Error(err)
	}
	if got, _ := below(t, m, "f"); got != "While it is open" {
		t.Errorf("after a write: %q", got)
	}
}

// TestWritebackDirtyAndChangedBelow: pages that were changed on top of what is not
// there any more are refused, and do not tear what is.
func TestWritebackDirtyAndChangedBelow(t *testing.T) {
	m := newMem()
	dir := fstest.Mount(t, m, fs.Options{Writeback: true})
	if err := writes(dir+"/f", strings.Repeat("old ", 1000), unix.O_CREAT); err != nil {
		t.Fatal(err)
	}
	fd := openIn(t, dir+"/f", unix.O_RDWR)
	if _, err := unix.Pwrite(fd, []byte("mine"), 8); err != nil {
		t.Fatal(err)
	}
	m.Mute(true)
	edit(t, m, "f", "theirs")
	if err := unix.Close(fd); err != unix.ESTALE && err != unix.EIO {
		t.Errorf("close says %v", err)
	}
	if got, _ := below(t, m, "f"); got != "theirs" {
		t.Errorf("the tree has %.40q (%d bytes)", got, len(got))
	}
}

// TestWritebackSeesItsOwnData: only the kernel knows where data is that the tree
// has not got yet.
func TestWritebackSeesItsOwnData(t *testing.T) {
	dir := fstest.Mount(t, newMem(), fs.Options{Writeback: true})
	fd := openIn(t, dir+"/f", unix.O_CREAT|unix.O_RDWR)
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, 1<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Pwrite(fd, []byte("dirty"), 1<<19); err != nil {
		t.Fatal(err)
	}
	if off, err := unix.Seek(fd, 1<<18, unix.SEEK_DATA); err != nil || off > 1<<19 {
		t.Errorf("data is said to begin at %d, %v", off, err)
	}
}
