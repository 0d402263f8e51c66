package mem

import (
	"sort"
	"syscall"
	"time"

	"astrid/fs/tree"
)

// dir is a directory whose entries are kept. Cookies are the birth numbers of
// entries; list holds them in that order, with gaps where one was removed.
type dir struct {
	node
	parent *dir
	names  map[string]*dirent
	list   []*dirent
	born   uint64
}

// dirent is a name in a directory; child is nil once it was removed.
type dirent struct {
	name   string
	cookie uint64
	child  object
}

var (
	_ tree.Dir  = (*dir)(nil)
	_ tree.Dots = (*dir)(nil)
)

func newDir() *dir { return &dir{names: make(map[string]*dirent)} }

// put adds a name.
// Preconditions: t.mu is held and the name is free.
func (d *dir) put(name string, child object) {
	d.born++
	e := &dirent{name, d.born, child}
	d.names[name] = e
	d.list = append(d.list, e)
	d.touched()
	if sub, ok := child.(*dir); ok {
		sub.parent = d
		d.attr.Nlink++
	}
}

// drop removes a name.
// Preconditions: t.mu is held and the name exists.
func (d *dir) drop(name string) object {
	e := d.names[name]
	child := e.child
	e.child = nil
	delete(d.names, name)
	if len(d.list) > 2*len(d.names)+16 {
		kept := make([]*dirent, 0, len(d.names))
		for _, e := range d.list {
			if e.child != nil {
				kept = append(kept, e)
			}
		}
		d.list = kept
	}
	d.touched()
	if _, ok := child.(*dir); ok {
		d.attr.Nlink--
	}
	return child
}

func (d *dir) touched() {
	d.attr.Mtime = time.Now()
	d.attr.Ctime = d.attr.Mtime
}

// unlinked takes a link from an object that lost a name.
// Preconditions: t.mu is held.
func unlinked(child object) {
	n := child.base()
	if _, ok := child.(*dir); ok {
		n.attr.Nlink = 0
		n.t.files--
		return
	}
	n.attr.Nlink--
	n.attr.Ctime = time.Now()
	if n.attr.Nlink == 0 {
		n.t.files--
	}
}

// entry fills out and takes a reference for the caller.
// Preconditions: t.mu is held.
func (n *node) entry(out *tree.Entry) {
	n.refs++
	n.t.held++
	out.Attr = n.attr
	out.EntryTTL = n.attr.TTL
}

// Lookup implements tree.Dir.
func (d *dir) Lookup(name string, out *tree.Entry) (tree.Node, error) {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	e, ok := d.names[name]
	if !ok {
		out.EntryTTL = d.attr.TTL
		return nil, syscall.ENOENT
	}
	e.child.base().entry(out)
	return e.child, nil
}

// DotInos implements tree.Dots.
func (d *dir) DotInos() (self, parent uint64) {
	d.t.mu.RLock()
	defer d.t.mu.RUnlock()
	return d.attr.Ino, d.parent.attr.Ino
}

// ReadDir implements tree.Dir.
func (d *dir) ReadDir(after uint64, plus bool, emit func(*tree.DirEntry) bool) error {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	from := sort.Search(len(d.list), func(i int) bool { return d.list[i].cookie > after })
	for _, e := range d.list[from:] {
		if e.child == nil || unlisted(e.child) {
			continue
		}
		if !emitOne(e, plus, emit) {
			break
		}
	}
	return nil
}

// unlisted tells whether an object is found by its name only.
func unlisted(o object) bool {
	g, ok := o.(*generated)
	return ok && g.item.unlisted
}

func emitOne(e *dirent, plus bool, emit func(*tree.DirEntry) bool) bool {
	n := e.child.base()
	de := tree.DirEntry{Name: e.name, Ino: n.attr.Ino, Kind: n.attr.Kind(), Cookie: e.cookie}
	if !plus {
		return emit(&de)
	}
	de.Node = e.child
	n.entry(&de.Entry)
	if !emit(&de) {
		n.refs--
		n.t.held--
		return false
	}
	return true
}

// mayAdd tells whether a name can be made in d.
// Preconditions: t.mu is held.
func (d *dir) mayAdd(name string) error {
	switch {
	case d.fixed:
		return syscall.EPERM
	case d.attr.Nlink == 0:
		return syscall.ENOENT
	case d.names[name] != nil:
		return syscall.EEXIST
	}
	return checkName(name)
}

// mayDrop finds a name that can be removed from d.
// Preconditions: t.mu is held.
func (d *dir) mayDrop(name string) (object, error) {
	e := d.names[name]
	switch {
	case e == nil:
		return nil, syscall.ENOENT
	case d.fixed || e.child.base().fixed:
		return nil, syscall.EPERM
	}
	return e.child, nil
}
