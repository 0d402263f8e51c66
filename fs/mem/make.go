package mem

import (
	"syscall"
	"time"

	"astrid/fs/tree"
)

const setGIDBit = 0o2000

// owned initializes a new object of c's in d: the group comes from a set-gid
// directory, and so does the bit where the object is a directory too.
// Preconditions: t.mu is held.
func (d *dir) owned(c *tree.Caller, n *node, kind tree.Kind, perm uint32) {
	gid := c.GID
	perm &^= c.Umask
	if d.attr.Mode&setGIDBit != 0 {
		gid = d.attr.GID
		if kind == tree.KindDir {
			perm |= setGIDBit
		}
	}
	d.t.initNode(n, kind, perm, c.UID, gid)
}

// Mknod implements tree.Dir.
func (d *dir) Mknod(c *tree.Caller, name string, mode, rdev uint32, out *tree.Entry) (tree.Node, error) {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	if err := d.mayAdd(name); err != nil {
		return nil, err
	}
	var child object
	switch kind := tree.Kind(mode & tree.KindMask); kind {
	case tree.KindRegular, 0:
		f := &file{}
		d.owned(c, &f.node, tree.KindRegular, mode)
		child = f
	case tree.KindFifo, tree.KindSocket, tree.KindChar, tree.KindBlock:
		s := &special{}
		d.owned(c, &s.node, kind, mode)
		s.attr.Rdev = rdev
		child = s
	default:
		return nil, syscall.EINVAL
	}
	return d.christen(name, child, out), nil
}

// christen gives a new object its name and the caller its reference.
// Preconditions: t.mu is held and the name is free.
func (d *dir) christen(name string, child object, out *tree.Entry) tree.Node {
	d.put(name, child)
	d.t.files++
	child.base().entry(out)
	return child
}

// Mkdir implements tree.Dir.
func (d *dir) Mkdir(c *tree.Caller, name string, mode uint32, out *tree.Entry) (tree.Node, error) {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	if err := d.mayAdd(name); err != nil {
		return nil, err
	}
	sub := newDir()
	d.owned(c, &sub.node, tree.KindDir, mode)
	sub.attr.Nlink = 2
	return d.christen(name, sub, out), nil
}

// Symlink implements tree.Dir.
func (d *dir) Symlink(c *tree.Caller, name, target string, out *tree.Entry) (tree.Node, error) {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	if err := d.mayAdd(name); err != nil {
		return nil, err
	}
	l := &symlink{target: target}
	d.owned(&tree.Caller{UID: c.UID, GID: c.GID}, &l.node, tree.KindSymlink, 0o777)
	l.attr.Size = uint64(len(target))
	return d.christen(name, l, out), nil
}

// Link implements tree.Dir.
func (d *dir) Link(_ *tree.Caller, target tree.Node, name string, out *tree.Entry) (tree.Node, error) {
	o, ok := target.(object)
	if !ok || o.base().t != d.t {
		return nil, syscall.EXDEV
	}
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	if err := d.mayAdd(name); err != nil {
		return nil, err
	}
	n := o.base()
	if n.fixed || n.attr.Kind() == tree.KindDir {
		return nil, syscall.EPERM
	}
	if n.attr.Nlink == 0 {
		d.t.files++
	}
	n.attr.Nlink++
	n.attr.Ctime = time.Now()
	d.put(name, o)
	n.entry(out)
	return o, nil
}

// Tmpfile implements tree.Dir.
func (d *dir) Tmpfile(c *tree.Caller, mode uint32, out *tree.Entry) (tree.Node, error) {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	switch {
	case d.fixed:
		return nil, syscall.EPERM
	case d.attr.Nlink == 0:
		return nil, syscall.ENOENT
	}
	f := &file{}
	d.owned(c, &f.node, tree.KindRegular, mode)
	f.attr.Nlink = 0
	f.entry(out)
	return f, nil
}

// Unlink implements tree.Dir.
func (d *dir) Unlink(_ *tree.Caller, name string) error {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	child, err := d.mayDrop(name)
	if err != nil {
		return err
	}
	if _, ok := child.(*dir); ok {
		return syscall.EISDIR
	}
	unlinked(d.drop(name))
	return nil
}

// Rmdir implements tree.Dir.
func (d *dir) Rmdir(_ *tree.Caller, name string) error {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	child, err := d.mayDrop(name)
	if err != nil {
		return err
	}
	sub, ok := child.(*dir)
	switch {
	case !ok:
		return syscall.ENOTDIR
	case len(sub.names) > 0:
		return syscall.ENOTEMPTY
	}
	unlinked(d.drop(name))
	return nil
}
