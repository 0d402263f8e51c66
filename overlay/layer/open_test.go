package layer

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// opens makes each door the same test: openat2 and what stands in for it.
var opens = map[string]func(int, string, int, uint32) (int, error){
	"openat2": Open,
	"openat": func(fd int, name string, flags int, mode uint32) (int, error) {
		return openat(fd, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, mode)
	},
}

func TestOpenRefusesToLeave(t *testing.T) {
	dir, fd := tempDir(t)
	check(t, os.MkdirAll(join(dir, "d/e"), 0o755))
	write(t, join(dir, "d/e/f"), "x")
	check(t, os.Symlink("d", join(dir, "in")))
	check(t, os.Symlink("/", join(dir, "out")))
	check(t, os.Symlink("d/e/f", join(dir, "file")))
	for how, open := range opens {
		for _, c := range []struct {
			name  string
			flags int
			err   error
		}{
			{"d/e/f", unix.O_RDONLY, nil},
			{"file", unix.O_PATH, nil},
			{"file", unix.O_RDONLY, unix.ELOOP},
			{"in/e/f", unix.O_RDONLY, unix.ELOOP},
			{"out/etc/passwd", unix.O_RDONLY, unix.ELOOP},
			{"/etc/passwd", unix.O_RDONLY, unix.EXDEV},
			{"../x", unix.O_RDONLY, unix.EXDEV},
			{"", unix.O_RDONLY, unix.ENOENT},
			{"nothing", unix.O_RDONLY, unix.ENOENT},
			{"d/e/f/g", unix.O_RDONLY, unix.ENOTDIR},
			{"new", unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL, nil},
		} {
			os.Remove(join(dir, "new"))
			n, err := open(fd, c.name, c.flags, 0o600)
			want(t, how+" "+c.name, err, c.err)
			if err != nil {
				continue
			}
			if f, _ := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); f&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s %s: inherited by children", how, c.name)
			}
			unix.Close(n)
		}
	}
}

func TestOpenPathBeyondPathMax(t *testing.T) {
	dir, fd := tempDir(t)
	part := strings.Repeat("d", 200)
	rel, at := "", fd
	for range 60 {
		check(t, unix.Mkdirat(at, part, 0o755))
		next, err := OpenDir(at, part)
		check(t, err)
		closeUnless(at, fd)
		rel, at = join(rel, part), next
	}
	f, err := Open(at, "file", unix.O_RDWR|unix.O_CREAT, 0o644)
	check(t, err)
	var here, there Stat
	check(t, Statx(f, "", &here))
	unix.Close(f)
	unix.Close(at)

	n, err := OpenPath(fd, rel+"/file", unix.O_RDONLY, 0)
	check(t, err)
	check(t, Statx(n, "", &there))
	unix.Close(n)
	if len(rel) < 2*unix.PathMax || here.Key != there.Key {
		t.Errorf("%d bytes: %+v, %+v", len(rel), here.Key, there.Key)
	}
	_, err = OpenPath(fd, rel+"/nothing", unix.O_RDONLY, 0)
	want(t, "missing", err, unix.ENOENT)
	_, err = OpenPath(fd, "/"+rel, unix.O_RDONLY, 0)
	want(t, "absolute", err, unix.EXDEV)
	_, err = OpenPath(fd, strings.Repeat("x", 6000), unix.O_RDONLY, 0)
	want(t, "a name of 6000", err, unix.ENAMETOOLONG)
	for _, self := range []string{"", "."} {
		n, err := OpenPath(fd, self, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		check(t, err)
		unix.Close(n)
	}
	check(t, os.RemoveAll(join(dir, part)))
}

func TestReopen(t *testing.T) {
	dir, fd := tempDir(t)
	write(t, join(dir, "f"), "text")
	p, err := Open(fd, "f", unix.O_PATH, 0)
	check(t, err)
	defer unix.Close(p)
	check(t, os.Remove(join(dir, "f"))) // it needs no name
	r, err := Reopen(p, unix.O_RDONLY)
	check(t, err)
	defer unix.Close(r)
	buf := make([]byte, 10)
	if n, err := unix.Pread(r, buf, 0); err != nil || string(buf[:n]) != "text" {
		t.Errorf("%q %v", buf[:n], err)
	}
}

// oddNames are legal, whatever a program thinks of them.
var oddNames = []string{
	"a", ".wh.a", "...", " ", "new\nline", "\xff\xfe", "caf\xc3\xa9", "-rf", "*", `"`, "\\", "tab\t",
	strings.Repeat("n", 255), strings.Repeat("\xe2\x82\xac", 85),
}

func TestNames(t *testing.T) {
	dir, _ := tempDir(t)
	for _, n := range oddNames {
		write(t, join(dir, n), "")
	}
	check(t, os.Mkdir(join(dir, "d"), 0o755))
	check(t, os.Symlink("x", join(dir, "l")))
	r := openFile(t, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	kinds := map[string]uint32{"d": unix.S_IFDIR, "l": unix.S_IFLNK}
	var got []string
	for range 2 { // it starts anew each time
		got = nil
		check(t, Names(r, func(name string, ino uint64, kind uint32) bool {
			var s Stat
			check(t, Statx(r, name, &s))
			if s.Ino != ino || (kind != 0 && kind != s.Mode&unix.S_IFMT) || (kinds[name] != 0 && kind != kinds[name]) {
				t.Errorf("%q: number %d, kind %o, stat %+v", name, ino, kind, s)
			}
			got = append(got, name)
			return true
		}))
	}
	expected := append([]string{"d", "l"}, oddNames...)
	slices.Sort(expected)
	slices.Sort(got)
	if !slices.Equal(got, expected) {
		t.Errorf("got %q", got)
	}
	n := 0
	check(t, Names(r, func(string, uint64, uint32) bool { n++; return n < 3 }))
	if n != 3 {
		t.Errorf("stopped after %d", n)
	}
}

func TestNamesOfALargeDirectory(t *testing.T) {
	dir, fd := tempDir(t)
	const many = 3000
	for i := range many {
		check(t, unix.Mknodat(fd, strings.Repeat("n", i%200)+string(rune('0'+i%10))+"-"+strings.Repeat("x", i/200), unix.S_IFIFO|0o600, 0))
	}
	seen := map[string]bool{}
	check(t, Names(openFile(t, dir, unix.O_RDONLY), func(name string, _ uint64, _ uint32) bool {
		seen[name] = true
		return true
	}))
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(seen) != len(entries) {
		t.Errorf("%d names of %d", len(seen), len(entries))
	}
}

func TestReadlink(t *testing.T) {
	dir, fd := tempDir(t)
	target := strings.Repeat("t/", 2047) + "x"
	check(t, os.Symlink(target, join(dir, "l")))
	write(t, join(dir, "f"), "")
	self, err := Open(fd, "l", unix.O_PATH, 0)
	check(t, err)
	defer unix.Close(self)
	for name, at := range map[string]int{"l": fd, "": self} {
		if got, err := Readlink(at, name); err != nil || got != target {
			t.Errorf("%q: %d bytes, %v", name, len(got), err)
		}
	}
	_, err = Readlink(fd, "f")
	want(t, "a file", err, unix.EINVAL)
}
