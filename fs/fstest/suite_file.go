package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// errnoOf finds the errno in an error; 0 when there is none.
func errnoOf(err error) unix.Errno {
	var e unix.Errno
	if errors.As(err, &e) {
		return e
	}
	return 0
}

func readWriteClose(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "hello")
	holds(t, path, "hello")
	fd := open(t, path, unix.O_RDWR)
	_, err := unix.Pwrite(fd, []byte("J"), 0)
	ok(t, err)
	holds(t, path, "Jello")
	big := strings.Repeat("0123456789abcdef", 200_000) // larger than one request
	put(t, path, big)
	holds(t, path, big)
	if n, err := unix.Pread(fd, make([]byte, 10), int64(len(big))); n != 0 || err != nil {
		t.Errorf("read at the end: %d, %v", n, err)
	}
}

func truncate(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "0123456789")
	ok(t, os.Truncate(path, 4))
	holds(t, path, "0123")
	fd := open(t, path, unix.O_RDWR)
	ok(t, unix.Ftruncate(fd, 2))
	holds(t, path, "01")
	is(t, "truncate of a directory", unix.Truncate(dir, 0), unix.EISDIR)
}

func truncateExtends(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, strings.Repeat("x", 100_000))
	ok(t, os.Truncate(path, 10))
	ok(t, os.Truncate(path, 70_000))
	holds(t, path, strings.Repeat("x", 10)+strings.Repeat("\x00", 69_990))
	fd := open(t, path, unix.O_RDWR)
	_, err := unix.Pwrite(fd, []byte("end"), 100_000)
	ok(t, err)
	holds(t, path, strings.Repeat("x", 10)+strings.Repeat("\x00", 99_990)+"end")
}

func openTrunc(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "something")
	reader := open(t, path, unix.O_RDONLY)
	open(t, path, unix.O_WRONLY|unix.O_TRUNC)
	holds(t, path, "")
	if n, err := unix.Read(reader, make([]byte, 4)); n != 0 || err != nil {
		t.Errorf("an open reader reads %d, %v", n, err)
	}
}

func openExcl(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	open(t, path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY)
	_, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644)
	is(t, "O_EXCL of what is there", err, unix.EEXIST)
	ok(t, unix.Symlink("nowhere", path+"l"))
	_, err = unix.Open(path+"l", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644)
	is(t, "O_EXCL of a dangling symlink", err, unix.EEXIST)
	_, err = unix.Open(path+"l", unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	is(t, "O_NOFOLLOW of a symlink", err, unix.ELOOP)
	_, err = unix.Open(path, unix.O_DIRECTORY|unix.O_RDONLY, 0)
	is(t, "O_DIRECTORY of a file", err, unix.ENOTDIR)
	_, err = unix.Open(dir, unix.O_WRONLY, 0)
	is(t, "writing a directory", err, unix.EISDIR)
}

func appendByTwo(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	a := open(t, path, unix.O_CREAT|unix.O_WRONLY|unix.O_APPEND)
	b := open(t, path, unix.O_WRONLY|unix.O_APPEND)
	var want strings.Builder
	for i := range 200 {
		fd, line := a, fmt.Sprintf("a%d\n", i)
		if i%2 == 1 {
			fd, line = b, fmt.Sprintf("b%d\n", i)
		}
		_, err := unix.Write(fd, []byte(line))
		ok(t, err)
		want.WriteString(line)
	}
	holds(t, path, want.String())
	ok(t, os.Truncate(path, 3))
	_, err := unix.Write(b, []byte("z"))
	ok(t, err)
	holds(t, path, "a0\nz")
}

func unlinkedOpen(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "kept")
	fd := open(t, path, unix.O_RDWR)
	ok(t, os.Remove(path))
	gone(t, path)
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	if st.Nlink != 0 {
		t.Errorf("nlink of an unlinked file is %d", st.Nlink)
	}
	buf := make([]byte, 16)
	n, err := unix.Pread(fd, buf, 0)
	ok(t, err)
	if string(buf[:n]) != "kept" {
		t.Errorf("reads %q", buf[:n])
	}
	_, err = unix.Pwrite(fd, bytes.Repeat([]byte("w"), 200_000), 4)
	ok(t, err)
	ok(t, unix.Ftruncate(fd, 6))
	n, err = unix.Pread(fd, buf, 0)
	ok(t, err)
	if string(buf[:n]) != "keptww" {
		t.Errorf("reads %q after writing", buf[:n])
	}
	put(t, path, "another")
	n, _ = unix.Pread(fd, buf, 0)
	if string(buf[:n]) != "keptww" {
		t.Errorf("reads %q after the name was made again", buf[:n])
	}
	ok(t, unix.Fsync(fd))
}

func removedDirectory(t *testing.T, dir string) {
	path := filepath.Join(dir, "d")
	ok(t, os.Mkdir(path, 0o755))
	fd := open(t, path, unix.O_RDONLY|unix.O_DIRECTORY)
	ok(t, os.Remove(path))
	_, err := unix.Openat(fd, "f", unix.O_CREAT|unix.O_WRONLY, 0o644)
	is(t, "creating in a removed directory", err, unix.ENOENT)
	is(t, "mkdir in a removed directory", unix.Mkdirat(fd, "d", 0o755), unix.ENOENT)
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	if st.Nlink != 0 {
		t.Errorf("nlink of a removed directory is %d", st.Nlink)
	}
}

func tmpfileLink(t *testing.T, dir string) {
	fd := open(t, dir, unix.O_TMPFILE|unix.O_RDWR)
	_, err := unix.Write(fd, []byte("nameless"))
	ok(t, err)
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("the directory lists %v, %v", names, err)
	}
	path := filepath.Join(dir, "f")
	ok(t, unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW))
	holds(t, path, "nameless")
	if st := stat(t, path); st.Nlink != 1 {
		t.Errorf("nlink is %d", st.Nlink)
	}
}

func statAfterWrite(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "x")
	before := stat(t, path)
	fd := open(t, path, unix.O_WRONLY)
	_, err := unix.Pwrite(fd, []byte("0123456789"), 5)
	ok(t, err)
	after := stat(t, path)
	if after.Size != 15 {
		t.Errorf("size is %d", after.Size)
	}
	if later(before.Mtim, after.Mtim) || later(before.Ctim, after.Ctim) {
		t.Errorf("times went back: %v %v, %v %v", before.Mtim, after.Mtim, before.Ctim, after.Ctim)
	}
	if after.Ino != before.Ino || after.Dev != before.Dev {
		t.Error("a write changed the file's number")
	}
	ok(t, unix.Close(dup(t, fd)))
	if again := stat(t, path); again.Mtim != after.Mtim {
		t.Errorf("mtime moved at close: %v, %v", after.Mtim, again.Mtim)
	}
}

func later(a, b unix.Timespec) bool { return a.Nano() > b.Nano() }

func dup(t testing.TB, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	ok(t, err)
	return n
}

func directIO(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, strings.Repeat("a", 8192))
	fd := open(t, path, unix.O_RDWR|unix.O_DIRECT)
	block := aligned(4096)
	for i := range block {
		block[i] = 'b'
	}
	_, err := unix.Pwrite(fd, block, 4096)
	ok(t, err)
	holds(t, path, strings.Repeat("a", 4096)+strings.Repeat("b", 4096))
	put(t, path+"2", "x")
	w := open(t, path, unix.O_WRONLY)
	_, err = unix.Pwrite(w, []byte("c"), 0)
	ok(t, err)
	n, err := unix.Pread(fd, block, 0)
	ok(t, err)
	if n != 4096 || block[0] != 'c' || block[1] != 'a' {
		t.Errorf("direct read sees %d bytes, %q", n, block[:2])
	}
}

// aligned makes a buffer for O_DIRECT.
func aligned(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic("no memory for an aligned buffer")
	}
	return b
}

func statfs(t *testing.T, dir string) {
	var st unix.Statfs_t
	ok(t, unix.Statfs(dir, &st))
	if st.Bsize <= 0 || st.Blocks == 0 || st.Bavail > st.Blocks || st.Namelen != 255 {
		t.Errorf("statfs says %+v", st)
	}
}

func fsync(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "durable")
	fd := open(t, path, unix.O_WRONLY)
	ok(t, unix.Fsync(fd))
	ok(t, unix.Fdatasync(fd))
	d := open(t, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	ok(t, unix.Fsync(d))
	ok(t, unix.Syncfs(d))
}

func manyOpen(t *testing.T, dir string) {
	const n = 500
	files := make([]*os.File, n)
	for i := range files {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		ok(t, err)
		defer f.Close()
		_, err = fmt.Fprintf(f, "file %d", i)
		ok(t, err)
		if i%2 == 0 {
			ok(t, os.Remove(f.Name()))
		}
		files[i] = f
	}
	for i, f := range files {
		got, err := io.ReadAll(io.NewSectionReader(f, 0, 100))
		if want := fmt.Sprintf("file %d", i); err == nil || string(got) == want {
			continue
		}
		if errnoOf(err) != unix.EBADF { // os.Create opens for reading too
			t.Errorf("file %d reads %q, %v", i, got, err)
		}
	}
}
