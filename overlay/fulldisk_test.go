package overlay_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/overlay"
	"astrid/overlay/check"
)

// smallDisk is an ext4 on a loop device, or a tmpfs where there is none.
func smallDisk(t *testing.T) string {
	t.Helper()
	fstest.NeedRoot(t)
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	mounted := func(name string, args ...string) bool {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Logf("%s: %v: %s", name, err, bytes.TrimSpace(out))
		}
		return err == nil
	}
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 40<<20))
	if !mounted("mkfs.ext4", "-q", "-m", "0", image) || !mounted("mount", "-o", "loop", image, dir) {
		if !mounted("mount", "-t", "tmpfs", "-o", "size=24m", "none", dir) {
			t.Skip("no small disk can be made here")
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFullDiskAnywhere fills the disk up to so much at a time, so that sooner or
// later each operation is the one that meets its end: it is done or it is not, says
// ENOSPC, and everything works again when there is space.
func TestFullDiskAnywhere(t *testing.T) { fstest.Modes(t, fullDiskAnywhere) }

func fullDiskAnywhere(t *testing.T, mode fs.Options) {
	disk := smallDisk(t)
	full := 0
	for free := int64(0); free <= 2<<20; free += max(4096, free/3&^4095) {
		t.Run(fmt.Sprint(free>>10, "KiB"), func(t *testing.T) {
			if fullDiskAt(t, mode, disk, free) {
				full++
			}
		})
	}
	if full == 0 {
		t.Error("the disk was never full")
	}
}

// want is what a file may hold: nothing else, whatever failed.
type want struct{ before, after string }

func fullDiskAt(t *testing.T, mode fs.Options, disk string, free int64) (full bool) {
	base, dir := t.TempDir(), filepath.Join(disk, "changes")
	big := strings.Repeat("0123456789abcdef", 20_000)
	for name, s := range map[string]string{"big": big, "small": "small", "moved": "moved", "cut": big, "gone": "gone"} {
		write(t, base+"/"+name, s)
	}
	o, err := overlay.Open(t.Context(), overlay.Config{Base: base, Dir: dir})
	must(t, err)
	t.Cleanup(func() {
		must(t, o.Close())
		check.Test(t, dir)
		must(t, os.RemoveAll(dir))
	})
	mnt := fstest.Mount(t, o, mode)
	fill(t, disk, free)
	for name, do := range map[string]func() error{
		"big":     func() error { return patch(mnt+"/big", "X", 100_000) },
		"small":   func() error { return patch(mnt+"/small", "S", 0) },
		"cut":     func() error { return os.Truncate(mnt+"/cut", 70_000) },
		"mkdir":   func() error { return os.Mkdir(mnt+"/mkdir", 0o755) },
		"renamed": func() error { return os.Rename(mnt+"/moved", mnt+"/renamed") },
		"made":    func() error { return patch(mnt+"/made", strings.Repeat("m", 300_000), 0) },
		"mode":    func() error { return os.Chmod(mnt+"/small", 0o600) },
		"xattr":   func() error { return unix.Setxattr(mnt+"/gone", "user.a", bytes.Repeat([]byte("v"), 3000), 0) },
		"gone":    func() error { return os.Remove(mnt + "/gone") },
	} {
		err := do()
		if errors.Is(err, unix.ENOENT) && name == "xattr" {
			continue // it was removed before
		}
		if err != nil && !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "gone" && err != nil {
			t.Errorf("a full disk does not let go of a file: %v", err)
		}
		full = full || err != nil
	}
	must(t, os.Remove(disk+"/filler"))
	must(t, o.ReadOnly())
	for name, w := range map[string]want{
		"big": {big, big[:100_000] + "X" + big[100_001:]}, "small": {"small", "Small"}, "cut": {big, big[:70_000]},
	} {
		if got := read(t, mnt+"/"+name); got != w.before && got != w.after {
			t.Errorf("%s has %d bytes, neither what was there nor what was written", name, len(got))
		}
	}
	for name, s := range map[string]string{"big": "again", "made": strings.Repeat("n", 200_000), "new": "new"} {
		write(t, mnt+"/"+name, s)
		if got := read(t, mnt+"/"+name); got != s {
			t.Errorf("%s has %d bytes after there was space again", name, len(got))
		}
	}
	return full
}

// patch writes into a file, made when it is not there, until it is sure to be kept.
func patch(path, s string, off int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(s), off)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// fill leaves so many bytes of a disk.
func fill(t *testing.T, disk string, free int64) {
	t.Helper()
	f, err := os.Create(disk + "/filler")
	must(t, err)
	defer f.Close()
	for step := int64(4 << 20); step >= 4096; {
		var st unix.Statfs_t
		must(t, unix.Statfs(disk, &st))
		left := int64(st.Bavail)*st.Bsize - free
		if left < 4096 {
			return
		}
		end, err := f.Seek(0, 2)
		must(t, err)
		if unix.Fallocate(int(f.Fd()), 0, end, min(step, left&^4095)) != nil {
			step /= 2
		}
	}
}
