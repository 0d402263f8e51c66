package overlay

import (
	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Unlink removes a name that is not a directory's.
func (d *dirNode) Unlink(c *tree.Caller, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	o := d.o
	if err := o.allow(Used{Deleted: 1}); err != nil {
		return err
	}
	by := o.by(c)
	var f found
	var last bool
	return o.change(func() (err error) {
		if err := o.bind(&d.node); err != nil {
			return err
		}
		if f, err = d.find(name); err != nil {
			return err
		}
		if f.kind == unix.S_IFDIR {
			return unix.EISDIR
		}
		now := o.now()
		if last, err = o.unlinkObject(&f, now); err != nil {
			return err
		}
		o.leave(d, name, &f)
		return o.touch(d, now, 0)
	}, func() {
		d.left(name)
		o.signRemoval(by, d.ino, name)
		if last {
			o.lost(f.ino)
		}
	})
}

// left brings memory up to date with an entry that is gone.
// Preconditions: o.mu is held for writing.
func (d *dirNode) left(name string) {
	d.ver++
	d.list.remove(name)
}

// Rmdir removes an empty directory.
func (d *dirNode) Rmdir(c *tree.Caller, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	o := d.o
	if err := o.allow(Used{Deleted: 1}); err != nil {
		return err
	}
	by := o.by(c)
	var f found
	return o.change(func() (err error) {
		if err := o.bind(&d.node); err != nil {
			return err
		}
		if f, err = d.find(name); err != nil {
			return err
		}
		if f.kind != unix.S_IFDIR {
			return unix.ENOTDIR
		}
		if err := o.removeDir(&f); err != nil {
			return err
		}
		o.leave(d, name, &f)
		return o.touch(d, o.now(), -1)
	}, func() {
		d.left(name)
		o.signRemoval(by, d.ino, name)
		o.lost(f.ino)
	})
}

// removeDir adds to o.tx that an empty directory is no more: ENOTEMPTY when it
// is not. Preconditions: o.mu is held for writing.
func (o *Overlay) removeDir(f *found) error {
	empty, err := o.emptyDir(f)
	if err != nil {
		return err
	}
	if !empty {
		return unix.ENOTEMPTY
	}
	if n := o.nodes.get(f.ino); n != nil {
		if d, ok := n.self.(*dirNode); ok {
			d.remember()
		}
	}
	o.entomb(f)
	if o.top().Dirs[f.ino] != nil {
		o.tx.Clear(f.ino)
	}
	if _, x := o.rec(f.ino); x != nil {
		o.dropRec(f.ino, x)
	}
	return nil
}

// emptyDir tells whether the view shows nothing in a directory.
// Preconditions: o.mu is held for writing.
func (o *Overlay) emptyDir(f *found) (bool, error) {
	if names := ownNames(o.stack, f.ino); len(names) > 0 {
		return false, nil
	}
	if f.at == nil {
		return true, nil
	}
	empty := true
	err := o.baseNames(f.at, func(name string, _ uint64, _ uint32) bool {
		_, w := o.entry(f.ino, name)
		empty = w == gone
		return empty
	})
	return empty, absent(err)
}

// ownNames returns the entries that the layers give a directory.
func ownNames(stack []*meta.Layer, dir uint64) map[string]meta.Entry {
	var m map[string]meta.Entry
	for _, l := range stack {
		d := l.Dirs[dir]
		if d == nil {
			continue
		}
		for name := range d.Gone {
			delete(m, name)
		}
		for name, e := range d.Own {
			if m == nil {
				m = make(map[string]meta.Entry, len(d.Own))
			}
			m[name] = e
		}
	}
	return m
}

// baseNames calls fn for each name of the base directory at l that is not hidden.
func (o *Overlay) baseNames(l *loc, fn func(name string, ino uint64, kind uint32) bool) error {
	dir, err := o.dirfd(l)
	if err != nil {
		return err
	}
	defer o.fds.put(dir)
	fd, err := o.retryEMFILE(func() (int, error) {
		return layer.Open(dir.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return layer.Names(fd, func(name string, ino uint64, kind uint32) bool {
		if o.hasHidden(name) && o.hidden(l.path(), name) {
			return true
		}
		return fn(name, ino, kind)
	})
}
