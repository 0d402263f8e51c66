package fstest

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Suite returns the truths that every tree must pass: the name of a test, and
// the test, which gets an empty directory of a mounted tree.
func Suite() map[string]func(t *testing.T, dir string) {
	return map[string]func(*testing.T, string){
		"ReadWriteClose":       readWriteClose,
		"Truncate":             truncate,
		"TruncateExtends":      truncateExtends,
		"OpenTrunc":            openTrunc,
		"OpenExcl":             openExcl,
		"AppendByTwo":          appendByTwo,
		"UnlinkedOpen":         unlinkedOpen,
		"RemovedDirectory":     removedDirectory,
		"TmpfileLink":          tmpfileLink,
		"StatAfterWrite":       statAfterWrite,
		"RenameOver":           renameOver,
		"RenameIntoItself":     renameIntoItself,
		"RenameNoreplace":      renameNoreplace,
		"RenameExchange":       renameExchange,
		"RenameKinds":          renameKinds,
		"RenameKeepsNumber":    renameKeepsNumber,
		"RenameMovesTree":      renameMovesTree,
		"RemoveAndMakeAgain":   removeAndMakeAgain,
		"HardLinks":            hardLinks,
		"DirectoryLinks":       directoryLinks,
		"ReaddirNumbers":       readdirNumbers,
		"ReaddirWhileDeleting": readdirWhileDeleting,
		"ReaddirMoving":        readdirMoving,
		"ReaddirSeek":          readdirSeek,
		"OddNames":             oddNames,
		"LongNames":            longNames,
		"Symlinks":             symlinks,
		"Fifo":                 fifo,
		"Chmod":                chmod,
		"Chown":                chown,
		"ChownClearsSetID":     chownClearsSetID,
		"Utimens":              utimens,
		"SetGidDirectory":      setGidDirectory,
		"Umask":                umask,
		"Xattr":                xattr,
		"XattrLimits":          xattrLimits,
		"Mmap":                 mmap,
		"Fallocate":            fallocate,
		"PunchHole":            punchHole,
		"SeekHole":             seekHole,
		"CopyFileRange":        copyFileRange,
		"Statfs":               statfs,
		"Fsync":                fsync,
		"Flock":                flock,
		"RangeLocks":           rangeLocks,
		"Permission":           permission,
		"Sticky":               sticky,
		"WriteClearsSetID":     writeClearsSetID,
		"DirectIO":             directIO,
		"ConcurrentCreates":    concurrentCreates,
		"ConcurrentRenames":    concurrentRenames,
		"ConcurrentFile":       concurrentFile,
		"ManyOpen":             manyOpen,
		"Exec":                 execFile,
	}
}

// Run runs Suite over a mounted directory, each test in a directory of its own.
// gaps names tests that this tree is known to fail, with the reason.
func Run(t *testing.T, mnt string, gaps ...Gaps) {
	t.Helper()
	quietPoll(mnt)
	runAll(t, mnt, Suite(), gaps)
}

// quietPoll makes the kernel ask once whether files can be polled. The Go
// runtime asks at each os.Open, in a way that stops the garbage collector, which
// matters where the mount is served by the same process.
func quietPoll(dir string) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		name := filepath.Join(dir, ".poll")
		fd, err = unix.Open(name, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return
		}
		defer unix.Unlink(name)
	}
	defer unix.Close(fd)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
}

// ok ends the test on an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is checks that an operation failed as it should.
func is(t testing.TB, what string, err error, want unix.Errno) {
	t.Helper()
	if errnoOf(err) != want {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// put writes a file.
func put(t testing.TB, path, content string) {
	t.Helper()
	ok(t, os.WriteFile(path, []byte(content), 0o644))
}

// holds checks a file's bytes.
func holds(t testing.TB, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	ok(t, err)
	if string(got) != want {
		t.Errorf("%s holds %.60q (%d bytes), want %.60q (%d bytes)", filepath.Base(path), got, len(got), want, len(want))
	}
}

// stat is lstat(2).
func stat(t testing.TB, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatalf("lstat %s: %v", path, err)
	}
	return st
}

// open is open(2) that closes at the end of the test.
func open(t testing.TB, path string, flags int) int {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// gone checks that nothing has the name.
func gone(t testing.TB, path string) {
	t.Helper()
	var st unix.Stat_t
	is(t, "stat of "+filepath.Base(path), unix.Lstat(path, &st), unix.ENOENT)
}
