package fstest

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func renameat2(a, b string, flags uint) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, flags)
}

func renameOver(t *testing.T, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	put(t, a, "new")
	put(t, b, "old")
	fd := open(t, b, unix.O_RDWR)
	ok(t, os.Rename(a, b))
	gone(t, a)
	holds(t, b, "new")
	buf := make([]byte, 8)
	n, err := unix.Pread(fd, buf, 0)
	ok(t, err)
	if string(buf[:n]) != "old" {
		t.Errorf("the replaced file reads %q", buf[:n])
	}
	_, err = unix.Pwrite(fd, []byte("OLD"), 0)
	ok(t, err)
	holds(t, b, "new")
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	if st.Nlink != 0 {
		t.Errorf("nlink of the replaced file is %d", st.Nlink)
	}
	is(t, "rename of nothing", unix.Rename(a, b), unix.ENOENT)
}

func renameIntoItself(t *testing.T, dir string) {
	d := filepath.Join(dir, "d")
	ok(t, os.MkdirAll(d+"/e", 0o755))
	is(t, "into itself", unix.Rename(d, d+"/x"), unix.EINVAL)
	is(t, "into its child", unix.Rename(d, d+"/e/x"), unix.EINVAL)
	is(t, "exchange with its child", renameat2(d, d+"/e", unix.RENAME_EXCHANGE), unix.EINVAL)
	ok(t, unix.Rename(d, d))
}

func renameNoreplace(t *testing.T, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	put(t, a, "a")
	put(t, b, "b")
	is(t, "onto a name", renameat2(a, b, unix.RENAME_NOREPLACE), unix.EEXIST)
	holds(t, a, "a")
	holds(t, b, "b")
	ok(t, renameat2(a, dir+"/c", unix.RENAME_NOREPLACE))
	gone(t, a)
	holds(t, dir+"/c", "a")
	is(t, "both flags", renameat2(b, dir+"/c", unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE), unix.EINVAL)
}

func renameExchange(t *testing.T, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	put(t, a, "file")
	ok(t, os.Mkdir(b, 0o755))
	put(t, b+"/in", "inside")
	sa, sb := stat(t, a), stat(t, b)
	ok(t, renameat2(a, b, unix.RENAME_EXCHANGE))
	holds(t, b, "file")
	holds(t, a+"/in", "inside")
	if stat(t, b).Ino != sa.Ino || stat(t, a).Ino != sb.Ino {
		t.Error("the exchange changed a number")
	}
	is(t, "exchange with nothing", renameat2(a, dir+"/none", unix.RENAME_EXCHANGE), unix.ENOENT)
}

func renameKinds(t *testing.T, dir string) {
	f, d, full := dir+"/f", dir+"/d", dir+"/full"
	put(t, f, "f")
	ok(t, os.Mkdir(d, 0o755))
	ok(t, os.MkdirAll(full+"/x", 0o755))
	is(t, "file over directory", unix.Rename(f, d), unix.EISDIR)
	is(t, "directory over file", unix.Rename(d, f), unix.ENOTDIR)
	is(t, "directory over a full one", unix.Rename(d, full), unix.ENOTEMPTY)
	ok(t, unix.Rename(full, d))
	gone(t, full)
	if stat(t, d+"/x").Mode&unix.S_IFMT != unix.S_IFDIR {
		t.Error("the moved directory lost its content")
	}
}

func renameKeepsNumber(t *testing.T, dir string) {
	put(t, dir+"/a", "x")
	before := stat(t, dir+"/a")
	ok(t, os.Mkdir(dir+"/d", 0o755))
	ok(t, os.Rename(dir+"/a", dir+"/d/b"))
	after := stat(t, dir+"/d/b")
	if before.Ino != after.Ino || before.Mtim != after.Mtim {
		t.Errorf("number %d became %d, mtime %v became %v", before.Ino, after.Ino, before.Mtim, after.Mtim)
	}
}

func renameMovesTree(t *testing.T, dir string) {
	ok(t, os.MkdirAll(dir+"/a/b/c", 0o755))
	put(t, dir+"/a/b/c/f", "deep")
	fd := open(t, dir+"/a/b", unix.O_RDONLY|unix.O_DIRECTORY)
	ok(t, os.Mkdir(dir+"/z", 0o755))
	ok(t, os.Rename(dir+"/a", dir+"/z/a2"))
	holds(t, dir+"/z/a2/b/c/f", "deep")
	gone(t, dir+"/a")
	f, err := unix.Openat(fd, "c/f", unix.O_RDWR|unix.O_CLOEXEC, 0)
	ok(t, err)
	defer unix.Close(f)
	_, err = unix.Pwrite(f, []byte("DEEP"), 0)
	ok(t, err)
	holds(t, dir+"/z/a2/b/c/f", "DEEP")
	var up, z unix.Stat_t
	ok(t, unix.Fstatat(fd, "../..", &up, 0))
	ok(t, unix.Stat(dir+"/z", &z))
	if up.Ino != z.Ino {
		t.Errorf("above is %d, want %d", up.Ino, z.Ino)
	}
}
