package layer

import (
	"golang.org/x/sys/unix"
)

// TempSuffix ends the name under which WriteFile prepares a file. One that is
// found was left behind by a crash and means nothing.
const TempSuffix = ".tmp"

// RenameNoreplace renames; EEXIST when there is something at the new name.
func RenameNoreplace(olddir int, old string, newdir int, new string) error {
	return renameat2(olddir, old, newdir, new, unix.RENAME_NOREPLACE)
}

// Exchange swaps two names, in one step.
func Exchange(olddir int, old string, newdir int, new string) error {
	return renameat2(olddir, old, newdir, new, unix.RENAME_EXCHANGE)
}

func renameat2(olddir int, old string, newdir int, new string, flags uint) error {
	return ignoringEINTR(func() error { return unix.Renameat2(olddir, old, newdir, new, flags) })
}

// WriteFile replaces name in dirfd by a file with these bytes and this mode,
// whatever the umask. After a power cut there is the old one or the new one,
// whole. Two writers of one name at a time are the caller's mistake.
func WriteFile(dirfd int, name string, data []byte, mode uint32) error {
	if err := replaceFile(dirfd, name, data, mode, true); err != nil {
		return err
	}
	return SyncDir(dirfd)
}

// PlaceFile is WriteFile for a file that survives the end of the process, and a power
// cut only when both it and dirfd have been synced since: else it may be there torn,
// or not at all.
func PlaceFile(dirfd int, name string, data []byte, mode uint32) error {
	return replaceFile(dirfd, name, data, mode, false)
}

func replaceFile(dirfd int, name string, data []byte, mode uint32, sync bool) error {
	tmp := name + TempSuffix
	if err := unix.Unlinkat(dirfd, tmp, 0); err != nil && err != unix.ENOENT {
		return err
	}
	fd, err := Open(dirfd, tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = fill(fd, data, mode)
	if err == nil && sync {
		err = ignoringEINTR(func() error { return unix.Fsync(fd) })
	}
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	if err == nil {
		err = renameat2(dirfd, tmp, dirfd, name, 0)
	}
	if err != nil {
		unix.Unlinkat(dirfd, tmp, 0)
	}
	return err
}

func fill(fd int, data []byte, mode uint32) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return ignoringEINTR(func() error { return unix.Fchmod(fd, mode) })
}

// SyncDir makes the entries of a directory survive a power cut. fd may be one
// opened with O_PATH.
func SyncDir(fd int) error {
	err := ignoringEINTR(func() error { return unix.Fsync(fd) })
	if err != unix.EBADF {
		return err
	}
	r, err := Open(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(r)
	return ignoringEINTR(func() error { return unix.Fsync(r) })
}

// Lock waits for the lock of the open file fd (flock(2), exclusive). It is given
// up when the last descriptor of that opening is closed.
func Lock(fd int) error {
	return ignoringEINTR(func() error { return unix.Flock(fd, unix.LOCK_EX) })
}

// TryLock is Lock without waiting; EWOULDBLOCK when another has it.
func TryLock(fd int) error {
	return ignoringEINTR(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
}
