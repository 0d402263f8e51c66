package fs

import (
	"errors"
	"fmt"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Preflight says in one sentence what stands in the way of a FUSE mount by this
// process, and the remedy, or nothing.
func Preflight() error {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		unix.Close(fd)
	case errors.Is(err, unix.ENOENT):
		return errors.New("there is no /dev/fuse: load the kernel module (modprobe fuse), or start the container with --device /dev/fuse")
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("/dev/fuse may not be opened (%w): chmod 666 /dev/fuse, or start the container with --device /dev/fuse", err)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("/dev/fuse has no driver behind it (%w): load the kernel module (modprobe fuse)", err)
	default:
		return fmt.Errorf("/dev/fuse may not be opened: %w", err)
	}
	if mayMount() {
		return nil
	}
	if _, err := exec.LookPath(helperName); err != nil {
		return errNoHelper
	}
	return nil
}

// mayMount tells whether the process has CAP_SYS_ADMIN.
func mayMount() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}
