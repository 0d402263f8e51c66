package jail

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is a mount tree in the making. Places in it are looked up with its root
// as the root.
type tree struct{ root int }

// settle makes the mounts the whole file system of this process.
func settle(mounts []Mount) error {
	if len(mounts) == 0 || !mounts[0].binds() || mounts[0].At != "/" {
		return errors.New("the first mount is not that of the root")
	}
	// What is unmounted outside is to go inside too, and nothing the other way.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount /: %w%s", err, obstacle(err))
	}
	sources, err := openSources(mounts)
	defer closeAll(sources)
	if err != nil {
		return err
	}
	devices, err := openDevices(mounts)
	defer closeAll(devices)
	if err != nil {
		return err
	}
	t := tree{sources[0]}
	// The new root needs some place to be at until it is the root.
	if err := unix.MoveMount(t.root, "", unix.AT_FDCWD, "/proc", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return at("/", "move_mount", err)
	}
	for i, m := range mounts[1:] {
		if err := t.add(m, sources[i+1], devices); err != nil {
			return err
		}
	}
	return t.change()
}

// change makes the tree the root and lets the old one go.
func (t tree) change() error {
	if err := unix.Fchdir(t.root); err != nil {
		return os.NewSyscallError("fchdir", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return os.NewSyscallError("umount", err)
	}
	return os.Chdir("/")
}

// add does one step.
func (t tree) add(m Mount, source int, devices []int) error {
	switch m.Kind {
	case Bind, ReadOnlyBind:
		return t.attach(source, m.At)
	case Tmpfs:
		return t.fresh("tmpfs", m.At, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, "mode", "0"+strconv.FormatUint(uint64(m.Mode), 8))
	case Proc:
		err := t.fresh("proc", m.At, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
		if errors.Is(err, unix.EPERM) {
			err = fmt.Errorf("%w; parts of /proc are covered here, as containers do it: start the container with --security-opt systempaths=unconfined", err)
		}
		return err
	case Dev:
		return t.dev(m.At, devices)
	case Symlink:
		return t.link(m.Source, m.At)
	}
	return at(m.At, "mount", unix.EINVAL)
}

// attach puts a mount that is nowhere yet at a place, which is made when it is
// missing.
func (t tree) attach(mount int, place string) error {
	var st unix.Stat_t
	if err := unix.Fstat(mount, &st); err != nil {
		return at(place, "stat", err)
	}
	target, err := t.place(place, st.Mode&unix.S_IFMT == unix.S_IFDIR)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	return at(place, "move_mount", unix.MoveMount(mount, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

// fresh mounts a file system of the kernel's own.
func (t tree) fresh(kind, place string, attributes int, options ...string) error {
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return at(place, "fsopen", err)
	}
	defer unix.Close(fs)
	for i := 0; i+1 < len(options); i += 2 {
		if err := unix.FsconfigSetString(fs, options[i], options[i+1]); err != nil {
			return at(place, "fsconfig", err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return at(place, "fsconfig", err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return at(place, "fsmount", err)
	}
	defer unix.Close(mount)
	return t.attach(mount, place)
}

// place opens a directory or a file in the tree, and makes it when it is missing.
func (t tree) place(name string, dir bool) (int, error) {
	fd, err := t.open(name)
	if !errors.Is(err, unix.ENOENT) {
		return fd, at(name, "open", err)
	}
	parent, err := t.place(path.Dir(name), true)
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	base := path.Base(name)
	if dir {
		err = unix.Mkdirat(parent, base, 0o755)
	} else {
		err = unix.Mknodat(parent, base, unix.S_IFREG|0o644, 0)
	}
	if err != nil {
		return -1, at(name, "make", err)
	}
	fd, err = t.open(name)
	return fd, at(name, "open", err)
}

func (t tree) open(name string) (int, error) {
	return unix.Openat2(t.root, strings.TrimLeft(name, "/"), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
}

func (t tree) link(target, name string) error {
	parent, err := t.place(path.Dir(name), true)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return at(name, "symlink", unix.Symlinkat(target, parent, path.Base(name)))
}

// at says where a step failed.
func at(place, call string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: call, Path: place, Err: err}
}
