package fstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func oddNames(t *testing.T, dir string) {
	names := []string{
		"new\nline", "non\xff\xfeutf8", " ", "-rf", `back\slash`, "tab\t", ".wh.x", "..x", "...",
		strings.Repeat("n", 255), strings.Repeat("\xc3\xa9", 127), "\x01\x7f", "*?[", ".go-fuse-epoll-hack",
	}
	for _, n := range names {
		path := dir + "/" + n
		put(t, path, n)
		holds(t, path, n)
	}
	entries, err := os.ReadDir(dir)
	ok(t, err)
	if len(entries) != len(names) {
		t.Errorf("lists %d names of %d", len(entries), len(names))
	}
	seen := make(map[string]bool)
	for _, e := range entries {
		seen[e.Name()] = true
	}
	for _, n := range names {
		if !seen[n] {
			t.Errorf("%q is not listed", n)
		}
		ok(t, unix.Rename(dir+"/"+n, dir+"/moved"))
		ok(t, unix.Rename(dir+"/moved", dir+"/"+n))
		ok(t, unix.Unlink(dir+"/"+n))
	}
}

func longNames(t *testing.T, dir string) {
	long := strings.Repeat("n", 256)
	var st unix.Stat_t
	is(t, "stat", unix.Lstat(dir+"/"+long, &st), unix.ENAMETOOLONG)
	_, err := unix.Open(dir+"/"+long, unix.O_CREAT|unix.O_WRONLY, 0o644)
	is(t, "create", err, unix.ENAMETOOLONG)
	is(t, "mkdir", unix.Mkdir(dir+"/"+long, 0o755), unix.ENAMETOOLONG)
	is(t, "symlink", unix.Symlink("x", dir+"/"+long), unix.ENAMETOOLONG)
	put(t, dir+"/f", "")
	is(t, "rename", unix.Rename(dir+"/f", dir+"/"+long), unix.ENAMETOOLONG)
	is(t, "link", unix.Link(dir+"/f", dir+"/"+long), unix.ENAMETOOLONG)
	// Below a deep directory the path may be as long as any.
	fd := open(t, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	for range 20 {
		ok(t, unix.Mkdirat(fd, long[:255], 0o755))
		next, err := unix.Openat(fd, long[:255], unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		ok(t, err)
		t.Cleanup(func() { unix.Close(next) })
		fd = next
	}
	f, err := unix.Openat(fd, "deep", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	ok(t, err)
	unix.Close(f)
}

func symlinks(t *testing.T, dir string) {
	for _, target := range []string{"nowhere", "/absolute/nowhere", "..", strings.Repeat("x/", 2000) + "y", "\xff\n"} {
		path := filepath.Join(dir, "l")
		ok(t, unix.Symlink(target, path))
		buf := make([]byte, 5000)
		n, err := unix.Readlink(path, buf)
		ok(t, err)
		if string(buf[:n]) != target {
			t.Errorf("reads %.40q, want %.40q", buf[:n], target)
		}
		st := stat(t, path)
		if st.Size != int64(len(target)) || st.Mode&unix.S_IFMT != unix.S_IFLNK {
			t.Errorf("size %d, mode %o", st.Size, st.Mode)
		}
		ok(t, unix.Unlink(path))
	}
	put(t, dir+"/f", "through")
	ok(t, unix.Symlink("f", dir+"/to-f"))
	holds(t, dir+"/to-f", "through")
	ok(t, unix.Symlink("loop", dir+"/loop"))
	_, err := unix.Open(dir+"/loop", unix.O_RDONLY, 0)
	is(t, "a loop", err, unix.ELOOP)
	_, err = unix.Readlink(dir+"/f", make([]byte, 10))
	is(t, "readlink of a file", err, unix.EINVAL)
}

func fifo(t *testing.T, dir string) {
	path := filepath.Join(dir, "p")
	ok(t, unix.Mkfifo(path, 0o644))
	if st := stat(t, path); st.Mode&unix.S_IFMT != unix.S_IFIFO {
		t.Errorf("mode %o", st.Mode)
	}
	r := open(t, path, unix.O_RDONLY|unix.O_NONBLOCK)
	w := open(t, path, unix.O_WRONLY|unix.O_NONBLOCK)
	_, err := unix.Write(w, []byte("hi"))
	ok(t, err)
	buf := make([]byte, 4)
	n, err := unix.Read(r, buf)
	ok(t, err)
	if string(buf[:n]) != "hi" {
		t.Errorf("reads %q", buf[:n])
	}
	ok(t, unix.Unlink(path))
}

func hardLinks(t *testing.T, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	put(t, a, "one")
	ok(t, os.Link(a, b))
	sa, sb := stat(t, a), stat(t, b)
	if sa.Ino != sb.Ino || sa.Nlink != 2 || sb.Nlink != 2 {
		t.Errorf("numbers %d %d, links %d %d", sa.Ino, sb.Ino, sa.Nlink, sb.Nlink)
	}
	put(t, b, "two!")
	holds(t, a, "two!")
	ok(t, os.Chmod(a, 0o600))
	if st := stat(t, b); st.Mode&0o777 != 0o600 || st.Size != 4 {
		t.Errorf("the other name says mode %o, size %d", st.Mode, st.Size)
	}
	is(t, "link over a name", unix.Link(a, b), unix.EEXIST)
	ok(t, os.Mkdir(dir+"/d", 0o755))
	is(t, "link of a directory", unix.Link(dir+"/d", dir+"/d2"), unix.EPERM)
	ok(t, unix.Rename(a, b)) // the same object: nothing happens
	holds(t, a, "two!")
	ok(t, os.Remove(a))
	if st := stat(t, b); st.Nlink != 1 || st.Ino != sa.Ino {
		t.Errorf("links %d, number %d", st.Nlink, st.Ino)
	}
	holds(t, b, "two!")
}

func directoryLinks(t *testing.T, dir string) {
	d := filepath.Join(dir, "d")
	ok(t, os.Mkdir(d, 0o755))
	links := func(want uint64) {
		t.Helper()
		// 1 means "not counted" and is a right answer too.
		if st := stat(t, d); uint64(st.Nlink) != want && st.Nlink != 1 {
			t.Errorf("a directory has %d links, want %d", st.Nlink, want)
		}
	}
	links(2)
	ok(t, os.Mkdir(d+"/x", 0o755))
	ok(t, os.Mkdir(d+"/y", 0o755))
	put(t, d+"/f", "")
	links(4)
	ok(t, os.Remove(d+"/x"))
	links(3)
	ok(t, os.Rename(d+"/y", dir+"/y"))
	links(2)
	is(t, "rmdir of what is not empty", unix.Rmdir(d), unix.ENOTEMPTY)
	is(t, "rmdir of a file", unix.Rmdir(d+"/f"), unix.ENOTDIR)
	is(t, "unlink of a directory", unix.Unlink(d), unix.EISDIR)
}

func removeAndMakeAgain(t *testing.T, dir string) {
	d := filepath.Join(dir, "d")
	ok(t, os.MkdirAll(d+"/sub/deep", 0o755))
	put(t, d+"/sub/f", "old")
	ok(t, os.RemoveAll(d))
	ok(t, os.Mkdir(d, 0o755))
	if names, err := os.ReadDir(d); err != nil || len(names) != 0 {
		t.Errorf("the new directory lists %v, %v", names, err)
	}
	gone(t, d+"/sub")
	put(t, d+"/sub", "a file now")
	holds(t, d+"/sub", "a file now")
}
