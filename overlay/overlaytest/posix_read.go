package overlaytest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

func procFd(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

func statAt(s spot) (*Entry, error) {
	var st layer.Stat
	if err := layer.Statx(s.dir, s.name, &st); err != nil {
		return nil, err
	}
	e := fromStat(&st)
	e.Gen, _ = layer.Generation(s.dir, s.name)
	return e, nil
}

func readlinkAt(s spot) (string, error) {
	kind, err := kindAt(s)
	if err != nil {
		return "", err
	}
	if kind != unix.S_IFLNK {
		return "", unix.EINVAL
	}
	return layer.Readlink(s.dir, s.name)
}

// xattrsAt returns what a user may set: the system's own attributes differ
// between any two directories.
func xattrsAt(s spot) (map[string][]byte, error) {
	all, err := layer.Xattrs(s.dir, s.name)
	if err != nil {
		return nil, err
	}
	return userXattrs(all), nil
}

func userXattrs(all map[string][]byte) map[string][]byte {
	m := map[string][]byte{}
	for name, v := range all {
		if strings.HasPrefix(name, "user.") {
			m[name] = v
		}
	}
	return m
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// openDir opens a directory for reading.
func openDir(s spot) (int, error) {
	return unix.Openat(s.dir, s.orDot(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

func listAt(s spot) ([]string, error) {
	fd, err := openDir(s)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var names []string
	err = layer.Names(fd, func(name string, _ uint64, _ uint32) bool {
		names = append(names, name)
		return true
	})
	slices.Sort(names)
	return names, err
}

// emptyAt does what rm -f does with a directory: it removes while it reads.
func emptyAt(s spot) error {
	fd, err := openDir(s)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var failed error
	err = layer.Names(fd, func(name string, _ uint64, _ uint32) bool {
		e := unix.Unlinkat(fd, name, 0)
		if e != nil && e != unix.EISDIR {
			failed = e
		}
		return failed == nil
	})
	return errors.Join(err, failed)
}

func fsyncAt(s spot) error {
	kind, err := kindAt(s)
	if err != nil {
		return err
	}
	if kind == unix.S_IFDIR {
		fd, err := openDir(s)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Fsync(fd)
	}
	fd, err := openFile(s, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsync(fd)
}

// Image reads the whole tree.
func (d *Posix) Image() (Image, error) {
	m := Image{}
	return m, d.image(m, "", spot{dir: d.root, keep: true})
}

func (d *Posix) image(m Image, path string, s spot) error {
	e, err := readAt(s)
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	m[path] = e
	if e.Kind() != unix.S_IFDIR {
		return nil
	}
	fd, err := openDir(s)
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	defer unix.Close(fd)
	type item struct {
		name string
		ino  uint64
		kind uint32
	}
	var items []item
	err = layer.Names(fd, func(name string, ino uint64, kind uint32) bool {
		items = append(items, item{name, ino, kind})
		return true
	})
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	for _, it := range items {
		p := Join(path, it.name)
		if m[p] != nil {
			return fmt.Errorf("%q is listed twice", p)
		}
		if err := d.image(m, p, spot{dir: fd, name: it.name, keep: true}); err != nil {
			return err
		}
		if c := m[p]; c.Ino != it.ino || c.Kind() != it.kind {
			return fmt.Errorf("%q is listed with number %d and kind %o, and has %d and %o", p, it.ino, it.kind, c.Ino, c.Kind())
		}
	}
	return nil
}

// readAt reads all there is to know of one object.
func readAt(s spot) (*Entry, error) {
	e, err := statAt(s)
	if err != nil {
		return nil, err
	}
	switch e.Kind() {
	case unix.S_IFLNK:
		e.Target, err = layer.Readlink(s.dir, s.name)
		return e, err
	case unix.S_IFREG:
		if e.Data, err = slurp(s, e.Size); err != nil {
			return nil, err
		}
	case unix.S_IFDIR:
	default:
		return e, nil
	}
	e.Xattrs, err = xattrsAt(s)
	return e, err
}

func slurp(s spot, size int64) ([]byte, error) {
	fd, done, err := file(s, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer done()
	b := make([]byte, size+1)
	n, err := preadAll(fd, b, 0)
	return b[:n], err
}
