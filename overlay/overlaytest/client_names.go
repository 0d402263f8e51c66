package overlaytest

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// free looks up a name that is to be made: EEXIST when it is there.
func (c *Client) free(up *dentry, name string) error {
	_, _, err := c.lookup(up, name)
	switch {
	case err == nil:
		return unix.EEXIST
	case isErrno(err, unix.ENOENT):
		return nil
	}
	return err
}

// make does what gives a directory a name.
func (c *Client) make(op *Op) error {
	switch op.Kind {
	case Link:
		from, name, err := c.parent(op.At, op.Path)
		if err != nil {
			return err
		}
		if _, _, err := c.parent(op.ToAt, op.To); err != nil {
			return err
		}
		src, _, err := c.lookup(from, name)
		if err != nil {
			return err
		}
		return c.link(src, op.ToAt, op.To, false)
	case Linkat:
		up, _, err := c.parent(op.At, op.Path)
		if err != nil {
			return err
		}
		o := c.slots[op.Slot]
		if o == nil || up == nil {
			return errNoSlot
		}
		err = c.link(o.d, op.At, op.Path, o.tmp)
		if err == nil {
			for _, s := range c.slots {
				if s != nil && s.d.node == o.d.node {
					s.tmp = false
				}
			}
		}
		return err
	}
	up, name, err := c.parent(op.At, op.Path)
	if err != nil {
		return err
	}
	if err := c.free(up, name); err != nil {
		return err
	}
	dir := up.node.(tree.Dir)
	var e tree.Entry
	var n tree.Node
	switch op.Kind {
	case Create:
		n, err = dir.Mknod(&c.who, name, op.Mode&0o7777|unix.S_IFREG, 0, &e)
	case Mknod:
		n, err = dir.Mknod(&c.who, name, op.Mode, 0, &e)
	case Mkdir:
		n, err = dir.Mkdir(&c.who, name, op.Mode&0o1777, &e)
	case Symlink:
		n, err = dir.Symlink(&c.who, name, op.Target, &e)
	}
	if err == nil {
		c.attach(up, name, n, &e.Attr)
	}
	return err
}

// link gives src one more name, after the checks of linkat(2).
func (c *Client) link(src *dentry, at int, path string, tmp bool) error {
	up, name, err := c.parent(at, path)
	if err != nil {
		return err
	}
	if err := c.free(up, name); err != nil {
		return err
	}
	if a, err := c.attr(up); err != nil || a.Nlink == 0 {
		return errors.Join(err, unix.ENOENT) // the directory was removed
	}
	if _, isDir := src.node.(tree.Dir); isDir {
		return unix.EPERM
	}
	a, err := c.attr(src)
	if err != nil {
		return err
	}
	if a.Nlink == 0 && !tmp {
		return unix.ENOENT
	}
	var e tree.Entry
	n, err := up.node.(tree.Dir).Link(&c.who, src.node, name, &e)
	if err == nil {
		if n != src.node {
			c.broken("linking node %d gives node %d", src.node.ID(), n.ID())
		}
		c.attach(up, name, n, &e.Attr)
	}
	return err
}

func (c *Client) remove(op *Op) error {
	up, name, err := c.parent(op.At, op.Path)
	if err != nil {
		return err
	}
	d, a, err := c.lookup(up, name)
	if err != nil {
		return err
	}
	dir := up.node.(tree.Dir)
	isDir := a.Kind() == tree.KindDir
	switch {
	case op.Kind == Unlink && isDir:
		return unix.EISDIR
	case op.Kind == Rmdir && !isDir:
		return unix.ENOTDIR
	case isDir:
		err = dir.Rmdir(&c.who, name)
	default:
		err = dir.Unlink(&c.who, name)
	}
	if err == nil {
		c.invalidate(d)
	}
	return err
}

// inside tells whether d is a or beneath it.
func (d *dentry) inside(a *dentry) bool {
	for ; d != nil; d = d.up {
		if d == a {
			return true
		}
	}
	return false
}

// rename does what do_renameat2 does before and after the file system.
func (c *Client) rename(op *Op) error {
	from, name, err := c.parent(op.At, op.Path)
	if err != nil {
		return err
	}
	to, dest, err := c.parent(op.ToAt, op.To)
	if err != nil {
		return err
	}
	src, sa, err := c.lookup(from, name)
	if err != nil {
		return err
	}
	dst, da, err := c.lookup(to, dest)
	exchange := op.Flags&tree.RenameExchange != 0
	switch {
	case err == nil && op.Flags&tree.RenameNoreplace != 0:
		return unix.EEXIST
	case err == nil:
	case !errors.Is(err, unix.ENOENT), exchange:
		return err
	}
	switch {
	case to.inside(src):
		return unix.EINVAL
	case dst != nil && from.inside(dst) && exchange:
		return unix.EINVAL
	case dst != nil && from.inside(dst):
		return unix.ENOTEMPTY
	case dst != nil && dst.node == src.node:
		return nil
	case dst == nil || exchange:
	case sa.Kind() == tree.KindDir && da.Kind() != tree.KindDir:
		return unix.ENOTDIR
	case sa.Kind() != tree.KindDir && da.Kind() == tree.KindDir:
		return unix.EISDIR
	}
	err = from.node.(tree.Dir).Rename(&c.who, name, to.node.(tree.Dir), dest, op.Flags)
	if err != nil {
		return err
	}
	switch {
	case dst != nil && exchange:
		c.move(src, to, dest)
		c.move(dst, from, name)
	case dst != nil:
		c.unhash(dst)
		c.move(src, to, dest)
	default:
		c.move(src, to, dest)
	}
	return nil
}

// move hangs a dentry elsewhere.
func (c *Client) move(d *dentry, up *dentry, name string) {
	if d.up.kids[d.name] == d {
		delete(d.up.kids, d.name)
	}
	old := d.up
	up.pins++
	d.up, d.name = up, name
	up.kids[name] = d
	c.unpin(old)
}

// listBurst is how many entries are taken at a time: few, so that cookies matter.
const listBurst = 3

// list reads a directory in bursts, each from the cookie of the last; with Empty
// it removes in between.
func (c *Client) list(op *Op, d *dentry) (Result, error) {
	names, err := c.names(d, op.Kind == Empty)
	if op.Kind == Empty {
		return Result{}, err
	}
	slices.Sort(names)
	return Result{Names: names}, err
}

// names lists a directory; with empty it removes what is no directory.
func (c *Client) names(d *dentry, empty bool) ([]string, error) {
	dir, ok := d.node.(tree.Dir)
	if !ok {
		return nil, unix.ENOTDIR
	}
	if a, err := c.attr(d); err != nil {
		return nil, err
	} else if a.Nlink == 0 {
		return nil, unix.ENOENT // the VFS does not read a removed directory
	}
	var names []string
	seen := map[string]bool{}
	for after := uint64(0); ; {
		var burst []tree.DirEntry
		err := dir.ReadDir(after, false, func(e *tree.DirEntry) bool {
			if len(burst) == listBurst {
				return false
			}
			burst = append(burst, *e)
			return true
		})
		if err != nil || len(burst) == 0 {
			return names, err
		}
		for _, e := range burst {
			if e.Cookie <= after {
				c.broken("cookie %d of %q comes after %d", e.Cookie, e.Name, after)
			}
			after = e.Cookie
			if seen[e.Name] {
				c.broken("%q is listed twice", e.Name)
			}
			seen[e.Name] = true
			names = append(names, strings.Clone(e.Name))
			if !empty || e.Kind == tree.KindDir {
				continue
			}
			if err := c.unlink(d, e.Name); err != nil {
				return names, err
			}
		}
	}
}

func (c *Client) unlink(up *dentry, name string) error {
	d, _, err := c.lookup(up, name)
	if err != nil {
		return err
	}
	if err := up.node.(tree.Dir).Unlink(&c.who, name); err != nil {
		return err
	}
	c.invalidate(d)
	return nil
}
