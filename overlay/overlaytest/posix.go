package overlaytest

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

// Posix drives a directory by system calls.
type Posix struct {
	root  int
	slots [Slots]*held
}

// held is an open object.
type held struct {
	fd   int
	kind uint32
	tmp  bool // made without a name, and never had one
}

// NewPosix opens a directory.
func NewPosix(dir string) (*Posix, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &Posix{root: fd}, nil
}

// Close closes every descriptor.
func (d *Posix) Close() error {
	for i := range d.slots {
		d.drop(i)
	}
	return unix.Close(d.root)
}

func (d *Posix) drop(slot int) {
	if h := d.slots[slot]; h != nil {
		unix.Close(h.fd)
		d.slots[slot] = nil
	}
}

// spot is a name in an open directory; the empty name is the directory itself.
type spot struct {
	dir  int
	name string
	keep bool // dir is not ours to close
}

func (s spot) close() {
	if !s.keep {
		unix.Close(s.dir)
	}
}

// orDot is the name for calls that know no empty one.
func (s spot) orDot() string {
	if s.name == "" {
		return "."
	}
	return s.name
}

// find walks to the directory of a path, a component at a time and over no link.
func (d *Posix) find(at int, path string) (spot, error) {
	s := spot{dir: d.root, keep: true}
	if at != NoSlot {
		h := d.slots[at]
		if h == nil {
			return s, errNoSlot
		}
		s.dir = h.fd
		if h.kind != unix.S_IFDIR && path != "" {
			return s, unix.ENOTDIR
		}
	}
	parts := components(path)
	for i, part := range parts {
		if i == len(parts)-1 {
			s.name = part
			break
		}
		fd, err := unix.Openat(s.dir, part, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		s.close()
		if err != nil {
			return spot{dir: d.root, keep: true}, err
		}
		s = spot{dir: fd}
	}
	return s, nil
}

// Do applies one operation.
func (d *Posix) Do(op *Op) (Result, error) {
	switch op.Kind {
	case Forget:
		return Result{}, nil
	case Close:
		if d.slots[op.Slot] == nil {
			return Result{Skip: true}, nil
		}
		d.drop(op.Slot)
		return Result{}, nil
	case Open, Tmpfile:
		if d.slots[op.Slot] != nil {
			return Result{Skip: true}, nil
		}
	}
	s, err := d.find(op.At, op.Path)
	if err == nil {
		defer s.close()
	}
	if errors.Is(err, errNoSlot) {
		return Result{Skip: true}, nil
	}
	if err != nil {
		return answer(Result{}, err)
	}
	old := unix.Umask(int(op.Umask))
	defer unix.Umask(old)
	r, err := d.do(op, s)
	if errors.Is(err, errNoSlot) {
		return Result{Skip: true}, nil
	}
	return answer(r, err)
}

func (d *Posix) do(op *Op, s spot) (Result, error) {
	switch op.Kind {
	case Create, Mkdir, Mknod, Symlink, Link, Unlink, Rmdir, Rename, Linkat:
		return Result{}, d.names(op, s)
	case Write, Append, Truncate, Fallocate, Copy, Read, Holes:
		return d.content(op, s)
	case Chmod, Chown, Utimes, Setxattr, Getxattr, Listxattr, Rmxattr:
		return attributes(op, s)
	case Open, Tmpfile:
		return Result{}, d.open(op, s)
	case Stat:
		e, err := statAt(s)
		return Result{Entry: e}, err
	case Readlink:
		t, err := readlinkAt(s)
		return Result{Data: []byte(t)}, err
	case Readdir:
		names, err := listAt(s)
		return Result{Names: names}, err
	case Empty:
		return Result{}, emptyAt(s)
	case Fsync:
		return Result{}, fsyncAt(s)
	}
	return Result{}, fmt.Errorf("no such operation: %s", op.Kind)
}

// names does what changes names.
func (d *Posix) names(op *Op, s spot) error {
	switch op.Kind {
	case Create:
		fd, err := unix.Openat(s.dir, s.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, op.Mode)
		if err == nil {
			unix.Close(fd)
		}
		return err
	case Mkdir:
		return unix.Mkdirat(s.dir, s.name, op.Mode)
	case Mknod:
		return unix.Mknodat(s.dir, s.name, op.Mode, 0)
	case Symlink:
		return unix.Symlinkat(op.Target, s.dir, s.name)
	case Unlink:
		return unix.Unlinkat(s.dir, s.name, 0)
	case Rmdir:
		return unix.Unlinkat(s.dir, s.name, unix.AT_REMOVEDIR)
	case Linkat:
		h := d.slots[op.Slot]
		if h == nil {
			return errNoSlot
		}
		return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", h.fd), s.dir, s.name, unix.AT_SYMLINK_FOLLOW)
	}
	to, err := d.find(op.ToAt, op.To)
	if err != nil {
		return err
	}
	defer to.close()
	if op.Kind == Link {
		return unix.Linkat(s.dir, s.name, to.dir, to.name, 0)
	}
	return unix.Renameat2(s.dir, s.name, to.dir, to.name, uint(op.Flags))
}

// attributes does what changes an object but not its bytes.
func attributes(op *Op, s spot) (Result, error) {
	kind, err := kindAt(s)
	if err != nil {
		return Result{}, err
	}
	switch op.Kind {
	case Chmod:
		if kind == unix.S_IFLNK {
			return Result{}, unix.EOPNOTSUPP
		}
		return Result{}, chmodAt(s, op.Mode)
	case Chown:
		flags := unix.AT_SYMLINK_NOFOLLOW
		if s.name == "" {
			flags |= unix.AT_EMPTY_PATH
		}
		return Result{}, unix.Fchownat(s.dir, s.name, int(int32(op.UID)), int(int32(op.GID)), flags)
	case Utimes:
		if err := layer.Utimesat(s.dir, s.name, op.Atime, op.Mtime); err != nil {
			return Result{}, err
		}
		e, err := statAt(s)
		return Result{Entry: e}, err
	case Setxattr:
		return Result{}, layer.Setxattr(s.dir, s.name, op.Name, op.Value, int(op.Flags))
	case Rmxattr:
		return Result{}, layer.Removexattr(s.dir, s.name, op.Name)
	case Getxattr:
		buf := make([]byte, 64<<10)
		n, err := layer.Getxattr(s.dir, s.name, op.Name, buf)
		return Result{Data: buf[:max(n, 0)]}, err
	}
	m, err := xattrsAt(s)
	return Result{Names: sortedNames(m)}, err
}

func kindAt(s spot) (uint32, error) {
	e, err := statAt(s)
	if err != nil {
		return 0, err
	}
	return e.Kind(), nil
}

// chmodAt goes through /proc where there is no name: a held object may be an
// O_PATH descriptor.
func chmodAt(s spot, mode uint32) error {
	if s.name == "" {
		return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", s.dir), mode)
	}
	return unix.Fchmodat(s.dir, s.name, mode, 0)
}
