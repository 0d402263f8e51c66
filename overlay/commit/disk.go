package commit

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// disk is the workspace, reached by slash paths relative to its root. The
// directory used last is kept open, so that a run of names in one directory
// costs one walk. Every rename of a directory must be followed by forget.
type disk struct {
	root int
	dir  string
	fd   int
}

func newDisk(root int) *disk { return &disk{root: root, fd: -1} }

// forget closes the directory kept open.
func (d *disk) forget() {
	if d.fd >= 0 {
		unix.Close(d.fd)
		d.fd = -1
	}
}

// at returns a descriptor (O_PATH) of a directory, valid until the next call.
func (d *disk) at(dir string) (int, error) {
	if dir == change.Root {
		return d.root, nil
	}
	if d.fd >= 0 && d.dir == dir {
		return d.fd, nil
	}
	fd, err := layer.OpenPath(d.root, dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, err
	}
	d.forget()
	d.fd, d.dir = fd, dir
	return fd, nil
}

// open opens a path itself.
func (d *disk) open(p string, flags int) (int, error) {
	return layer.OpenPath(d.root, p, flags, 0)
}

// leaf is the name of p in its directory; "" for the root.
func leaf(p string) string {
	if p == change.Root {
		return ""
	}
	return change.Base(p)
}

// stat returns nil when there is nothing at p.
func (d *disk) stat(p string) (*layer.Stat, error) {
	fd, err := d.at(change.Parent(p))
	if err == nil {
		st := new(layer.Stat)
		if err = layer.Statx(fd, leaf(p), st); err == nil {
			return st, nil
		}
	}
	if missing(err) {
		return nil, nil
	}
	return nil, err
}

// missing tells whether err says that there is nothing at a path.
func missing(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// two returns descriptors of two directories, valid until done is called.
func (d *disk) two(a, b string) (x, y int, done func(), err error) {
	if x, err = d.open(a, unix.O_PATH|unix.O_DIRECTORY); err != nil {
		return -1, -1, nil, err
	}
	if y, err = d.open(b, unix.O_PATH|unix.O_DIRECTORY); err != nil {
		unix.Close(x)
		return -1, -1, nil, err
	}
	return x, y, func() { unix.Close(x); unix.Close(y) }, nil
}

// rename moves a name; EEXIST when there is something at the new one.
func (d *disk) rename(from, to string) error {
	x, y, done, err := d.two(change.Parent(from), change.Parent(to))
	if err != nil {
		return err
	}
	defer done()
	defer d.forget()
	return layer.RenameNoreplace(x, change.Base(from), y, change.Base(to))
}

// exchange swaps two names.
func (d *disk) exchange(a, b string) error {
	x, y, done, err := d.two(change.Parent(a), change.Parent(b))
	if err != nil {
		return err
	}
	defer done()
	defer d.forget()
	return layer.Exchange(x, change.Base(a), y, change.Base(b))
}

// link gives the object at from one more name.
func (d *disk) link(from, to string) error {
	x, y, done, err := d.two(change.Parent(from), change.Parent(to))
	if err != nil {
		return err
	}
	defer done()
	return unix.Linkat(x, change.Base(from), y, change.Base(to), 0)
}

// names lists a directory, sorted; an absent one is empty.
func (d *disk) names(dir string) ([]string, error) {
	fd, err := d.open(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		if missing(err) {
			return nil, nil
		}
		return nil, err
	}
	defer unix.Close(fd)
	var names []string
	err = layer.Names(fd, func(name string, _ uint64, _ uint32) bool {
		names = append(names, strings.Clone(name))
		return true
	})
	slices.Sort(names)
	return names, err
}

// walk calls fn for everything below dir, parents first, names in order; skip
// keeps it out of a directory and its content. The device is not left.
func (d *disk) walk(dir string, fn func(p string, st *layer.Stat) (skip bool, err error)) error {
	top, err := d.stat(dir)
	if err != nil || top == nil {
		return err
	}
	return d.walkIn(dir, top.MountID, fn)
}

func (d *disk) walkIn(dir string, mount uint64, fn func(p string, st *layer.Stat) (bool, error)) error {
	names, err := d.names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		p := change.Join(dir, name)
		st, err := d.stat(p)
		if err != nil {
			return err
		}
		if st == nil {
			continue
		}
		skip, err := fn(p, st)
		if err != nil {
			return err
		}
		if skip || !isDir(st) || st.MountID != mount {
			continue
		}
		if err := d.walkIn(p, mount, fn); err != nil {
			return err
		}
	}
	return nil
}

func isDir(st *layer.Stat) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// remove takes away p and all below it; nothing there is no error.
func (d *disk) remove(p string) error {
	st, err := d.stat(p)
	if err != nil || st == nil {
		return err
	}
	if isDir(st) {
		if err := d.removeIn(p); err != nil {
			return err
		}
	}
	fd, err := d.at(change.Parent(p))
	if err != nil {
		return err
	}
	flags := 0
	if isDir(st) {
		flags = unix.AT_REMOVEDIR
	}
	err = unix.Unlinkat(fd, change.Base(p), flags)
	if missing(err) {
		return nil
	}
	return err
}

// removeIn empties a directory, opening it up if it must.
func (d *disk) removeIn(dir string) error {
	if fd, err := d.open(dir, unix.O_RDONLY|unix.O_DIRECTORY); err == nil {
		_ = unix.Fchmod(fd, 0o700)
		unix.Close(fd)
	} else if at, aerr := d.at(change.Parent(dir)); aerr == nil {
		_ = unix.Fchmodat(at, change.Base(dir), 0o700, 0)
	}
	names, err := d.names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := d.remove(change.Join(dir, name)); err != nil {
			return err
		}
	}
	d.forget()
	return nil
}

// sync makes the entries of a directory survive a power cut.
func (d *disk) sync(dir string) error {
	fd, err := d.at(dir)
	if err != nil {
		return err
	}
	return layer.SyncDir(fd)
}
