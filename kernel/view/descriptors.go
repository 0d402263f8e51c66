package view

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ShedDescriptors closes every descriptor above standard error that came with
// exec. Such a one has no close-on-exec flag, or it would not have come; what
// this process opened itself, the Go runtime included, has the flag. A view
// server that inherited another mount's /dev/fuse would keep that mount
// hanging after its own server died.
func ShedDescriptors() error {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return err
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd <= 2 {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
	return nil
}
