package layer

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStatx(t *testing.T) {
	dir, fd := tempDir(t)
	write(t, join(dir, "f"), "hello")
	check(t, os.Symlink("f", join(dir, "l")))
	when := time.Date(1960, 2, 3, 4, 5, 6, 123456789, time.UTC)
	check(t, os.Chtimes(join(dir, "f"), when, when))

	var f, l, self, again Stat
	check(t, Statx(fd, "f", &f))
	check(t, Statx(fd, "l", &l))
	check(t, Statx(fd, "", &self))
	check(t, Statx(openFile(t, join(dir, "f"), unix.O_RDONLY), "", &again))
	if f.Mode != unix.S_IFREG|0o644 || f.Size != 5 || f.Nlink != 1 || f.Mtime != when.UnixNano() {
		t.Errorf("file: %+v", f)
	}
	if l.Mode&unix.S_IFMT != unix.S_IFLNK || self.Mode&unix.S_IFMT != unix.S_IFDIR {
		t.Errorf("link %o, directory %o", l.Mode, self.Mode)
	}
	if f.Fingerprint() != again.Fingerprint() || f.Key.Same(l.Key) || !f.Key.Same(again.Key) {
		t.Errorf("identities: %+v %+v %+v", f.Key, again.Key, l.Key)
	}
	want(t, "missing", Statx(fd, "nothing", &f), unix.ENOENT)
	want(t, "NUL", Statx(fd, "a\x00b", &f), unix.EINVAL)
	want(t, "longest", Statx(fd, strings.Repeat("x", 255), &f), unix.ENOENT)
	want(t, "too long", Statx(fd, strings.Repeat("x", 256), &f), unix.ENAMETOOLONG)
}

func TestStatxAllocatesNothing(t *testing.T) {
	dir, fd := tempDir(t)
	write(t, join(dir, "f"), "")
	var s Stat
	if n := testing.AllocsPerRun(100, func() {
		if Statx(fd, "f", &s) != nil || Statx(fd, "", &s) != nil {
			t.Fail()
		}
	}); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

func TestKeySame(t *testing.T) {
	k := Key{Dev: 1, Ino: 2, Btime: 3, Gen: 4}
	for _, c := range []struct {
		name string
		o    Key
		same bool
	}{
		{"equal", k, true},
		{"birth unknown", Key{Dev: 1, Ino: 2, Gen: 4}, true},
		{"generation unknown", Key{Dev: 1, Ino: 2, Btime: 3}, true},
		{"other birth", Key{Dev: 1, Ino: 2, Btime: 9, Gen: 4}, false},
		{"other generation", Key{Dev: 1, Ino: 2, Btime: 3, Gen: 9}, false},
		{"other number", Key{Dev: 1, Ino: 9, Btime: 3, Gen: 4}, false},
		{"other device", Key{Dev: 9, Ino: 2, Btime: 3, Gen: 4}, false},
	} {
		if k.Same(c.o) != c.same || c.o.Same(k) != c.same {
			t.Errorf("%s: %v", c.name, !c.same)
		}
	}
}

func TestUtimes(t *testing.T) {
	dir, fd := tempDir(t)
	write(t, join(dir, "f"), "")
	check(t, os.Symlink("nowhere", join(dir, "l")))
	f := openFile(t, join(dir, "f"), unix.O_RDONLY)
	path := openFile(t, join(dir, "f"), unix.O_PATH)
	var s Stat
	for _, ns := range []int64{0, 1, -1, -999_999_999, 1_700_000_000_123_456_789} {
		check(t, Utimes(f, 5, ns))
		check(t, Statx(fd, "f", &s))
		if s.Mtime != ns || s.Atime != 5 {
			t.Errorf("%d: mtime %d, atime %d", ns, s.Mtime, s.Atime)
		}
	}
	check(t, Utimes(path, Omit, 77))
	check(t, Utimesat(fd, "l", 88, 99))
	check(t, Statx(fd, "f", &s))
	if s.Mtime != 77 || s.Atime != 5 {
		t.Errorf("O_PATH: mtime %d, atime %d", s.Mtime, s.Atime)
	}
	check(t, Statx(fd, "l", &s))
	if s.Mtime != 99 || s.Atime != 88 {
		t.Errorf("symlink: mtime %d, atime %d", s.Mtime, s.Atime)
	}
	check(t, Utimesat(fd, "", Omit, 1234))
	check(t, Statx(fd, "", &s))
	if s.Mtime != 1234 {
		t.Errorf("directory itself: mtime %d", s.Mtime)
	}
	want(t, "not open", Utimes(-1, 0, 0), unix.EBADF)
}

func TestTimesAreClamped(t *testing.T) {
	for _, c := range []struct{ sec, want int64 }{
		{math.MaxInt64, math.MaxInt64}, {math.MinInt64, math.MinInt64 + 1}, {-1, -1_000_000_000},
	} {
		if got := nanos(unix.StatxTimestamp{Sec: c.sec}); got != c.want {
			t.Errorf("%d: %d", c.sec, got)
		}
	}
}

func TestGeneration(t *testing.T) {
	dir, fd := tempDir(t)
	write(t, join(dir, "f"), "")
	named, ok := Generation(fd, "f")
	if !ok {
		t.Skip("the file system of the temporary directory has no file handles that we know")
	}
	self, ok := Generation(openFile(t, join(dir, "f"), unix.O_PATH), "")
	if !ok || named != self {
		t.Errorf("by name %d, by descriptor %d", named, self)
	}
	if _, ok := Generation(fd, "nothing"); ok {
		t.Error("a missing file has a generation")
	}
}

func TestHandleForms(t *testing.T) {
	b := []byte{1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0}
	for _, c := range []struct {
		kind int32
		n    int
		gen  uint32
		ok   bool
	}{
		{1, 8, 2, true}, {1, 12, 1, true}, {2, 16, 2, true}, {0x81, 12, 3, true}, {0x4d, 20, 5, true},
		{1, 7, 0, false}, {0x4d, 19, 0, false}, {0xff, 20, 0, false}, {0, 0, 0, false},
	} {
		if gen, ok := handleGeneration(c.kind, b[:c.n]); ok != c.ok || gen != c.gen {
			t.Errorf("type %#x of %d bytes: %d %v", c.kind, c.n, gen, ok)
		}
	}
}
