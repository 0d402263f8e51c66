package mem

import (
	"syscall"
	"time"

	"astrid/fs/tree"
)

// Rename implements tree.Dir.
func (d *dir) Rename(_ *tree.Caller, name string, newDir tree.Dir, newName string, flags uint32) error {
	to, ok := newDir.(*dir)
	if !ok || to.t != d.t {
		return syscall.EXDEV
	}
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	child, err := d.mayDrop(name)
	if err != nil {
		return err
	}
	if err := to.mayTake(newName, child); err != nil {
		return err
	}
	old := to.names[newName]
	switch {
	case flags == tree.RenameExchange && old == nil:
		return syscall.ENOENT
	case flags == tree.RenameExchange:
		return exchange(d, name, child, to, newName, old.child)
	case flags == tree.RenameNoreplace && old != nil:
		return syscall.EEXIST
	case flags&^tree.RenameNoreplace != 0:
		return syscall.EINVAL
	case old != nil && old.child == child:
		return nil // two names of one object
	case old != nil:
		if err := mayReplace(child, old.child); err != nil {
			return err
		}
		unlinked(to.drop(newName))
	}
	d.drop(name)
	to.put(newName, child)
	child.base().attr.Ctime = time.Now()
	return nil
}

// mayTake tells whether d can get child under the name.
// Preconditions: t.mu is held.
func (d *dir) mayTake(name string, child object) error {
	switch {
	case d.fixed:
		return syscall.EPERM
	case d.attr.Nlink == 0:
		return syscall.ENOENT
	case d.within(child):
		return syscall.EINVAL
	}
	if old := d.names[name]; old != nil && old.child.base().fixed {
		return syscall.EPERM
	}
	return checkName(name)
}

// within tells whether d is o or lies below it.
// Preconditions: t.mu is held.
func (d *dir) within(o object) bool {
	for {
		if object(d) == o {
			return true
		}
		if d.parent == d {
			return false
		}
		d = d.parent
	}
}

// mayReplace tells whether a rename of one object may put it in place of old.
// Preconditions: t.mu is held.
func mayReplace(child, old object) error {
	_, isDir := child.(*dir)
	oldDir, wasDir := old.(*dir)
	switch {
	case isDir && !wasDir:
		return syscall.ENOTDIR
	case !isDir && wasDir:
		return syscall.EISDIR
	case wasDir && len(oldDir.names) > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

// exchange swaps two names.
// Preconditions: t.mu is held.
func exchange(a *dir, aName string, aChild object, b *dir, bName string, bChild object) error {
	if a.within(bChild) {
		return syscall.EINVAL
	}
	if aChild == bChild {
		return nil
	}
	a.drop(aName)
	b.drop(bName)
	a.put(aName, bChild)
	b.put(bName, aChild)
	now := time.Now()
	aChild.base().attr.Ctime, bChild.base().attr.Ctime = now, now
	return nil
}
