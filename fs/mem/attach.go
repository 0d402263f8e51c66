package mem

import (
	"fmt"
	"strings"
	"syscall"

	"astrid/fs/tree"
)

// Attach puts an item at path (names joined by "/"), making the directories
// above it as fixed ones of mode 0500. What was there must be gone: EEXIST.
func (t *Tree) Attach(path string, it Item) error {
	changed, err := t.attach(path, it)
	for _, c := range changed {
		t.Publish(c)
	}
	if err != nil {
		return fmt.Errorf("attach %s: %w", path, err)
	}
	return nil
}

func (t *Tree) attach(path string, it Item) (changed []tree.Change, err error) {
	names := strings.Split(path, "/")
	for _, name := range names {
		if err := checkName(name); err != nil {
			return nil, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.root
	for _, name := range names[:len(names)-1] {
		e := d.names[name]
		if e == nil {
			sub := newDir()
			t.initNode(&sub.node, tree.KindDir, 0o500, t.opts.UID, t.opts.GID)
			sub.attr.Nlink, sub.attr.TTL, sub.fixed = 2, 0, true
			changed = append(changed, d.give(name, sub))
			d = sub
			continue
		}
		sub, ok := e.child.(*dir)
		if !ok {
			return changed, syscall.ENOTDIR
		}
		d = sub
	}
	last := names[len(names)-1]
	if d.names[last] != nil {
		return changed, syscall.EEXIST
	}
	o := it.make(t)
	if f, ok := o.(*folder); ok {
		f.parent = d.attr.Ino
	}
	return append(changed, d.give(last, o)), nil
}

// give puts an object of the program's into d.
// Preconditions: t.mu is held and the name is free.
func (d *dir) give(name string, o object) tree.Change {
	d.put(name, o)
	d.t.files++
	return tree.Change{Kind: tree.EntryChanged, ID: d.id, Name: name}
}

// Detach removes what is at path with all below it. Whoever holds a node of it
// keeps it.
func (t *Tree) Detach(path string) error {
	c, err := t.detach(path)
	if err != nil {
		return fmt.Errorf("detach %s: %w", path, err)
	}
	t.Publish(c)
	return nil
}

func (t *Tree) detach(path string) (tree.Change, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, last, err := t.walk(path)
	if err != nil {
		return tree.Change{}, err
	}
	if d.names[last] == nil {
		return tree.Change{}, syscall.ENOENT
	}
	o := d.drop(last)
	unlinked(o)
	if sub, ok := o.(*dir); ok {
		sub.empty()
	}
	return tree.Change{Kind: tree.EntryChanged, ID: d.id, Name: last}, nil
}

// empty takes all names out of a directory that lost its own.
// Preconditions: t.mu is held.
func (d *dir) empty() {
	for name := range d.names {
		o := d.drop(name)
		unlinked(o)
		if sub, ok := o.(*dir); ok {
			sub.empty()
		}
	}
}

// walk finds the directory of a path and its last name.
// Preconditions: t.mu is held.
func (t *Tree) walk(path string) (*dir, string, error) {
	names := strings.Split(path, "/")
	d := t.root
	for _, name := range names[:len(names)-1] {
		e := d.names[name]
		if e == nil {
			return nil, "", syscall.ENOENT
		}
		sub, ok := e.child.(*dir)
		if !ok {
			return nil, "", syscall.ENOTDIR
		}
		d = sub
	}
	return d, names[len(names)-1], nil
}

// Replace changes the bytes of the regular file at path, as an edit from
// outside would, and publishes it.
func (t *Tree) Replace(path string, content []byte) error {
	id, err := t.replace(path, content)
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	t.Publish(tree.Change{Kind: tree.ContentChanged, ID: id})
	return nil
}

func (t *Tree) replace(path string, content []byte) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, last, err := t.walk(path)
	if err != nil {
		return 0, err
	}
	e := d.names[last]
	if e == nil {
		return 0, syscall.ENOENT
	}
	f, ok := e.child.(*file)
	if !ok {
		return 0, syscall.EINVAL
	}
	f.resize(0)
	f.writeLocked(content, 0)
	f.modified()
	return f.id, nil
}
