package fstest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func fallocate(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "data")
	fd := open(t, path, unix.O_RDWR)
	err := unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 100_000)
	if err == unix.EOPNOTSUPP {
		t.Skip("the disk below cannot allocate")
	}
	ok(t, err)
	if st := stat(t, path); st.Size != 4 {
		t.Errorf("size is %d with KEEP_SIZE", st.Size)
	}
	ok(t, unix.Fallocate(fd, 0, 0, 50_000))
	if st := stat(t, path); st.Size != 50_000 {
		t.Errorf("size is %d", st.Size)
	}
	holds(t, path, "data"+strings.Repeat("\x00", 49_996))
	is(t, "no length", unix.Fallocate(fd, 0, 0, 0), unix.EINVAL)
	r := open(t, path, unix.O_RDONLY)
	is(t, "on a reader", unix.Fallocate(r, 0, 0, 10), unix.EBADF)
}

func punchHole(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	content := bytes.Repeat([]byte("0123456789abcdef"), 16<<10) // 256 KiB
	ok(t, os.WriteFile(path, content, 0o644))
	fd := open(t, path, unix.O_RDWR)
	// Read some, so that the hole must reach the page cache too.
	_, err := unix.Pread(fd, make([]byte, 200_000), 0)
	ok(t, err)
	err = unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 5000, 150_000)
	if err == unix.EOPNOTSUPP {
		t.Skip("the disk below cannot punch holes")
	}
	ok(t, err)
	clear(content[5000:155_000])
	holds(t, path, string(content))
	err = unix.Fallocate(fd, unix.FALLOC_FL_ZERO_RANGE, 200_000, 100_000)
	if err == unix.EOPNOTSUPP {
		return
	}
	ok(t, err)
	clear(content[200_000:])
	holds(t, path, string(content)+strings.Repeat("\x00", 300_000-len(content)))
}

func seekHole(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	fd := open(t, path, unix.O_CREAT|unix.O_RDWR)
	const mib = 1 << 20
	_, err := unix.Pwrite(fd, []byte("tail"), 4*mib)
	ok(t, err)
	data, err := unix.Seek(fd, 0, unix.SEEK_DATA)
	ok(t, err)
	if data < 0 || data > 4*mib {
		t.Errorf("data begins at %d", data)
	}
	hole, err := unix.Seek(fd, 4*mib, unix.SEEK_HOLE)
	ok(t, err)
	if hole != 4*mib+4 {
		t.Errorf("the hole at the end is at %d", hole)
	}
	_, err = unix.Seek(fd, 4*mib+4, unix.SEEK_DATA)
	is(t, "data beyond the end", err, unix.ENXIO)
	_, err = unix.Seek(fd, 5*mib, unix.SEEK_HOLE)
	is(t, "a hole beyond the end", err, unix.ENXIO)
	end, err := unix.Seek(fd, 0, unix.SEEK_END)
	ok(t, err)
	if end != 4*mib+4 {
		t.Errorf("the end is at %d", end)
	}
}

func copyFileRange(t *testing.T, dir string) {
	content := strings.Repeat("copy me ", 50_000)
	put(t, dir+"/src", content)
	put(t, dir+"/dst", "head")
	src := open(t, dir+"/src", unix.O_RDONLY)
	dst := open(t, dir+"/dst", unix.O_RDWR)
	from, to := int64(8), int64(4)
	for want := len(content) - 8; want > 0; {
		n, err := unix.CopyFileRange(src, &from, dst, &to, want, 0)
		ok(t, err)
		if n == 0 {
			t.Fatalf("the copy ends %d bytes early", want)
		}
		want -= n
	}
	holds(t, dir+"/dst", "head"+content[8:])
	n, err := unix.CopyFileRange(src, &from, dst, &to, 100, 0)
	if n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
}
