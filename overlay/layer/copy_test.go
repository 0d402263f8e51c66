package layer

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

const mib = 1 << 20

// sparse makes a file of 64 MiB with data at the start, in the middle, and a
// hole at the end.
func sparse(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	check(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("start"), 0)
	check(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte("m"), 300_000), 20*mib+17)
	check(t, err)
	check(t, f.Truncate(64*mib))
}

func TestCopyKeepsHoles(t *testing.T) {
	dir, fd := tempDir(t)
	sparse(t, join(dir, "src"))
	src := openFile(t, join(dir, "src"), unix.O_RDONLY)
	for _, n := range []int64{-1, 64 * mib, 100 * mib, 40 * mib, 20*mib + 100, 10 * mib, 3, 0} {
		os.Remove(join(dir, "dst"))
		dst := openFile(t, join(dir, "dst"), unix.O_RDWR|unix.O_CREAT)
		check(t, Copy(dst, src, n))
		size := n
		if n < 0 || n > 64*mib {
			size = 64 * mib
		}
		var s Stat
		check(t, Statx(fd, "dst", &s))
		if s.Size != size || s.Blocks > 2*mib/512 {
			t.Errorf("%d: size %d in %d blocks", n, s.Size, s.Blocks)
		}
		same(t, join(dir, "src"), join(dir, "dst"), size)
	}
}

func same(t *testing.T, a, b string, n int64) {
	t.Helper()
	x, err := os.ReadFile(a)
	check(t, err)
	y, err := os.ReadFile(b)
	check(t, err)
	if !bytes.Equal(x[:n], y) {
		t.Errorf("%s and %s differ", a, b)
	}
}

func TestCopyToAnotherFileSystem(t *testing.T) {
	dir, _ := tempDir(t)
	if _, err := os.Stat("/dev/shm"); err != nil {
		t.Skip("no /dev/shm to copy to")
	}
	shm, err := os.MkdirTemp("/dev/shm", "layer")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(shm) })
	sparse(t, join(dir, "src"))
	check(t, Copy(openFile(t, join(shm, "dst"), unix.O_RDWR|unix.O_CREAT), openFile(t, join(dir, "src"), unix.O_RDONLY), -1))
	same(t, join(dir, "src"), join(shm, "dst"), 64*mib)
	var s Stat
	check(t, Statx(openFile(t, shm, unix.O_PATH), "dst", &s))
	if s.Blocks > 2*mib/512 {
		t.Errorf("%d blocks", s.Blocks)
	}
}

func TestCopyByHand(t *testing.T) {
	dir, _ := tempDir(t)
	text := make([]byte, 3*bufSize+1234)
	rand.NewChaCha8([32]byte{1}).Read(text)
	check(t, os.WriteFile(join(dir, "src"), text, 0o644))
	src := openFile(t, join(dir, "src"), unix.O_RDONLY)
	dst := openFile(t, join(dir, "dst"), unix.O_RDWR|unix.O_CREAT)
	n, err := copyByHand(dst, 0, src, 0, 1<<40)
	check(t, err)
	if n != int64(len(text)) {
		t.Errorf("%d bytes of %d", n, len(text))
	}
	same(t, join(dir, "src"), join(dir, "dst"), int64(len(text)))
}

func TestCopyRange(t *testing.T) {
	dir, _ := tempDir(t)
	write(t, join(dir, "f"), "0123456789")
	write(t, join(dir, "g"), "abc")
	f := openFile(t, join(dir, "f"), unix.O_RDWR)
	g := openFile(t, join(dir, "g"), unix.O_RDWR)
	for _, c := range []struct {
		name                   string
		dst, src               int
		dstOff, srcOff, n, got int64
		err                    error
	}{
		{"inside", g, f, 1, 2, 3, 3, nil},
		{"over the end", g, f, 4, 8, 100, 2, nil},
		{"behind the end", g, f, 0, 100, 5, 0, nil},
		{"nothing", g, f, 0, 0, 0, 0, nil},
		{"one file", f, f, 5, 0, 5, 5, nil},
		{"overlapping", f, f, 1, 0, 5, 0, unix.EINVAL},
	} {
		n, err := CopyRange(c.dst, c.dstOff, c.src, c.srcOff, c.n)
		want(t, c.name, err, c.err)
		if n != c.got {
			t.Errorf("%s: %d bytes, want %d", c.name, n, c.got)
		}
	}
	for name, text := range map[string]string{"f": "0123401234", "g": "a23489"} {
		if b, _ := os.ReadFile(join(dir, name)); string(b) != text {
			t.Errorf("%s: %q", name, b)
		}
	}
}
