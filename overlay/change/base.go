package change

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

// base reads the base directory by path. The directory used last is kept open.
type base struct {
	root int
	dir  string
	fd   int
}

func newBase(root int) *base { return &base{root: root, fd: -1} }

func (b *base) close() {
	if b.fd >= 0 {
		unix.Close(b.fd)
		b.fd = -1
	}
}

// at returns a descriptor of a directory, valid until the next call.
func (b *base) at(dir string) (int, error) {
	if dir == Root {
		return b.root, nil
	}
	if b.fd >= 0 && b.dir == dir {
		return b.fd, nil
	}
	fd, err := layer.OpenPath(b.root, dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, err
	}
	b.close()
	b.fd, b.dir = fd, dir
	return fd, nil
}

// stat returns nil when there is nothing at p.
func (b *base) stat(p string) (*layer.Stat, error) {
	name := Base(p)
	if p == Root {
		name = ""
	}
	fd, err := b.at(Parent(p))
	if err == nil {
		st := new(layer.Stat)
		if err = layer.Statx(fd, name, st); err == nil {
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

// names lists a directory, sorted; an absent one is empty.
func (b *base) names(dir string) ([]string, error) {
	fd, err := layer.OpenPath(b.root, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
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

// open opens a regular file for reading; the caller closes it.
func (b *base) open(p string) (int, error) {
	return layer.OpenPath(b.root, p, unix.O_RDONLY|unix.O_NONBLOCK, 0)
}

func (b *base) readlink(p string) (string, error) {
	fd, err := b.at(Parent(p))
	if err != nil {
		return "", err
	}
	return layer.Readlink(fd, Base(p))
}

func (b *base) xattrs(p string) (map[string][]byte, error) {
	name := Base(p)
	if p == Root {
		name = ""
	}
	fd, err := b.at(Parent(p))
	if err != nil {
		return nil, err
	}
	return layer.Xattrs(fd, name)
}
