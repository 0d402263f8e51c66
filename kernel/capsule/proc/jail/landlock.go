package jail

import (
	"errors"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writing are the rights that change something. Reading is left to the tree.
func writing(abi int) uint64 {
	rights := uint64(unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER)
	if abi >= 3 {
		rights |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	return rights
}

// confine lets this thread, and the program that it becomes, write only to what
// is mounted writable. Where the kernel has no Landlock, or the first that
// forbids every move between directories, it does nothing. (Three calls, for one
// thread that keeps to them: what a library adds is for programs of many threads.)
func confine(mounts []Mount) error {
	abi, err := landlockABI()
	if err != nil || abi < 2 {
		return err
	}
	ruleset, err := newRuleset(abi)
	if err != nil {
		return err
	}
	defer unix.Close(ruleset)
	for _, m := range mounts {
		if m.writable() {
			if err := allowMount(ruleset, m.At, writing(abi)); err != nil {
				return err
			}
		}
	}
	for fd := range 3 {
		if err := allowOutput(ruleset, fd, writing(abi)); err != nil {
			return err
		}
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}

// landlockABI is the version of the kernel's Landlock, 0 when it has none.
func landlockABI() (int, error) {
	abi, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch {
	case errno == unix.ENOSYS || errno == unix.EOPNOTSUPP || errno == unix.EPERM: // the last from a container's filter
		return 0, nil
	case errno != 0:
		return 0, os.NewSyscallError("landlock_create_ruleset", errno)
	}
	return int(abi), nil
}

func newRuleset(abi int) (int, error) {
	// The rights on files, on the network, and the scopes.
	attr, size := [3]uint64{writing(abi)}, uintptr(8)
	if abi >= 6 {
		attr[2] = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
		size = unsafe.Sizeof(attr)
	}
	fd, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return -1, os.NewSyscallError("landlock_create_ruleset", errno)
	}
	return int(fd), nil
}

func allowMount(ruleset int, place string, rights uint64) error {
	fd, err := unix.Open(place, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil // a later mount lies over it
	}
	if err != nil {
		return at(place, "open", err)
	}
	defer unix.Close(fd)
	return allow(ruleset, fd, rights)
}

// allowOutput lets the program open a file again that it was given for writing,
// as /dev/stdout does.
func allowOutput(ruleset, given int, rights uint64) error {
	flags, err := unix.FcntlInt(uintptr(given), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE == unix.O_RDONLY || flags&unix.O_PATH != 0 {
		return nil
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(given), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // it cannot be opened again anyway
	}
	defer unix.Close(fd)
	err = allow(ruleset, fd, rights)
	if errors.Is(err, unix.EBADFD) {
		return nil // a pipe or a socket: Landlock has no rules for these
	}
	return err
}

// allow gives the rights on a file, or on a directory and all below it.
func allow(ruleset, fd int, rights uint64) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("landlock_add_rule", errno)
	}
	return nil
}
