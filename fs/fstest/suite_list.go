package fstest

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// listed is one entry of getdents64(2).
type listed struct {
	name string
	ino  uint64
	off  int64
	kind byte
}

// getdents reads one buffer of entries.
func getdents(t testing.TB, fd, size int) []listed {
	t.Helper()
	buf := make([]byte, size)
	n, err := unix.Getdents(fd, buf)
	ok(t, err)
	var all []listed
	for buf = buf[:n]; len(buf) > 0; {
		length := binary.NativeEndian.Uint16(buf[16:])
		name := buf[19:length]
		for i, c := range name {
			if c == 0 {
				name = name[:i]
				break
			}
		}
		all = append(all, listed{
			name: string(name), ino: binary.NativeEndian.Uint64(buf),
			off: int64(binary.NativeEndian.Uint64(buf[8:])), kind: buf[18],
		})
		buf = buf[length:]
	}
	return all
}

// listAll reads a directory to its end.
func listAll(t testing.TB, fd, size int) []listed {
	t.Helper()
	var all []listed
	for {
		part := getdents(t, fd, size)
		if len(part) == 0 {
			return all
		}
		all = append(all, part...)
	}
}

func readdirNumbers(t *testing.T, dir string) {
	put(t, dir+"/f", "")
	ok(t, os.Mkdir(dir+"/d", 0o755))
	ok(t, unix.Symlink("f", dir+"/l"))
	ok(t, unix.Mkfifo(dir+"/p", 0o644))
	ok(t, os.Link(dir+"/f", dir+"/f2"))
	for _, e := range listAll(t, open(t, dir, unix.O_RDONLY|unix.O_DIRECTORY), 4096) {
		if e.name == ".." {
			continue // a listing may not know what lies above
		}
		st := stat(t, dir+"/"+e.name)
		if st.Ino != e.ino {
			t.Errorf("%s is listed as %d and is %d", e.name, e.ino, st.Ino)
		}
		if kind := byte(st.Mode >> 12); e.kind != kind && e.kind != unix.DT_UNKNOWN {
			t.Errorf("%s is listed as kind %d and is %d", e.name, e.kind, kind)
		}
	}
}

func makeMany(t testing.TB, dir string, n int) {
	t.Helper()
	for i := range n {
		fd, err := unix.Open(fmt.Sprintf("%s/file-%05d", dir, i), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
		ok(t, err)
		unix.Close(fd)
	}
}

func readdirWhileDeleting(t *testing.T, dir string) {
	const n = 2000
	makeMany(t, dir, n)
	fd := open(t, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	seen := 0
	for {
		part := getdents(t, fd, 1024)
		if len(part) == 0 {
			break
		}
		for _, e := range part {
			if e.name == "." || e.name == ".." {
				continue
			}
			if err := unix.Unlinkat(fd, e.name, 0); err != nil {
				t.Fatalf("%s was listed twice or never was there: %v", e.name, err)
			}
			seen++
		}
	}
	if seen != n {
		t.Errorf("listed %d of %d", seen, n)
	}
	ok(t, unix.Rmdir(dir))
	ok(t, os.Mkdir(dir, 0o755))
}

// readdirMoving checks that what stays is listed exactly once while other names
// come and go.
func readdirMoving(t *testing.T, dir string) {
	const n = 600
	makeMany(t, dir, n)
	fd := open(t, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	seen := make(map[string]int)
	for round := 0; ; round++ {
		part := getdents(t, fd, 2048)
		if len(part) == 0 {
			break
		}
		for _, e := range part {
			seen[e.name]++
		}
		// Odd numbers go, ahead of the reader and behind it; others come.
		for i := 1 + 2*round; i < n; i += 101 * 2 {
			_ = unix.Unlinkat(fd, fmt.Sprintf("file-%05d", i), 0)
		}
		if round < 50 {
			put(t, fmt.Sprintf("%s/new-%d", dir, round), "")
		}
	}
	for i := 0; i < n; i += 2 {
		if name := fmt.Sprintf("file-%05d", i); seen[name] != 1 {
			t.Errorf("%s was listed %d times", name, seen[name])
		}
	}
	for name, times := range seen {
		if times > 1 {
			t.Errorf("%s was listed %d times", name, times)
		}
	}
}

// readdirSeek checks that a position can be returned to.
func readdirSeek(t *testing.T, dir string) {
	makeMany(t, dir, 300)
	fd := open(t, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	all := listAll(t, fd, 4096)
	if len(all) != 302 {
		t.Fatalf("lists %d", len(all))
	}
	for i := 0; i < len(all)-1; i += 37 {
		_, err := unix.Seek(fd, all[i].off, unix.SEEK_SET)
		ok(t, err)
		next := getdents(t, fd, 1024)
		if len(next) == 0 || next[0].name != all[i+1].name {
			t.Errorf("after %s comes %v, want %s", all[i].name, next, all[i+1].name)
		}
	}
	put(t, dir+"/late", "")
	_, err := unix.Seek(fd, 0, unix.SEEK_SET)
	ok(t, err)
	if again := listAll(t, fd, 4096); len(again) != 303 {
		t.Errorf("after a rewind %d are listed", len(again))
	}
}
