package layer

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// retries bounds how often a lookup that raced with a rename is begun again.
	retries = 64
	// chunk keeps the part of a path that goes into one call below PATH_MAX.
	chunk = unix.PathMax - 2*(unix.NAME_MAX+1)

	beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS
)

// Open opens name, which may have several components but less than PATH_MAX
// bytes, below dirfd. A symbolic link on the way is ELOOP, and so is one at the
// end unless flags has O_PATH; a way out is EXDEV. mode counts with O_CREAT only
// and meets the umask.
func Open(dirfd int, name string, flags int, mode uint32) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW),
		Resolve: beneath,
	}
	if flags&unix.O_CREAT != 0 || flags&unix.O_TMPFILE == unix.O_TMPFILE {
		how.Mode = uint64(mode)
	}
	for i := 0; ; i++ {
		fd, err := unix.Openat2(dirfd, name, &how)
		switch {
		case err == unix.EINTR, err == unix.EAGAIN && i < retries:
			continue
		case err == unix.ENOSYS, err == unix.EPERM: // an old kernel; a filter that does not know the call
			return openat(dirfd, name, int(how.Flags), uint32(how.Mode))
		}
		return fd, err
	}
}

// openat does what Open does where there is no openat2: one component a call.
func openat(dirfd int, name string, flags int, mode uint32) (int, error) {
	if strings.HasPrefix(name, "/") {
		return -1, unix.EXDEV
	}
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	if len(parts) == 0 {
		return -1, unix.ENOENT
	}
	at := dirfd
	for i, part := range parts {
		if part == ".." {
			closeUnless(at, dirfd)
			return -1, unix.EXDEV
		}
		f, m := unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, uint32(0)
		if i == len(parts)-1 {
			f, m = flags, mode
		}
		fd, err := openOne(at, part, f, m)
		closeUnless(at, dirfd)
		if err != nil {
			return -1, err
		}
		at = fd
	}
	return at, nil
}

// openOne says ELOOP for a link in the middle of a path, as openat2 does;
// openat says ENOTDIR of it.
func openOne(dirfd int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dirfd, name, flags, mode)
		if err == unix.EINTR {
			continue
		}
		if err == unix.ENOTDIR {
			var s Stat
			if Statx(dirfd, name, &s) == nil && s.Mode&unix.S_IFMT == unix.S_IFLNK {
				err = unix.ELOOP
			}
		}
		return fd, err
	}
}

func closeUnless(fd, keep int) {
	if fd != keep {
		unix.Close(fd)
	}
}

// OpenDir opens a directory as a place to start from (O_PATH): it cannot be read
// or synced, and needs no permission but to search the way there.
func OpenDir(dirfd int, name string) (int, error) {
	return Open(dirfd, name, unix.O_PATH|unix.O_DIRECTORY, 0)
}

// OpenPath is Open for a relative slash path of any length; "" and "." are
// rootfd itself, opened anew.
func OpenPath(rootfd int, rel string, flags int, mode uint32) (int, error) {
	at := rootfd
	for len(rel) > chunk {
		cut := strings.LastIndexByte(rel[:chunk+1], '/')
		if cut <= 0 { // an absolute path, or a name longer than any
			break
		}
		fd, err := OpenDir(at, rel[:cut])
		closeUnless(at, rootfd)
		if err != nil {
			return -1, err
		}
		at, rel = fd, strings.TrimLeft(rel[cut:], "/")
	}
	if rel == "" {
		rel = "."
	}
	fd, err := Open(at, rel, flags, mode)
	closeUnless(at, rootfd)
	return fd, err
}

// Reopen opens the object behind fd once more, with other flags: an O_PATH
// descriptor becomes a readable one. It needs the permission for that.
func Reopen(fd, flags int) (int, error) {
	return openOne(unix.AT_FDCWD, procPath(fd, ""), flags|unix.O_CLOEXEC, 0)
}

// procPath is a path for calls that take no descriptor, or none opened with
// O_PATH: of name in the directory fd, or of fd itself.
func procPath(fd int, name string) string {
	var buf [unix.NAME_MAX + 40]byte
	b := strconv.AppendInt(append(buf[:0], "/proc/self/fd/"...), int64(fd), 10)
	if name != "" {
		b = append(append(b, '/'), name...)
	}
	return string(b)
}
