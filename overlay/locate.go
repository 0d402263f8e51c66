package overlay

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// dirfd returns a pinned O_PATH descriptor of the base directory at l. When the
// view has moved the directory, whoever is at l now must be the one that was
// moved: ESTALE otherwise. A directory that was not moved follows the base.
func (o *Overlay) dirfd(l *loc) (*fdEntry, error) {
	if l.up == nil {
		return &fdEntry{fd: o.base, fixed: true}, nil
	}
	k := fdKey{dir: l}
	if e := o.fds.get(k); e != nil {
		return e, nil
	}
	up, err := o.dirfd(l.up)
	if err != nil {
		return nil, err
	}
	defer o.fds.put(up)
	fd, err := o.retryEMFILE(func() (int, error) { return layer.OpenDir(up.fd, l.name) })
	if err != nil {
		return nil, stale(err)
	}
	var st layer.Stat
	if err := layer.Statx(fd, "", &st); err != nil || (l.strict && !o.key(st.Key).Same(l.key)) {
		unix.Close(fd)
		return nil, unix.ESTALE
	}
	return o.fds.add(k, fd), nil
}

// retryEMFILE gives idle descriptors up when the process has run out, so that
// exhaustion does not look like something else.
func (o *Overlay) retryEMFILE(open func() (int, error)) (int, error) {
	fd, err := open()
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		o.fds.shrink()
		fd, err = open()
	}
	return fd, err
}

// stale turns the errors of an object that is not at its place any more into ESTALE.
func stale(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return unix.ESTALE
	}
	return err
}

// statAt fills st from the base object at l.
func (o *Overlay) statAt(l *loc, st *layer.Stat) error {
	if l.up == nil {
		return layer.Statx(o.base, "", st)
	}
	up, err := o.dirfd(l.up)
	if err != nil {
		return err
	}
	defer o.fds.put(up)
	return layer.Statx(up.fd, l.name, st)
}

// statPath fills st from a path of the base. On an error st is zero.
func (o *Overlay) statPath(rel string, st *layer.Stat) error {
	*st = layer.Stat{}
	fd, err := layer.OpenPath(o.base, path.Dir(rel), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	name := path.Base(rel)
	if rel == "" {
		name = ""
	}
	return layer.Statx(fd, name, st)
}

// statBase fills st from the base object of n: ESTALE when another one, or
// none, is at its place.
func (n *node) statBase(key layer.Key, st *layer.Stat) error {
	l := n.loc.Load()
	if l == nil {
		return unix.ESTALE
	}
	if err := n.o.statAt(l, st); err != nil {
		return stale(err)
	}
	if !n.o.key(st.Key).Same(key) {
		return unix.ESTALE
	}
	return nil
}

// at makes the place name in the base directory of d.
func (d *dirNode) at(name string, key layer.Key) *loc {
	return &loc{up: d.loc.Load(), name: name, key: key}
}

// locOf makes the place of a recorded base object.
func (o *Overlay) locOf(b *meta.Base) *loc {
	l := o.root.loc.Load()
	if b.Path == "" {
		return l
	}
	for name := range strings.SplitSeq(b.Path, "/") {
		l = &loc{up: l, name: name}
	}
	l.key = b.Key
	return l
}

// locOfRec is locOf for a record that is in force.
func (o *Overlay) locOfRec(x *meta.Rec) *loc {
	l := o.locOf(x.Base)
	if x.Own&meta.Moved != 0 {
		l.strict = true
	}
	return l
}

// absent lets a base directory that is gone look empty.
func absent(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ESTALE) {
		return nil
	}
	return err
}
