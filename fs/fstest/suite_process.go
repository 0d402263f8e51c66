package fstest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// fail is an error of a task.
func fail(format string, args ...any) error { return fmt.Errorf(format, args...) }

// suiteTasks are what the suite does in other processes.
func suiteTasks() Tasks {
	return Tasks{
		"umask":   umaskTask,
		"mmap":    mmapTask,
		"flock":   flockTask,
		"range":   rangeTask,
		"refused": refusedTask,
		"sticky":  stickyTask,
		"write":   writeTask,
		"as-user": asUserTask,
	}
}

// mmap runs in a child: see the package comment.
func mmap(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, string(bytes.Repeat([]byte("a"), 3*4096)))
	Do(t, "mmap", path)
	want := bytes.Repeat([]byte("a"), 3*4096)
	want[4096], want[0] = 'M', 'W'
	holds(t, path, string(want))
}

func mmapTask(args []string) error {
	fd, err := unix.Open(args[0], unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	m, err := unix.Mmap(fd, 0, 3*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(m)
	m[4096] = 'M'
	var b [1]byte
	if _, err := unix.Pread(fd, b[:], 4096); err != nil || b[0] != 'M' {
		return fail("read(2) sees %q of a mapped write: %v", b[:], err)
	}
	other, err := unix.Open(args[0], unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer unix.Close(other)
	if _, err := unix.Pwrite(other, []byte("W"), 0); err != nil {
		return err
	}
	if m[0] != 'W' {
		return fail("the mapping sees %q of a write(2)", m[:1])
	}
	return unix.Msync(m, unix.MS_SYNC)
}

func flock(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "x")
	a, b := open(t, path, unix.O_RDWR), open(t, path, unix.O_RDWR)
	ok(t, unix.Flock(a, unix.LOCK_EX))
	is(t, "a second lock", unix.Flock(b, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
	Do(t, "flock", path, "refused")
	_, err := unix.Write(a, []byte("copied up under a lock"))
	ok(t, err)
	Do(t, "flock", path, "refused")
	ok(t, unix.Flock(a, unix.LOCK_UN))
	Do(t, "flock", path, "granted")
	ok(t, unix.Flock(b, unix.LOCK_EX|unix.LOCK_NB))
}

func flockTask(args []string) error {
	fd, err := unix.Open(args[0], unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	return outcome(unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB), args[1])
}

// outcome compares what happened to a lock with "refused" or "granted".
func outcome(err error, want string) error {
	switch {
	case err == nil && want == "granted":
		return nil
	case (err == unix.EWOULDBLOCK || err == unix.EACCES) && want == "refused":
		return nil
	}
	return fail("the lock was to be %s: %v", want, err)
}

const ofdSetlk = 37 // F_OFD_SETLK

func rangeLocks(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	put(t, path, "0123456789")
	a, b := open(t, path, unix.O_RDWR), open(t, path, unix.O_RDWR)
	lock := func(fd int, kind int16, start, length int64) error {
		return unix.FcntlFlock(uintptr(fd), ofdSetlk, &unix.Flock_t{Type: kind, Start: start, Len: length})
	}
	ok(t, lock(a, unix.F_WRLCK, 0, 5))
	is(t, "an overlapping lock", lock(b, unix.F_WRLCK, 4, 2), unix.EAGAIN)
	ok(t, lock(b, unix.F_WRLCK, 5, 5))
	Do(t, "range", path, "refused")
	ok(t, lock(a, unix.F_UNLCK, 0, 0))
	ok(t, lock(b, unix.F_UNLCK, 0, 0))
	Do(t, "range", path, "granted")
}

func rangeTask(args []string) error {
	fd, err := unix.Open(args[0], unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	if err == unix.EAGAIN {
		err = unix.EWOULDBLOCK
	}
	return outcome(err, args[1])
}

// stranger is a user that owns nothing.
const stranger = 65534

// needOthers skips where other users cannot be played, or may not come in.
func needOthers(t testing.TB, dir string) {
	t.Helper()
	NeedRoot(t)
	cmd := Command("write", dir, "none")
	asStranger(cmd)
	if out, err := cmd.CombinedOutput(); bytes.Contains(out, []byte("no entry at all")) {
		t.Skipf("other users are not let in: %v", err)
	}
}

func permission(t *testing.T, dir string) {
	needOthers(t, dir)
	put(t, dir+"/secret", "s")
	ok(t, unix.Chmod(dir+"/secret", 0o600))
	put(t, dir+"/public", "p")
	put(t, dir+"/program", "#!/bin/true\n")
	ok(t, os.Mkdir(dir+"/closed", 0o700))
	put(t, dir+"/closed/f", "x")
	ok(t, os.Mkdir(dir+"/listed", 0o744))
	put(t, dir+"/listed/f", "x")
	DoAs(t, stranger, "refused", dir)
	holds(t, dir+"/public", "p")
}

// refusedTask runs as a stranger and checks that nothing is granted.
func refusedTask(args []string) error {
	d := args[0]
	try := func(path string, flags int) error {
		fd, err := unix.Open(d+path, flags, 0o644)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	for _, c := range []struct {
		what string
		err  error
		want unix.Errno
	}{
		{"reading a private file", try("/secret", unix.O_RDONLY), unix.EACCES},
		{"writing a public file", try("/public", unix.O_WRONLY), unix.EACCES},
		{"truncating a public file", unix.Truncate(d+"/public", 0), unix.EACCES},
		{"entering a closed directory", try("/closed/f", unix.O_RDONLY), unix.EACCES},
		{"listing a closed directory", try("/closed", unix.O_RDONLY|unix.O_DIRECTORY), unix.EACCES},
		{"a name below a directory without x", try("/listed/f", unix.O_RDONLY), unix.EACCES},
		{"creating", try("/new", unix.O_CREAT|unix.O_WRONLY), unix.EACCES},
		{"removing", unix.Unlink(d + "/public"), unix.EACCES},
		{"renaming", unix.Rename(d+"/public", d+"/mine"), unix.EACCES},
		{"linking", accessed(unix.Link(d+"/public", d+"/mine")), unix.EACCES},
		{"mkdir", unix.Mkdir(d+"/mine", 0o755), unix.EACCES},
		{"chmod", unix.Chmod(d+"/public", 0o777), unix.EPERM},
		{"chown", unix.Chown(d+"/public", stranger, stranger), unix.EPERM},
		{"setting times", unix.UtimesNanoAt(unix.AT_FDCWD, d+"/public", []unix.Timespec{{}, {}}, 0), unix.EPERM},
		{"setting an xattr", unix.Setxattr(d+"/public", "user.x", nil, 0), unix.EACCES},
		{"access for writing", unix.Access(d+"/public", unix.W_OK), unix.EACCES},
		{"access for executing", unix.Access(d+"/program", unix.X_OK), unix.EACCES},
		{"executing", unix.Exec(d+"/program", nil, nil), unix.EACCES},
	} {
		if c.err != c.want {
			return fail("%s: got %v, want %v", c.what, c.err, c.want)
		}
	}
	if err := try("/public", unix.O_RDONLY); err != nil {
		return fail("reading a public file: %v", err)
	}
	return nil
}

// accessed makes one of two refusals: where hard links are protected
// (fs.protected_hardlinks) the kernel says EPERM before it looks at the directory.
func accessed(err error) error {
	if err == unix.EPERM {
		return unix.EACCES
	}
	return err
}

func sticky(t *testing.T, dir string) {
	needOthers(t, dir)
	ok(t, os.Mkdir(dir+"/tmp", 0o755))
	ok(t, unix.Chmod(dir+"/tmp", 0o1777))
	put(t, dir+"/tmp/roots", "x")
	DoAs(t, stranger, "sticky", dir+"/tmp")
	if st := stat(t, dir+"/tmp/mine"); st.Uid != stranger || st.Gid != stranger {
		t.Errorf("a stranger's file belongs to %d:%d", st.Uid, st.Gid)
	}
}

func stickyTask(args []string) error {
	if err := os.WriteFile(args[0]+"/mine", []byte("m"), 0o600); err != nil {
		return err
	}
	if err := unix.Unlink(args[0] + "/roots"); err != unix.EPERM {
		return fail("removing another's file: %v", err)
	}
	if err := unix.Rename(args[0]+"/mine", args[0]+"/roots"); err != unix.EPERM {
		return fail("replacing another's file: %v", err)
	}
	return nil
}

func writeClearsSetID(t *testing.T, dir string) {
	needOthers(t, dir)
	path := filepath.Join(dir, "f")
	for _, how := range []string{"write", "truncate"} {
		put(t, path, "0123456789")
		ok(t, unix.Chmod(path, 0o6777))
		DoAs(t, stranger, "write", path, how)
		if st := stat(t, path); st.Mode&0o7777 != 0o777 {
			t.Errorf("mode is %o after a stranger's %s", st.Mode, how)
		}
	}
}

func writeTask(args []string) error {
	switch args[1] {
	case "none":
		if _, err := os.Stat(args[0]); err != nil {
			return fail("no entry at all: %v", err)
		}
		return nil
	case "truncate":
		return unix.Truncate(args[0], 3)
	}
	fd, err := unix.Open(args[0], unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte("w"))
	return err
}

func execFile(t *testing.T, dir string) {
	sh, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip("no /bin/true to copy")
	}
	path := filepath.Join(dir, "prog")
	ok(t, os.WriteFile(path, sh, 0o755))
	out, err := exec.Command("/bin/sh", "-c", path).CombinedOutput()
	if err != nil {
		t.Errorf("running it: %v %s", err, out)
	}
}
