package layer

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Omit, given as a time, leaves that time as it is.
const Omit = math.MinInt64

// Utimes sets the times of an open file.
func Utimes(fd int, atime, mtime int64) error {
	ts := [2]unix.Timespec{timespec(atime), timespec(mtime)}
	for {
		_, _, e := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&ts[0])), 0, 0, 0)
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		case unix.EBADF: // opened with O_PATH, or not open
			return utimesat(fd, "", &ts, unix.AT_EMPTY_PATH)
		default:
			return e
		}
	}
}

// Utimesat sets the times of name in dirfd; a symbolic link is not followed.
func Utimesat(dirfd int, name string, atime, mtime int64) error {
	ts := [2]unix.Timespec{timespec(atime), timespec(mtime)}
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	return utimesat(dirfd, name, &ts, flags)
}

func utimesat(dirfd int, name string, ts *[2]unix.Timespec, flags int) error {
	return ignoringEINTR(func() error { return unix.UtimesNanoAt(dirfd, name, ts[:], flags) })
}

// timespec has nanoseconds from 0 to 999,999,999 before 1970 too.
func timespec(ns int64) unix.Timespec {
	if ns == Omit {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	const sec = 1_000_000_000
	s, n := ns/sec, ns%sec
	if n < 0 {
		s, n = s-1, n+sec
	}
	return unix.Timespec{Sec: s, Nsec: n}
}
