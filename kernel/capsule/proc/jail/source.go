package jail

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// openSources takes copies of the mounts that are to be bound, each with what is
// mounted below it, and bounds what can be done with them. They are nowhere yet.
// The numbers are those of the mounts; -1 where there is no source.
func openSources(mounts []Mount) ([]int, error) {
	all := make([]int, 0, len(mounts))
	for _, m := range mounts {
		fd := -1
		if m.binds() {
			attributes := unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
			if m.Kind == ReadOnlyBind {
				attributes |= unix.MOUNT_ATTR_RDONLY
			}
			var err error
			if fd, err = openSource(m.Source, attributes); err != nil {
				return all, err
			}
		}
		all = append(all, fd)
	}
	return all, nil
}

func openSource(path string, attributes int) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, at(path, "open_tree", err)
	}
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: uint64(attributes)})
	if err != nil {
		unix.Close(fd)
		err = at(path, "mount_setattr", err)
		if errors.Is(err, unix.ENOSYS) {
			err = fmt.Errorf("%w; Astrid's own sandbox needs Linux 5.12: install the package bubblewrap", err)
		}
		return -1, err
	}
	return fd, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
