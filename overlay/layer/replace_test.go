package layer

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRenames(t *testing.T) {
	dir, fd := tempDir(t)
	write(t, join(dir, "a"), "a")
	write(t, join(dir, "b"), "b")
	want(t, "onto b", RenameNoreplace(fd, "a", fd, "b"), unix.EEXIST)
	want(t, "exchange with nothing", Exchange(fd, "a", fd, "c"), unix.ENOENT)
	check(t, Exchange(fd, "a", fd, "b"))
	check(t, RenameNoreplace(fd, "a", fd, "c"))
	for name, text := range map[string]string{"b": "a", "c": "b"} {
		if b, err := os.ReadFile(join(dir, name)); string(b) != text {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir, fd := tempDir(t)
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	write(t, join(dir, "f"), "the old one")
	write(t, join(dir, "f"+TempSuffix), "left behind by a crash")
	check(t, WriteFile(fd, "f", []byte("new"), 0o644))
	var s Stat
	check(t, Statx(fd, "f", &s))
	b, err := os.ReadFile(join(dir, "f"))
	if string(b) != "new" || err != nil || s.Mode != unix.S_IFREG|0o644 {
		t.Errorf("%q %v, mode %o", b, err, s.Mode)
	}
	check(t, os.Mkdir(join(dir, "d"), 0o755))
	want(t, "onto a directory", WriteFile(fd, "d", nil, 0o644), unix.EISDIR)
	names, err := os.ReadDir(dir)
	check(t, err)
	if len(names) != 2 {
		t.Errorf("left behind: %v", names)
	}
}

func TestSyncDirByPath(t *testing.T) {
	dir, path := tempDir(t)
	check(t, SyncDir(path))
	check(t, SyncDir(openFile(t, dir, unix.O_RDONLY|unix.O_DIRECTORY)))
	want(t, "not open", SyncDir(-1), unix.EBADF)
}

func TestLock(t *testing.T) {
	dir, _ := tempDir(t)
	a := openFile(t, join(dir, "f"), unix.O_RDWR|unix.O_CREAT)
	b := openFile(t, join(dir, "f"), unix.O_RDWR)
	check(t, Lock(a))
	want(t, "held by another", TryLock(b), unix.EWOULDBLOCK)
	check(t, unix.Flock(a, unix.LOCK_UN))
	check(t, TryLock(b))
}

func TestMountpoints(t *testing.T) {
	const info = `21 1 0:19 / / rw - ext4 /dev/vda rw
22 21 0:20 / /w rw - ext4 a b
23 22 0:21 / /w/a\040b rw,relatime shared:1 - tmpfs t rw
24 23 0:22 / /w/a\040b/c\134d rw - proc p rw
25 21 0:23 / /wide rw - tmpfs t rw
26 23 0:24 / /w/a\040b rw - tmpfs t rw
broken
`
	for path, expected := range map[string][]string{
		"/w":  {"a b", `a b/c\d`},
		"/w/": {"a b", `a b/c\d`},
		"/":   {"w", "w/a b", `w/a b/c\d`, "wide"},
		"/x":  nil,
	} {
		got := mountpointsIn(info, path)
		if len(got) != len(expected) {
			t.Errorf("%s: %q", path, got)
			continue
		}
		for i := range got {
			if got[i] != expected[i] {
				t.Errorf("%s: %q", path, got)
			}
		}
	}
	all, err := Mountpoints("/")
	check(t, err)
	if len(all) == 0 {
		t.Error("/proc is not mounted?")
	}
}
