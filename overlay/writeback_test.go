package overlay_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
)

// TestTimesOverAReopen: the times that stat(2) told are those that it tells after
// the next start.
func TestTimesOverAReopen(t *testing.T) { fstest.Modes(t, timesOverAReopen) }

func timesOverAReopen(t *testing.T, mode fs.Options) {
	base, dir := t.TempDir(), filepath.Join(t.TempDir(), "changes")
	write(t, base+"/below", strings.Repeat("b", 100_000))
	write(t, base+"/mode", "x")
	was := map[string]unix.Stat_t{}
	t.Run("before", func(t *testing.T) {
		_, mnt := view(t, base, dir, mode)
		write(t, mnt+"/small", "s")
		write(t, mnt+"/large", strings.Repeat("l", 100_000))
		write(t, mnt+"/below", "overwritten")
		must(t, os.Chmod(mnt+"/mode", 0o600))
		copied(t, mnt+"/copied", mnt+"/large")
		for _, name := range []string{"small", "large", "below", "mode", "copied"} {
			f, err := os.Open(mnt + "/" + name)
			must(t, err)
			must(t, f.Sync())
			must(t, f.Close())
			var st unix.Stat_t
			must(t, unix.Stat(mnt+"/"+name, &st))
			was[name] = st
		}
	})
	_, mnt := view(t, base, dir, mode)
	for name, want := range was {
		var st unix.Stat_t
		must(t, unix.Stat(mnt+"/"+name, &st))
		if st.Size != want.Size || st.Mtim != want.Mtim || st.Ctim != want.Ctim {
			t.Errorf("%s: size %d, mtime %v, ctime %v; before %d, %v, %v", name, st.Size, st.Mtim, st.Ctim, want.Size, want.Mtim, want.Ctim)
		}
	}
}

// copied copies as cp(1) does, and allocates more.
func copied(t *testing.T, to, from string) {
	t.Helper()
	src, err := os.Open(from)
	must(t, err)
	defer src.Close()
	dst, err := os.Create(to)
	must(t, err)
	defer dst.Close()
	_, err = unix.CopyFileRange(int(src.Fd()), nil, int(dst.Fd()), nil, 100_000, 0)
	must(t, err)
	must(t, unix.Fallocate(int(dst.Fd()), 0, 0, 200_000))
}

// TestDiscardUnderAnOpenFile: the kernel knows another file than what shows after a
// discard; who has that open is told so.
func TestDiscardUnderAnOpenFile(t *testing.T) {
	base, dir := t.TempDir(), filepath.Join(t.TempDir(), "changes")
	write(t, base+"/f", "the base's")
	o, mnt := view(t, base, dir, fs.Options{Writeback: true})
	write(t, mnt+"/f", "the view's, which is longer")
	f, err := os.OpenFile(mnt+"/f", os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	var st unix.Statfs_t
	must(t, unix.Statfs(mnt, &st)) // as the kernel does before it asks for a discard
	must(t, o.Discard(nil))
	eventually(t, "the base shows", func() bool { return read(t, mnt+"/f") == "the base's" })
	if _, err := f.ReadAt(make([]byte, 5), 0); !errors.Is(err, unix.EIO) {
		t.Errorf("who has it open reads with %v", err)
	}
}

// TestDirtyOverACopyUp changes a base file through descriptors, an append and a
// truncation while pages of it are dirty.
func TestDirtyOverACopyUp(t *testing.T) { fstest.Modes(t, dirtyOverACopyUp) }

func dirtyOverACopyUp(t *testing.T, mode fs.Options) {
	base, dir := t.TempDir(), filepath.Join(t.TempDir(), "changes")
	want := []byte(strings.Repeat("0123456789", 30_000))
	write(t, base+"/f", string(want))
	o, mnt := view(t, base, dir, mode)
	a, err := os.OpenFile(mnt+"/f", os.O_WRONLY, 0)
	must(t, err)
	b, err := os.OpenFile(mnt+"/f", os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	for i := range 20 {
		off := i * 7_777
		_, err := a.WriteAt([]byte("dirty"), int64(off))
		must(t, err)
		copy(want[off:], "dirty")
		_, err = b.Write([]byte("appended"))
		must(t, err)
		want = append(want, "appended"...)
		if i == 7 {
			s, err := o.Freeze()
			must(t, err)
			defer func() { must(t, o.Thaw(s)) }()
		}
		if i == 12 {
			must(t, os.Truncate(mnt+"/f", 150_000))
			want = want[:150_000]
		}
	}
	must(t, a.Close())
	must(t, b.Close())
	if got := read(t, mnt+"/f"); got != string(want) {
		t.Errorf("%d bytes, want %d; or other bytes", len(got), len(want))
	}
}
