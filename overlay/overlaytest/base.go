package overlaytest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"astrid/overlay/layer"
)

// Grow fills an empty directory with a random tree: nested directories, hard
// links, symbolic links, special files, holes, attributes, times long past.
func Grow(t *rapid.T, dir string, steps int, l Limits) error {
	d, err := NewPosix(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	l.Slots, l.Atomic = false, false
	for range steps {
		k, err := d.Known()
		if err != nil {
			return err
		}
		if rapid.IntRange(0, 30).Draw(t, "grow") == 0 {
			continue // what a failing case is shrunk to
		}
		op := Draw(t, k, l)
		switch op.Kind {
		case Unlink, Rmdir, Empty:
			op.Kind, op.Mode = Mkdir, 0o755
		case Read, Holes, Stat:
			op.Kind, op.Mode = Create, 0o644
		case Readdir, Fsync, Forget:
			op.Kind = Link
			op.To = Join(pick(&gen{t: t}, "to in", k.Dirs), pick(&gen{t: t}, "to", Names()))
		}
		if op.Path == "" || op.Kind == Link && op.To == "" {
			continue
		}
		if _, err := d.Do(op); err != nil {
			return err
		}
	}
	return d.age("", spot{dir: d.root, keep: true}, 1_600_000_000)
}

// age gives everything beneath a time of its own, long past.
func (d *Posix) age(path string, s spot, when int64) error {
	kind, err := kindAt(s)
	if err != nil {
		return err
	}
	if kind == unix.S_IFDIR {
		names, err := listAt(s)
		if err != nil {
			return err
		}
		fd, err := openDir(s)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for i, name := range names {
			if err := d.age(Join(path, name), spot{dir: fd, name: name, keep: true}, when-int64(i)-1); err != nil {
				return err
			}
		}
	}
	return layer.Utimesat(s.dir, s.name, when*1_000_000_000+1, when*1_000_000_000+int64(len(path)))
}

// Known lists what is there.
func (d *Posix) Known() (*Known, error) {
	k := &Known{Dirs: []string{""}}
	return k, d.known(k, "", spot{dir: d.root, keep: true})
}

func (d *Posix) known(k *Known, path string, s spot) error {
	names, err := listAt(s)
	if err != nil {
		return err
	}
	fd, err := openDir(s)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, name := range names {
		p := Join(path, name)
		c := spot{dir: fd, name: name, keep: true}
		kind, err := kindAt(c)
		if err != nil {
			return err
		}
		switch kind {
		case unix.S_IFDIR:
			k.Dirs = append(k.Dirs, p)
			if err := d.known(k, p, c); err != nil {
				return err
			}
		case unix.S_IFREG:
			k.Files = append(k.Files, p)
		default:
			k.Others = append(k.Others, p)
		}
	}
	return nil
}

// CopyTree copies a directory into an empty one: hard links, holes, owners,
// modes, times and attributes too.
func CopyTree(from, to string) error {
	src, err := NewPosix(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := NewPosix(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	c := &copier{root: dst, done: map[uint64]string{}}
	return c.copy("", spot{dir: src.root, keep: true}, spot{dir: dst.root, keep: true})
}

type copier struct {
	root *Posix
	done map[uint64]string // first path of each object with several names
}

func (c *copier) copy(path string, from, to spot) error {
	e, err := statAt(from)
	if err != nil {
		return err
	}
	if first, ok := c.done[e.Ino]; ok && e.Kind() != unix.S_IFDIR {
		s, err := c.root.find(NoSlot, first)
		if err != nil {
			return err
		}
		defer s.close()
		return unix.Linkat(s.dir, s.name, to.dir, to.name, 0)
	}
	c.done[e.Ino] = path
	if err := c.content(path, e, from, to); err != nil {
		return fmt.Errorf("copy %q: %w", path, err)
	}
	return c.dress(e, from, to)
}

// content makes the object, and what is beneath it.
func (c *copier) content(path string, e *Entry, from, to spot) error {
	switch e.Kind() {
	case unix.S_IFREG:
		return copyFile(from, to)
	case unix.S_IFLNK:
		target, err := layer.Readlink(from.dir, from.name)
		if err != nil {
			return err
		}
		return unix.Symlinkat(target, to.dir, to.name)
	case unix.S_IFDIR:
		return c.dir(path, from, to)
	}
	return unix.Mknodat(to.dir, to.name, e.Mode, int(e.Rdev))
}

func copyFile(from, to spot) error {
	in, err := openFile(from, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	out, err := unix.Openat(to.dir, to.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(out)
	return layer.Copy(out, in, -1)
}

func (c *copier) dir(path string, from, to spot) error {
	if path != "" {
		if err := unix.Mkdirat(to.dir, to.name, 0o700); err != nil {
			return err
		}
	}
	in, err := openDir(from)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	out, err := openDir(to)
	if err != nil {
		return err
	}
	defer unix.Close(out)
	names, err := listAt(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.copy(Join(path, name), spot{in, name, true}, spot{out, name, true}); err != nil {
			return err
		}
	}
	return nil
}

// dress gives the copy owner, mode, attributes and times, in the order in which
// they do not undo each other.
func (c *copier) dress(e *Entry, from, to spot) error {
	if os.Geteuid() == 0 {
		flags := unix.AT_SYMLINK_NOFOLLOW
		if to.name == "" {
			flags |= unix.AT_EMPTY_PATH
		}
		if err := unix.Fchownat(to.dir, to.name, int(e.UID), int(e.GID), flags); err != nil {
			return err
		}
	}
	if e.Kind() != unix.S_IFLNK {
		if err := chmodAt(to, e.Mode&0o7777); err != nil {
			return err
		}
	}
	if e.Kind() == unix.S_IFREG || e.Kind() == unix.S_IFDIR {
		m, err := xattrsAt(from)
		if err != nil {
			return err
		}
		for name, v := range m {
			if err := layer.Setxattr(to.dir, to.name, name, v, 0); err != nil {
				return err
			}
		}
	}
	return layer.Utimesat(to.dir, to.name, e.Atime, e.Mtime)
}
