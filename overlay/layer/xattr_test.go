package layer

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestXattrs(t *testing.T) {
	dir, fd := tempDir(t)
	write(t, join(dir, "\xff f\n"), "")
	check(t, os.Mkdir(join(dir, "d"), 0o755))
	check(t, os.Symlink("d", join(dir, "l")))
	if Setxattr(fd, "d", "user.probe", nil, 0) == unix.EOPNOTSUPP {
		t.Skip("the temporary directory has no user attributes")
	}
	check(t, Removexattr(fd, "d", "user.probe"))
	for _, name := range []string{"\xff f\n", "d"} {
		self, err := Open(fd, name, unix.O_PATH, 0)
		check(t, err)
		defer unix.Close(self)
		check(t, Setxattr(fd, name, "user.a", []byte("1"), unix.XATTR_CREATE))
		check(t, Setxattr(self, "", "user.b", nil, 0))
		check(t, Setxattr(fd, name, "user.big", []byte(strings.Repeat("v", 1000)), 0))
		want(t, "again", Setxattr(fd, name, "user.a", nil, unix.XATTR_CREATE), unix.EEXIST)
		want(t, "none", Setxattr(fd, name, "user.c", nil, unix.XATTR_REPLACE), unix.ENODATA)
		expected := map[string][]byte{"user.a": []byte("1"), "user.b": {}, "user.big": []byte(strings.Repeat("v", 1000))}
		for at, n := range map[int]string{fd: name, self: ""} {
			got, err := Xattrs(at, n)
			check(t, err)
			if d := cmp.Diff(expected, got); d != "" {
				t.Errorf("%q: %s", n, d)
			}
		}
		if n, err := Getxattr(self, "", "user.big", nil); n != 1000 || err != nil {
			t.Errorf("size: %d %v", n, err)
		}
		_, err = Getxattr(self, "", "user.big", make([]byte, 10))
		want(t, "small buffer", err, unix.ERANGE)
		check(t, Removexattr(self, "", "user.a"))
		_, err = Getxattr(fd, name, "user.a", nil)
		want(t, "removed", err, unix.ENODATA)
	}
	if m, err := Xattrs(fd, "l"); err != nil || m["user.big"] != nil {
		t.Errorf("a symbolic link was followed: %v %v", m, err)
	}
	_, err := Xattrs(fd, "nothing")
	want(t, "missing", err, unix.ENOENT)
}
