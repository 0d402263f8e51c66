package overlay_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/overlay"
	"astrid/overlay/check"
)

// workspace makes a base with a few files and a view of it.
func workspace(t *testing.T, mode fs.Options) (base, dir, mnt string, o *overlay.Overlay) {
	t.Helper()
	base, dir = t.TempDir(), filepath.Join(t.TempDir(), "changes")
	for p, s := range map[string]string{
		"a/b/c.txt": "one\n", "a/b/d.txt": "two\n", "a/e": "three\n", "f": "four\n",
		"big": strings.Repeat("0123456789abcdef", 20000),
	} {
		write(t, filepath.Join(base, p), s)
	}
	if err := os.Link(base+"/f", base+"/f2"); err != nil {
		t.Fatal(err)
	}
	o, mnt = view(t, base, dir, mode)
	return base, dir, mnt, o
}

// view opens and mounts; the end of the test closes and checks.
func view(t *testing.T, base, dir string, mode fs.Options) (*overlay.Overlay, string) {
	t.Helper()
	t.Cleanup(func() { check.Test(t, dir) })
	o := open(t, base, dir)
	return o, fstest.Mount(t, o, mode)
}

func write(t *testing.T, p, s string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(s), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, p string) string {
	t.Helper()
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func ino(t *testing.T, p string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	return st.Ino
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what an edit of the base brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func TestNumbersStay(t *testing.T) { fstest.Modes(t, numbersStay) }

func numbersStay(t *testing.T, mode fs.Options) {
	base, dir, mnt, o := workspace(t, mode)
	c, d, own := ino(t, mnt+"/a/b/c.txt"), ino(t, mnt+"/a/b"), uint64(0)
	if c != ino(t, base+"/a/b/c.txt") {
		t.Fatal("an untouched file has not the number of the base")
	}
	write(t, mnt+"/a/b/c.txt", "changed")
	must(t, os.Chmod(mnt+"/a/b", 0o700))
	must(t, os.Rename(mnt+"/a/b", mnt+"/moved"))
	write(t, mnt+"/moved/new", "new")
	own = ino(t, mnt+"/moved/new")
	same := func(mnt string) {
		t.Helper()
		if ino(t, mnt+"/moved/c.txt") != c || ino(t, mnt+"/moved") != d || ino(t, mnt+"/moved/new") != own {
			t.Error("a number changed")
		}
	}
	same(mnt)
	s, err := o.Freeze()
	must(t, err)
	write(t, mnt+"/moved/c.txt", "changed again")
	same(mnt)
	must(t, o.Thaw(s))
	same(mnt)
	if got := read(t, mnt+"/moved/c.txt"); got != "changed again" {
		t.Errorf("after thaw: %q", got)
	}
	t.Run("reopened", func(t *testing.T) {
		// A second overlay on the same changes stands for the next process.
		must(t, o.Syncfs())
		copyDir := filepath.Join(t.TempDir(), "copy")
		must(t, os.CopyFS(copyDir, os.DirFS(dir)))
		must(t, os.Chmod(copyDir, 0o700))
		must(t, os.Chmod(copyDir+"/data", 0o700))
		must(t, filepath.Walk(copyDir, func(p string, i os.FileInfo, err error) error {
			if err == nil && !i.IsDir() {
				err = os.Chmod(p, 0o600)
			}
			return err
		}))
		_, again := view(t, base, copyDir, mode)
		same(again)
	})
}

func TestSnapshotStaysWhileWritersGoOn(t *testing.T) { fstest.Modes(t, snapshotStaysWhileWritersGoOn) }

func snapshotStaysWhileWritersGoOn(t *testing.T, mode fs.Options) {
	_, _, mnt, o := workspace(t, mode)
	write(t, mnt+"/big", strings.Repeat("x", 200000))
	write(t, mnt+"/small", "before")
	s, err := o.Freeze()
	must(t, err)
	if _, err := o.Freeze(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("second freeze: %v", err)
	}
	write(t, mnt+"/big", "short")
	write(t, mnt+"/small", "after")
	must(t, os.Remove(mnt+"/a/e"))
	for name, want := range map[string]string{"big": strings.Repeat("x", 200000), "small": "before"} {
		x, ok, err := s.Root().Lookup(name)
		if err != nil || !ok {
			t.Fatalf("%s: %v %v", name, ok, err)
		}
		content, err := x.Open()
		must(t, err)
		b := make([]byte, content.Size())
		if _, err := content.ReadAt(b, 0); err != nil || !bytes.Equal(b, []byte(want)) {
			t.Errorf("%s in the snapshot: %d bytes, %v", name, len(b), err)
		}
		must(t, content.Close())
	}
	must(t, o.Thaw(s))
	if got := read(t, mnt+"/small"); got != "after" {
		t.Errorf("after thaw: %q", got)
	}
	if _, err := os.Stat(mnt + "/a/e"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed file is back: %v", err)
	}
}

func TestBaseEditsShow(t *testing.T) { fstest.Modes(t, baseEditsShow) }

func baseEditsShow(t *testing.T, mode fs.Options) {
	base, _, mnt, _ := workspace(t, mode)
	if _, err := os.ReadDir(mnt + "/a/b"); err != nil {
		t.Fatal(err)
	}
	_ = read(t, mnt+"/a/b/c.txt")
	write(t, base+"/a/b/c.txt", "edited in place")
	eventually(t, "an edit in place", func() bool { return read(t, mnt+"/a/b/c.txt") == "edited in place" })
	write(t, base+"/a/b/.c.swp", "saved by rename")
	must(t, os.Rename(base+"/a/b/.c.swp", base+"/a/b/c.txt"))
	eventually(t, "a save by rename", func() bool { return read(t, mnt+"/a/b/c.txt") == "saved by rename" })
	write(t, base+"/a/b/new", "new")
	eventually(t, "a new file in the listing", func() bool {
		l, err := os.ReadDir(mnt + "/a/b")
		return err == nil && len(l) == 3
	})
	must(t, os.Remove(base+"/a/b/new"))
	eventually(t, "a removed file", func() bool {
		_, err := os.Stat(mnt + "/a/b/new")
		return errors.Is(err, os.ErrNotExist)
	})
	write(t, mnt+"/a/b/d.txt", "mine")
	write(t, base+"/a/b/.d.swp", "theirs")
	must(t, os.Rename(base+"/a/b/.d.swp", base+"/a/b/d.txt"))
	write(t, base+"/a/b/marker", "")
	eventually(t, "the marker", func() bool { _, err := os.Stat(mnt + "/a/b/marker"); return err == nil })
	if got := read(t, mnt+"/a/b/d.txt"); got != "mine" {
		t.Errorf("the view lost its version: %q", got)
	}
	must(t, os.RemoveAll(base+"/a"))
	must(t, os.MkdirAll(base+"/a/b", 0o755))
	eventually(t, "the view's version under a directory made anew", func() bool {
		b, err := os.ReadFile(mnt + "/a/b/d.txt")
		return err == nil && string(b) == "mine"
	})
}

func TestLinksOfTheBaseStayTogether(t *testing.T) { fstest.Modes(t, linksOfTheBaseStayTogether) }

func linksOfTheBaseStayTogether(t *testing.T, mode fs.Options) {
	base, _, mnt, _ := workspace(t, mode)
	write(t, mnt+"/f", "by the first name")
	if got := read(t, mnt+"/f2"); got != "by the first name" {
		t.Errorf("by the second name: %q", got)
	}
	if ino(t, mnt+"/f") != ino(t, mnt+"/f2") {
		t.Error("two numbers for one file")
	}
	must(t, os.Remove(mnt+"/f"))
	if got := read(t, mnt+"/f2"); got != "by the first name" {
		t.Errorf("after the first name has gone: %q", got)
	}
	if got := read(t, base+"/f"); got != "four\n" {
		t.Errorf("base: %q", got)
	}
}

func TestDiscard(t *testing.T) { fstest.Modes(t, discardShowsTheBase) }

func discardShowsTheBase(t *testing.T, mode fs.Options) {
	_, _, mnt, o := workspace(t, mode)
	write(t, mnt+"/a/b/c.txt", "changed")
	must(t, os.Remove(mnt+"/a/b/d.txt"))
	must(t, os.Rename(mnt+"/a/b", mnt+"/moved"))
	write(t, mnt+"/new/x", "x")
	open, err := os.Open(mnt + "/new/x")
	must(t, err)
	must(t, os.Remove(mnt+"/f"))
	must(t, o.Discard([]string{"moved", "new"}))
	eventually(t, "the directory is back", func() bool {
		b, err := os.ReadFile(mnt + "/a/b/c.txt")
		return err == nil && string(b) == "one\n"
	})
	if got := read(t, mnt+"/a/b/d.txt"); got != "two\n" {
		t.Errorf("removed file: %q", got)
	}
	for _, gone := range []string{"/moved", "/new", "/f"} {
		eventually(t, gone+" is gone", func() bool {
			_, err := os.Stat(mnt + gone)
			return errors.Is(err, os.ErrNotExist)
		})
	}
	b := make([]byte, 10)
	if n, err := open.Read(b); n != 1 || err != nil {
		t.Errorf("open file after discard: %d %v", n, err)
	}
	must(t, open.Close())
	must(t, o.Discard(nil))
	eventually(t, "everything is back", func() bool {
		b, err := os.ReadFile(mnt + "/f")
		return err == nil && string(b) == "four\n"
	})
}

func TestFullDisk(t *testing.T) { fstest.Modes(t, fullDisk) }

func fullDisk(t *testing.T, mode fs.Options) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	disk := t.TempDir()
	must(t, unix.Mount("tmpfs", disk, "tmpfs", 0, "size=24m"))
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	base := t.TempDir()
	write(t, base+"/kept", "kept")
	o, mnt := view(t, base, disk+"/changes", mode)
	write(t, mnt+"/first", strings.Repeat("f", 100000))
	var err error
	f, cerr := os.Create(mnt + "/filler")
	must(t, cerr)
	for chunk := bytes.Repeat([]byte("z"), 1<<20); err == nil; {
		if _, err = f.Write(chunk); err == nil && mode.Writeback {
			err = f.Sync() // a write is into the cache
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("full disk: %v", err)
	}
	if err := f.Close(); err != nil && !mode.Writeback {
		t.Fatal(err)
	}
	for i := range 100 {
		must(t, os.WriteFile(mnt+"/small"+string(rune('a'+i%26)), nil, 0o644))
	}
	must(t, os.Remove(mnt+"/kept"))
	must(t, os.Remove(mnt+"/filler"))
	write(t, mnt+"/after", strings.Repeat("a", 1<<20))
	if got := read(t, mnt+"/first"); len(got) != 100000 {
		t.Errorf("a file from before: %d bytes", len(got))
	}
	must(t, o.ReadOnly())
}
