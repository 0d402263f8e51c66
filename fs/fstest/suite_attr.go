package fstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func chmod(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "x")
	before := stat(t, path)
	for _, mode := range []uint32{0o600, 0o4755, 0o2755, 0o1777, 0o000, 0o644} {
		ok(t, unix.Chmod(path, mode))
		st := stat(t, path)
		if st.Mode != unix.S_IFREG|mode {
			t.Errorf("mode is %o after chmod %o", st.Mode, mode)
		}
		if st.Mtim != before.Mtim || later(before.Ctim, st.Ctim) {
			t.Error("chmod moved mtime, or ctime back")
		}
	}
	ok(t, unix.Chmod(dir, 0o711))
	if st := stat(t, dir); st.Mode != unix.S_IFDIR|0o711 {
		t.Errorf("the directory's mode is %o", st.Mode)
	}
	ok(t, unix.Chmod(dir, 0o755))
}

// needRoot skips what only root can do.
// NeedRoot skips a test that cannot become another user here.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	NeedUsers(t)
}

// NeedUsers skips a test that speaks of other users in a user namespace without them.
func NeedUsers(t testing.TB) {
	t.Helper()
	if !known(stranger) {
		t.Skip("needs other users, and this user namespace has none")
	}
}

// known tells whether the user namespace has a user.
func known(uid uint32) bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(b)) {
		var first, outside, count uint64
		if n, _ := fmt.Sscan(line, &first, &outside, &count); n == 3 && first <= uint64(uid) && uint64(uid) < first+count {
			return true
		}
	}
	return false
}

func chown(t *testing.T, dir string) {
	NeedRoot(t)
	path := filepath.Join(dir, "f")
	put(t, path, "x")
	ok(t, unix.Chown(path, 1234, 5678))
	if st := stat(t, path); st.Uid != 1234 || st.Gid != 5678 {
		t.Errorf("owner %d:%d", st.Uid, st.Gid)
	}
	ok(t, unix.Chown(path, -1, 99))
	if st := stat(t, path); st.Uid != 1234 || st.Gid != 99 {
		t.Errorf("owner %d:%d", st.Uid, st.Gid)
	}
	ok(t, unix.Symlink("f", path+"l"))
	ok(t, unix.Lchown(path+"l", 7, 8))
	if st := stat(t, path+"l"); st.Uid != 7 || st.Gid != 8 {
		t.Errorf("the symlink's owner %d:%d", st.Uid, st.Gid)
	}
	if st := stat(t, path); st.Uid != 1234 {
		t.Errorf("lchown went through the link: %d", st.Uid)
	}
}

func chownClearsSetID(t *testing.T, dir string) {
	NeedRoot(t)
	path := filepath.Join(dir, "f")
	put(t, path, "x")
	ok(t, unix.Chmod(path, 0o6755))
	ok(t, unix.Chown(path, 1234, 5678))
	if st := stat(t, path); st.Mode&0o7777 != 0o755 {
		t.Errorf("mode is %o", st.Mode)
	}
}

func utimens(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "x")
	times := []unix.Timespec{{Sec: 1_000_000_001, Nsec: 123_456_789}, {Sec: 2_000_000_002, Nsec: 987_654_321}}
	ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, times, 0))
	st := stat(t, path)
	if st.Atim != times[0] || st.Mtim != times[1] {
		t.Errorf("times are %v %v", st.Atim, st.Mtim)
	}
	ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: 5, Nsec: 6}}, 0))
	st = stat(t, path)
	if st.Atim != times[0] || st.Mtim != (unix.Timespec{Sec: 5, Nsec: 6}) {
		t.Errorf("times are %v %v", st.Atim, st.Mtim)
	}
	ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Sec: -1, Nsec: 500}}, 0))
	st = stat(t, path)
	if !later(st.Atim, times[0]) || st.Mtim != (unix.Timespec{Sec: -1, Nsec: 500}) {
		t.Errorf("times are %v %v", st.Atim, st.Mtim)
	}
	ok(t, unix.Symlink("nowhere", path+"l"))
	ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, path+"l", times, unix.AT_SYMLINK_NOFOLLOW))
	if st := stat(t, path+"l"); st.Mtim != times[1] {
		t.Errorf("the symlink's mtime is %v", st.Mtim)
	}
}

func setGidDirectory(t *testing.T, dir string) {
	NeedRoot(t)
	d := filepath.Join(dir, "d")
	ok(t, os.Mkdir(d, 0o755))
	ok(t, unix.Chown(d, -1, 4321))
	ok(t, unix.Chmod(d, 0o2775))
	put(t, d+"/f", "")
	ok(t, os.Mkdir(d+"/sub", 0o755))
	ok(t, unix.Symlink("x", d+"/l"))
	for _, name := range []string{"f", "sub", "l"} {
		if st := stat(t, d+"/"+name); st.Gid != 4321 {
			t.Errorf("%s has group %d", name, st.Gid)
		}
	}
	if st := stat(t, d+"/sub"); st.Mode&0o2000 == 0 {
		t.Errorf("the directory below has mode %o", st.Mode)
	}
	if st := stat(t, d+"/f"); st.Mode&0o2000 != 0 {
		t.Errorf("the file below has mode %o", st.Mode)
	}
}

// umask runs in a child, since the umask belongs to the whole process.
func umask(t *testing.T, dir string) { Do(t, "umask", dir) }

func umaskTask(args []string) error {
	dir := args[0]
	unix.Umask(0o027)
	fd, err := unix.Open(dir+"/f", unix.O_CREAT|unix.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	unix.Close(fd)
	for _, step := range []error{
		unix.Mkdir(dir+"/d", 0o777), unix.Mkfifo(dir+"/p", 0o666),
		wantMode(dir+"/f", 0o640), wantMode(dir+"/d", 0o750), wantMode(dir+"/p", 0o640),
	} {
		if step != nil {
			return step
		}
	}
	unix.Umask(0)
	if err := unix.Mkdir(dir+"/open", 0o777); err != nil {
		return err
	}
	return wantMode(dir+"/open", 0o777)
}

func wantMode(path string, want uint32) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	if st.Mode&0o7777 != want {
		return fail("%s has mode %o, want %o", path, st.Mode&0o7777, want)
	}
	return nil
}

func xattr(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "x")
	const name = "user.one"
	buf := make([]byte, 100)
	_, err := unix.Getxattr(path, name, buf)
	is(t, "get of nothing", err, unix.ENODATA)
	is(t, "remove of nothing", unix.Removexattr(path, name), unix.ENODATA)
	is(t, "replace of nothing", unix.Setxattr(path, name, []byte("v"), unix.XATTR_REPLACE), unix.ENODATA)
	ok(t, unix.Setxattr(path, name, []byte("v\x00\xff"), unix.XATTR_CREATE))
	is(t, "create of what is there", unix.Setxattr(path, name, nil, unix.XATTR_CREATE), unix.EEXIST)
	n, err := unix.Getxattr(path, name, buf)
	ok(t, err)
	if string(buf[:n]) != "v\x00\xff" {
		t.Errorf("value %q", buf[:n])
	}
	ok(t, unix.Setxattr(path, name, []byte("longer value"), unix.XATTR_REPLACE))
	if n, err := unix.Getxattr(path, name, nil); n != 12 || err != nil {
		t.Errorf("size %d, %v", n, err)
	}
	ok(t, unix.Setxattr(path, "user.two", nil, 0))
	if n, err := unix.Getxattr(path, "user.two", buf); n != 0 || err != nil {
		t.Errorf("an empty value has size %d, %v", n, err)
	}
	n, err = unix.Listxattr(path, buf)
	ok(t, err)
	list := string(buf[:n])
	if list != "user.one\x00user.two\x00" && list != "user.two\x00user.one\x00" {
		t.Errorf("list %q", list)
	}
	ok(t, unix.Removexattr(path, name))
	_, err = unix.Getxattr(path, name, buf)
	is(t, "get of what was removed", err, unix.ENODATA)
	ok(t, unix.Setxattr(dir, "user.dir", []byte("d"), 0))
	ok(t, unix.Rename(path, path+"2"))
	if n, err := unix.Getxattr(path+"2", "user.two", buf); n != 0 || err != nil {
		t.Errorf("lost at rename: %d, %v", n, err)
	}
}

func xattrLimits(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "x")
	value := make([]byte, 2000)
	ok(t, unix.Setxattr(path, "user.v", value, 0))
	_, err := unix.Getxattr(path, "user.v", make([]byte, 10))
	is(t, "get into a short buffer", err, unix.ERANGE)
	_, err = unix.Listxattr(path, make([]byte, 3))
	is(t, "list into a short buffer", err, unix.ERANGE)
	is(t, "a value over 64 KiB", unix.Setxattr(path, "user.v", make([]byte, 65537), 0), unix.E2BIG)
	long := "user." + string(make256())
	is(t, "a long name", unix.Setxattr(path, long, nil, 0), unix.ERANGE)
	is(t, "an unknown class", unix.Setxattr(path, "nonsense.x", nil, 0), syscall.EOPNOTSUPP)
}

func make256() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = 'x'
	}
	return b
}
