package jail

import (
	"os"
	"path"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// deviceNames are the devices that a program gets, below /dev.
func deviceNames() []string { return []string{"null", "zero", "full", "random", "urandom", "tty"} }

// openDevices takes copies of the machine's devices if a mount wants them, and
// last, perhaps, one of the terminal that the program writes to.
func openDevices(mounts []Mount) ([]int, error) {
	if !slices.ContainsFunc(mounts, func(m Mount) bool { return m.Kind == Dev }) {
		return nil, nil
	}
	var all []int
	for _, name := range deviceNames() {
		fd, err := openSource("/dev/"+name, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
		if err != nil {
			return all, err
		}
		all = append(all, fd)
	}
	if _, err := unix.IoctlGetTermios(1, unix.TCGETS); err != nil {
		return all, nil
	}
	if tty, err := os.Readlink("/proc/self/fd/1"); err == nil {
		if fd, err := openSource(tty, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err == nil { // a name for it, and no more
			all = append(all, fd)
		}
	}
	return all, nil
}

// dev is a directory of harmless devices.
func (t tree) dev(place string, devices []int) error {
	if err := t.fresh("tmpfs", place, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, "mode", "0755"); err != nil {
		return err
	}
	for i, name := range append(deviceNames(), "console") {
		if i < len(devices) {
			if err := t.attach(devices[i], path.Join(place, name)); err != nil {
				return err
			}
		}
	}
	for fd, name := range []string{"stdin", "stdout", "stderr"} {
		if err := t.link("/proc/self/fd/"+strconv.Itoa(fd), path.Join(place, name)); err != nil {
			return err
		}
	}
	for _, link := range [][2]string{{"/proc/self/fd", "fd"}, {"/proc/kcore", "core"}, {"pts/ptmx", "ptmx"}} {
		if err := t.link(link[0], path.Join(place, link[1])); err != nil {
			return err
		}
	}
	shm, err := t.place(path.Join(place, "shm"), true)
	if err != nil {
		return err
	}
	unix.Close(shm)
	return t.fresh("devpts", path.Join(place, "pts"), unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC, "ptmxmode", "0666", "mode", "0620")
}
