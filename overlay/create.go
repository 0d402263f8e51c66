package overlay

import (
	"errors"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Mknod makes a file, fifo, socket or device.
func (d *dirNode) Mknod(c *tree.Caller, name string, mode, rdev uint32, out *tree.Entry) (tree.Node, error) {
	kind := mode & unix.S_IFMT
	switch kind {
	case 0:
		kind = unix.S_IFREG
	case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK:
	default:
		return nil, unix.EINVAL
	}
	x := &meta.Rec{Kind: kind, Mode: mode &^ unix.S_IFMT, Rdev: rdev, Nlink: 1}
	if kind == unix.S_IFREG {
		x.Where = meta.Inline
	}
	return d.create(c, name, x, out)
}

// Mkdir makes a directory with nothing below it.
func (d *dirNode) Mkdir(c *tree.Caller, name string, mode uint32, out *tree.Entry) (tree.Node, error) {
	return d.create(c, name, &meta.Rec{Kind: unix.S_IFDIR, Mode: mode &^ unix.S_IFMT, Nlink: 2}, out)
}

// Symlink makes a symbolic link.
func (d *dirNode) Symlink(c *tree.Caller, name, target string, out *tree.Entry) (tree.Node, error) {
	if target == "" {
		return nil, unix.ENOENT
	}
	if len(target) >= unix.PathMax {
		return nil, unix.ENAMETOOLONG
	}
	return d.create(c, name, &meta.Rec{Kind: unix.S_IFLNK, Mode: 0o777, Target: target, Nlink: 1}, out)
}

// create makes the object that x describes under a free name.
func (d *dirNode) create(c *tree.Caller, name string, x *meta.Rec, out *tree.Entry) (tree.Node, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	o := d.o
	if err := o.allow(Used{Changed: 1}); err != nil {
		return nil, err
	}
	by := o.by(c)
	var n *node
	err := o.change(func() error {
		if err := o.bind(&d.node); err != nil {
			return err
		}
		if err := d.free(name); err != nil {
			return err
		}
		if err := d.inherit(c, x); err != nil {
			return err
		}
		nlink := 0
		if x.IsDir() {
			nlink = 1
		}
		if err := o.touch(d, x.Mtime, nlink); err != nil {
			return err
		}
		o.tx.Put(x, nil)
		o.enter(d, name, x.Ino, x.Kind)
		return nil
	}, func() {
		n = d.entered(name, x.Ino, x.Kind)
	})
	if err != nil {
		return nil, err
	}
	o.sign(by, x.Ino)
	return n.self, n.fill(out)
}

// entered brings memory up to date with a new entry and returns its node, with
// a reference. Preconditions: o.mu is held for writing.
func (d *dirNode) entered(name string, ino uint64, kind uint32) *node {
	d.ver++
	d.list.add(name, ino, kind)
	n, err := d.o.takeOwn(d, name, meta.Entry{Ino: ino, Kind: kind})
	if err != nil {
		panic("overlay: a record committed a moment ago is not there")
	}
	return n
}

// fill answers for a node that was just made or found.
func (n *node) fill(out *tree.Entry) error {
	out.EntryTTL = longTTL
	return n.Getattr(&out.Attr)
}

// free returns EEXIST unless d may get the name. Preconditions: o.mu is held for writing.
func (d *dirNode) free(name string) error {
	_, err := d.find(name)
	switch {
	case err == nil:
		return unix.EEXIST
	case !errors.Is(err, unix.ENOENT):
		return err
	case d.unlinked:
		return unix.ENOENT
	}
	if l := d.loc.Load(); l != nil && d.o.hasHidden(name) && d.o.hidden(l.path(), name) {
		return unix.EPERM
	}
	return nil
}

// inherit completes the record of a new object in d: number, owner, group, mode,
// times. Preconditions: o.mu is held for writing.
func (d *dirNode) inherit(c *tree.Caller, x *meta.Rec) error {
	o := d.o
	mode, gid, err := d.perm()
	if err != nil {
		return err
	}
	x.Ino = o.newIno()
	x.Own = meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs | meta.OwnContent
	x.UID, x.GID = c.UID, c.GID
	if x.Kind != unix.S_IFLNK {
		if def := d.defaultACL(); def != nil {
			inheritACL(x, def)
		} else {
			x.Mode &^= c.Umask
		}
	}
	if mode&unix.S_ISGID != 0 {
		x.GID = gid
		if x.IsDir() {
			x.Mode |= unix.S_ISGID
		}
	}
	now := o.now()
	x.Atime, x.Mtime, x.Ctime, x.Btime = now, now, now, now
	return nil
}

// perm returns mode and group of d. Preconditions: o.mu is held.
func (d *dirNode) perm() (mode, gid uint32, err error) {
	_, x := d.o.rec(d.ino)
	if x != nil && x.Own&meta.OwnPerm != 0 {
		return x.Mode, x.GID, nil
	}
	var st layer.Stat
	if err := d.statBase(d.key, &st); err != nil {
		return 0, 0, err
	}
	return st.Mode, st.GID, nil
}

// defaultACL returns the list that new objects in d inherit in place of the
// umask, nil when there is none. Preconditions: o.mu is held.
func (d *dirNode) defaultACL() acl {
	var v []byte
	if _, x := d.o.rec(d.ino); x != nil && x.Own&meta.OwnXattrs != 0 {
		v = x.Xattrs[aclDefault]
	} else if n, err := d.getxattrBase(aclDefault, nil); err == nil && n > 0 {
		v = make([]byte, n)
		if n, err = d.getxattrBase(aclDefault, v); err != nil {
			return nil
		}
		v = v[:n]
	}
	a, err := parseACL(v)
	if err != nil {
		return nil
	}
	return a
}

// Link gives a node one more name.
func (d *dirNode) Link(c *tree.Caller, target tree.Node, name string, out *tree.Entry) (tree.Node, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	n := nodeOf(target)
	if n == nil || n.o != d.o {
		return nil, unix.EXDEV
	}
	if n.kind == unix.S_IFDIR {
		return nil, unix.EPERM
	}
	o := d.o
	if err := o.allow(Used{Changed: 1}); err != nil {
		return nil, err
	}
	by := o.by(c)
	if err := o.pin(n); err != nil {
		return nil, err
	}
	err := o.change(func() error {
		if err := errors.Join(o.bind(&d.node), o.bind(n)); err != nil {
			return err
		}
		if err := d.free(name); err != nil {
			return err
		}
		x, err := n.editSelf()
		if err != nil {
			return err
		}
		now := o.now()
		x.Nlink++
		x.Ctime = now
		x.Own |= meta.OwnTimes
		o.save(x)
		if err := o.touch(d, now, 0); err != nil {
			return err
		}
		o.enter(d, name, n.ino, n.kind)
		return nil
	}, func() {
		n.unlinked = false
		d.entered(name, n.ino, n.kind)
	})
	if err != nil {
		return nil, err
	}
	o.sign(by, n.ino)
	return n.self, n.fill(out)
}

// Tmpfile makes a file without a name; Link may give it one.
func (d *dirNode) Tmpfile(c *tree.Caller, mode uint32, out *tree.Entry) (tree.Node, error) {
	o := d.o
	if err := o.allow(Used{Changed: 1}); err != nil {
		return nil, err
	}
	by := o.by(c)
	x := &meta.Rec{Kind: unix.S_IFREG, Mode: mode &^ unix.S_IFMT, Where: meta.Inline}
	var n *node
	err := o.change(func() error {
		if d.unlinked {
			return unix.ENOENT
		}
		if err := d.inherit(c, x); err != nil {
			return err
		}
		o.tx.Put(x, nil)
		return nil
	}, func() {
		n = o.nodes.take(o, x.Ino, x.Kind, layer.Key{})
		n.unlinked = true
	})
	if err != nil {
		return nil, err
	}
	o.sign(by, x.Ino)
	return n.self, n.fill(out)
}

// nodeOf returns what a tree.Node of this package is made of, nil for others.
func nodeOf(t tree.Node) *node {
	switch t := t.(type) {
	case *fileNode:
		return &t.node
	case *dirNode:
		return &t.node
	case *linkNode:
		return &t.node
	case *specialNode:
		return &t.node
	}
	return nil
}
