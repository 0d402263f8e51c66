package overlay

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// The limits of xattr(7).
const (
	maxXattrValue = 64 << 10
	maxXattrList  = 64 << 10
)

// Getxattr reads one attribute.
func (n *node) Getxattr(name string, dst []byte) (int, error) {
	if name == xattrBy {
		return n.getBy(dst)
	}
	size, err := retry(n.o, func() (int, error) { return n.getxattr(name, dst) })
	if n.bereft(err) {
		return 0, unix.ENODATA
	}
	return size, err
}

// bereft tells whether err is of a directory that the base has no more: it is an
// empty one without attributes there. It is asked when no commit is under way.
func (n *node) bereft(err error) bool {
	return n.kind == unix.S_IFDIR && errors.Is(err, unix.ESTALE)
}

func (n *node) getxattr(name string, dst []byte) (int, error) {
	o := n.o
	o.mu.RLock()
	_, x := o.rec(n.ino)
	if x == nil || x.Own&meta.OwnXattrs == 0 {
		o.mu.RUnlock()
		return n.getxattrBase(name, dst)
	}
	v, ok := x.Xattrs[name]
	o.mu.RUnlock()
	if !ok {
		return 0, unix.ENODATA
	}
	return fit(dst, v)
}

func fit(dst, v []byte) (int, error) {
	if len(dst) == 0 {
		return len(v), nil
	}
	if len(v) > len(dst) {
		return 0, unix.ERANGE
	}
	return copy(dst, v), nil
}

// inBase calls fn with the place of the base object.
func (n *node) inBase(fn func(dirfd int, name string) error) error {
	l := n.loc.Load()
	if l == nil {
		return unix.ESTALE
	}
	if l.up == nil {
		return fn(n.o.base, "")
	}
	up, err := n.o.dirfd(l.up)
	if err != nil {
		return err
	}
	defer n.o.fds.put(up)
	return stale(fn(up.fd, l.name))
}

func (n *node) getxattrBase(name string, dst []byte) (size int, err error) {
	if n.loc.Load() == nil {
		return 0, unix.ENODATA
	}
	err = n.inBase(func(dirfd int, file string) (err error) {
		size, err = layer.Getxattr(dirfd, file, name, dst)
		return err
	})
	return size, noXattrs(err)
}

// noXattrs lets a base without extended attributes look like one where none is set.
func noXattrs(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return unix.ENODATA
	}
	return err
}

// Listxattr lists the names.
func (n *node) Listxattr(dst []byte) (int, error) {
	m, err := retry(n.o, n.xattrs)
	if err != nil && !n.bereft(err) {
		return 0, err
	}
	return fit(dst, []byte(xattrList(m)))
}

func xattrList(m map[string][]byte) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(name)
		b.WriteByte(0)
	}
	return b.String()
}

// xattrs returns the whole set; the map is not to be changed.
func (n *node) xattrs() (map[string][]byte, error) {
	o := n.o
	o.mu.RLock()
	_, x := o.rec(n.ino)
	if x != nil && x.Own&meta.OwnXattrs != 0 {
		m := x.Xattrs
		o.mu.RUnlock()
		return m, nil
	}
	o.mu.RUnlock()
	return n.baseXattrs()
}

func (n *node) baseXattrs() (m map[string][]byte, err error) {
	if n.loc.Load() == nil {
		return nil, nil
	}
	err = n.inBase(func(dirfd int, file string) (err error) {
		m, err = layer.Xattrs(dirfd, file)
		return err
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = nil
	}
	return m, err
}

// xattrClass refuses names that a disk does not have.
func xattrClass(name string) error {
	if name == aclAccess || name == aclDefault {
		return nil
	}
	for _, class := range []string{"user.", "trusted.", "security."} {
		switch {
		case name == class:
			return unix.EINVAL
		case strings.HasPrefix(name, class):
			return nil
		}
	}
	return unix.EOPNOTSUPP
}

// Setxattr sets one attribute.
func (n *node) Setxattr(c *tree.Caller, name string, value []byte, flags int) error {
	if err := xattrClass(name); err != nil {
		return err
	}
	if len(value) > maxXattrValue {
		return unix.E2BIG
	}
	if name == xattrBy {
		return unix.EPERM
	}
	return n.changeXattrs(c, func(d *draft, m map[string][]byte) error {
		_, has := m[name]
		switch {
		case flags&unix.XATTR_CREATE != 0 && has:
			return unix.EEXIST
		case flags&unix.XATTR_REPLACE != 0 && !has:
			return unix.ENODATA
		}
		if name == aclAccess {
			return d.setACL(m, value)
		}
		m[name] = append([]byte{}, value...)
		if len(xattrList(m)) > maxXattrList {
			return unix.ENOSPC
		}
		return nil
	})
}

// Removexattr removes one attribute. A list that is not there is removed as well
// as one that says what the mode says.
func (n *node) Removexattr(c *tree.Caller, name string) error {
	return n.changeXattrs(c, func(_ *draft, m map[string][]byte) error {
		if _, ok := m[name]; !ok && name != aclAccess && name != aclDefault {
			return unix.ENODATA
		}
		delete(m, name)
		return nil
	})
}

// changeXattrs records a changed set.
func (n *node) changeXattrs(c *tree.Caller, fn func(*draft, map[string][]byte) error) error {
	if err := n.o.allowTo(n.ino, 0); err != nil {
		return err
	}
	base, err := n.baseXattrs()
	if err != nil && !errors.Is(err, unix.ESTALE) {
		return err
	}
	o, by := n.o, n.o.by(c)
	return o.change(func() error {
		if err := o.bind(n); err != nil {
			return err
		}
		d, err := n.editSelf()
		if err != nil {
			return err
		}
		m := base
		if d.Own&meta.OwnXattrs != 0 {
			m = d.Rec.Xattrs
		}
		m = maps.Clone(m)
		if m == nil {
			m = map[string][]byte{}
		}
		if err := fn(d, m); err != nil {
			return err
		}
		d.Rec.Xattrs, d.xattrs = m, true
		d.Own |= meta.OwnXattrs | meta.OwnTimes
		d.Ctime = o.now()
		o.save(d)
		return nil
	}, func() { o.sign(by, n.ino) })
}
