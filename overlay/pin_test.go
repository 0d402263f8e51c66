package overlay_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/overlay"
	"astrid/overlay/check"
)

// pinned is a view of a base that is then taken away, except for its root.
func pinned(t *testing.T, pin bool, change func(mnt string)) (mnt string) {
	t.Helper()
	base, dir := t.TempDir(), filepath.Join(t.TempDir(), "changes")
	for _, name := range []string{"mode", "time", "xattr", "move", "link", "left", "right", "d/read", "d/unread", "d/in/deep"} {
		write(t, base+"/"+name, name+strings.Repeat("x", 100_000))
	}
	must(t, os.Symlink("target", base+"/symlink"))
	t.Cleanup(func() { check.Test(t, dir) })
	o, err := overlay.Open(t.Context(), overlay.Config{Base: base, Dir: dir, Pin: pin})
	must(t, err)
	t.Cleanup(func() { must(t, o.Close()) })
	mnt = fstest.Mount(t, o, fs.Options{})
	change(mnt)
	names, err := os.ReadDir(base)
	must(t, err)
	for _, n := range names {
		must(t, os.RemoveAll(base+"/"+n.Name()))
	}
	write(t, base+"/marker", "")
	eventually(t, "the marker", func() bool { _, err := os.Stat(mnt + "/marker"); return err == nil })
	return mnt
}

// TestPin: what the view has said anything of cannot vanish under it.
func TestPin(t *testing.T) {
	mnt := pinned(t, true, func(mnt string) {
		must(t, os.Chmod(mnt+"/mode", 0o600))
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, mnt+"/time", []unix.Timespec{{Sec: 1}, {Sec: 2}}, 0))
		must(t, unix.Setxattr(mnt+"/xattr", "user.a", []byte("v"), 0))
		must(t, os.Rename(mnt+"/move", mnt+"/moved"))
		must(t, os.Link(mnt+"/link", mnt+"/linked"))
		must(t, os.Rename(mnt+"/symlink", mnt+"/symlinked"))
		must(t, unix.Renameat2(unix.AT_FDCWD, mnt+"/left", unix.AT_FDCWD, mnt+"/right", unix.RENAME_EXCHANGE))
		must(t, os.Rename(mnt+"/d", mnt+"/e"))
		_ = read(t, mnt+"/e/read")
		_ = read(t, mnt+"/e/in/deep")
	})
	for name, was := range map[string]string{
		"mode": "mode", "time": "time", "xattr": "xattr", "moved": "move", "link": "link", "linked": "link",
		"left": "right", "right": "left", "e/read": "d/read", "e/in/deep": "d/in/deep",
	} {
		if got := readDirect(t, mnt+"/"+name); got != was+strings.Repeat("x", 100_000) {
			t.Errorf("%s has %.20q (%d bytes)", name, got, len(got))
		}
	}
	if to, err := os.Readlink(mnt + "/symlinked"); err != nil || to != "target" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(mnt+"/mode", &st); err != nil || st.Mode&0o777 != 0o600 {
		t.Errorf("mode %o, %v", st.Mode, err)
	}
	if err := unix.Stat(mnt+"/time", &st); err != nil || st.Mtim.Sec != 2 {
		t.Errorf("mtime %d, %v", st.Mtim.Sec, err)
	}
}

// readDirect reads past the page cache.
func readDirect(t *testing.T, p string) string {
	t.Helper()
	f, err := os.OpenFile(p, os.O_RDONLY|unix.O_DIRECT, 0)
	must(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	must(t, err)
	return string(b)
}

// TestWithoutPin is what pinning is against.
func TestWithoutPin(t *testing.T) {
	mnt := pinned(t, false, func(mnt string) { must(t, os.Rename(mnt+"/move", mnt+"/moved")) })
	if _, err := os.ReadFile(mnt + "/moved"); !errors.Is(err, unix.ESTALE) {
		t.Errorf("a moved file that the base has lost: %v", err)
	}
}
