package overlay

import (
	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/meta"
)

// With Config.Pin the view takes over a file or link of the base as a whole when it
// first says anything of it, and a file in a directory that it has moved when it
// first reads it. Nothing that is done in the base takes those away from then on.

// pin takes n over. Preconditions: no lock is held.
func (o *Overlay) pin(n *node) error {
	if !o.cfg.Pin {
		return nil
	}
	switch self := n.self.(type) {
	case *fileNode:
		self.io.Lock()
		defer self.io.Unlock()
		return self.makeOwn()
	case *linkNode:
		return self.takeTarget()
	}
	return nil
}

// pinName takes over what a name of d means; an error of the lookup is left to the
// operation that is about the name.
func (d *dirNode) pinName(name string) error {
	if !d.o.cfg.Pin {
		return nil
	}
	var out tree.Entry
	t, err := d.Lookup(name, &out)
	if err != nil {
		return nil
	}
	defer t.Forget(1)
	return d.o.pin(nodeOf(t))
}

// pinForRead takes f over when the base may lose it unnoticed: the view has moved a
// directory that it is in.
func (f *fileNode) pinForRead() error {
	if !f.o.cfg.Pin {
		return nil
	}
	f.o.mu.RLock()
	_, x := f.o.rec(f.ino)
	take := (x == nil || x.Where == meta.Below) && f.o.moved(f.loc.Load())
	f.o.mu.RUnlock()
	if !take {
		return nil
	}
	f.io.Lock()
	defer f.io.Unlock()
	return f.makeOwn()
}

// moved tells whether the view has moved the object at l or a directory above it.
// Preconditions: o.mu is held.
func (o *Overlay) moved(l *loc) bool {
	for ; l != nil; l = l.up {
		if l.strict {
			return true
		}
		if l.key.Ino == 0 {
			continue
		}
		ino, ok := o.aliases[l.key]
		if !ok {
			ino = l.key.Ino
		}
		if _, x := o.rec(ino); x != nil && x.Own&meta.Moved != 0 {
			return true
		}
	}
	return false
}

// takeTarget records all that a link of the base is.
func (l *linkNode) takeTarget() error {
	o := l.o
	target, err := l.Readlink()
	if err != nil {
		return err
	}
	xattrs, err := retry(o, l.xattrs)
	if err != nil {
		return err
	}
	return o.change(func() error {
		if err := o.bind(&l.node); err != nil {
			return err
		}
		d, err := l.editSelf()
		if err != nil || d.Own&meta.OwnContent != 0 {
			return err
		}
		var a tree.Attr
		if err := o.attrOfRec(&a, d.Rec, l.loc.Load()); err != nil {
			return err
		}
		d.Target, d.Rec.Xattrs, d.xattrs = string(target), xattrs, true
		d.Mode, d.UID, d.GID = a.Mode&^unix.S_IFMT, a.UID, a.GID
		d.Atime, d.Mtime, d.Ctime = a.Atime.UnixNano(), a.Mtime.UnixNano(), a.Ctime.UnixNano()
		d.Own |= meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs | meta.OwnContent
		d.fresh = true
		o.save(d)
		return nil
	}, nil)
}

// Setxattr sets one attribute.
func (f *fileNode) Setxattr(c *tree.Caller, name string, value []byte, flags int) error {
	if err := f.o.pin(&f.node); err != nil {
		return err
	}
	return f.node.Setxattr(c, name, value, flags)
}

// Removexattr removes one attribute.
func (f *fileNode) Removexattr(c *tree.Caller, name string) error {
	if err := f.o.pin(&f.node); err != nil {
		return err
	}
	return f.node.Removexattr(c, name)
}
