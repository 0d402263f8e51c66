package mem

import (
	"hash/maphash"
	"sort"
	"syscall"

	"astrid/fs/tree"
)

const eNoEntry = syscall.ENOENT

// folder is the node of a Folder item. Its fields are guarded by t.mu.
type folder struct {
	node
	item    Folder
	born    uint64
	cookies map[string]uint64 // birth numbers of the names listed last
	held    map[string]object // children with references
	parent  uint64            // number of the directory above
}

var (
	_ tree.Dir  = (*folder)(nil)
	_ tree.Dots = (*folder)(nil)
)

// dynamicIno marks the numbers of what has no node of its own while nobody
// holds it.
const dynamicIno = 1 << 62

// inoOf is the number of a name below d, whether somebody holds it or not.
func (d *folder) inoOf(name string) uint64 {
	type key struct {
		dir  uint64
		name string
	}
	return maphash.Comparable(d.t.seed, key{d.attr.Ino, name})>>2 | dynamicIno
}

// DotInos implements tree.Dots.
func (d *folder) DotInos() (self, parent uint64) { return d.attr.Ino, d.parent }

func (d *folder) items() Folder {
	d.t.mu.RLock()
	defer d.t.mu.RUnlock()
	return d.item
}

// Lookup implements tree.Dir.
func (d *folder) Lookup(name string, out *tree.Entry) (tree.Node, error) {
	it, err := d.items().Child(name)
	if err != nil {
		return nil, err
	}
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	o := d.child(name, it)
	o.base().entry(out)
	return o, nil
}

// child finds or makes the node of a name.
// Preconditions: t.mu is held.
func (d *folder) child(name string, it Item) object {
	if o := d.held[name]; o != nil && it.renew(o) {
		return o
	}
	o := it.make(d.t)
	n := o.base()
	n.attr.Ino = d.inoOf(name)
	if sub, ok := o.(*folder); ok {
		sub.parent = d.attr.Ino
	}
	d.held[name] = o
	n.gone = func() {
		if d.held[name] == o {
			delete(d.held, name)
		}
	}
	return o
}

// ReadDir implements tree.Dir.
func (d *folder) ReadDir(after uint64, plus bool, emit func(*tree.DirEntry) bool) error {
	item := d.items()
	names, err := item.List()
	if err != nil {
		return err
	}
	for _, e := range d.number(names) {
		if e.cookie <= after {
			continue
		}
		it, err := item.Child(e.name)
		if err != nil {
			continue // it went away since the listing
		}
		if !d.emitItem(e, it, plus, emit) {
			break
		}
	}
	return nil
}

func (d *folder) emitItem(e dirent, it Item, plus bool, emit func(*tree.DirEntry) bool) bool {
	de := tree.DirEntry{Name: e.name, Ino: d.inoOf(e.name), Kind: it.kind(), Cookie: e.cookie}
	if !plus {
		return emit(&de)
	}
	d.t.mu.Lock()
	o := d.child(e.name, it)
	o.base().entry(&de.Entry)
	d.t.mu.Unlock()
	de.Node = o
	if !emit(&de) {
		o.Forget(1)
		return false
	}
	return true
}

// number gives new names their cookies, forgets those of names that are gone,
// and returns the entries in order.
func (d *folder) number(names []string) []dirent {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	sort.Strings(names)
	now := make(map[string]uint64, len(names))
	list := make([]dirent, 0, len(names))
	for _, name := range names {
		if checkName(name) != nil || now[name] != 0 {
			continue
		}
		c := d.cookies[name]
		if c == 0 {
			d.born++
			c = d.born
		}
		now[name] = c
		list = append(list, dirent{name: name, cookie: c})
	}
	d.cookies = now
	sort.Slice(list, func(i, j int) bool { return list[i].cookie < list[j].cookie })
	return list
}

// Mknod implements tree.Dir: nobody makes or removes what a function lists.
func (d *folder) Mknod(*tree.Caller, string, uint32, uint32, *tree.Entry) (tree.Node, error) {
	return nil, syscall.EPERM
}

// Mkdir implements tree.Dir.
func (d *folder) Mkdir(*tree.Caller, string, uint32, *tree.Entry) (tree.Node, error) {
	return nil, syscall.EPERM
}

// Symlink implements tree.Dir.
func (d *folder) Symlink(*tree.Caller, string, string, *tree.Entry) (tree.Node, error) {
	return nil, syscall.EPERM
}

// Link implements tree.Dir.
func (d *folder) Link(*tree.Caller, tree.Node, string, *tree.Entry) (tree.Node, error) {
	return nil, syscall.EPERM
}

// Tmpfile implements tree.Dir.
func (d *folder) Tmpfile(*tree.Caller, uint32, *tree.Entry) (tree.Node, error) {
	return nil, syscall.EPERM
}

// Unlink implements tree.Dir.
func (d *folder) Unlink(*tree.Caller, string) error { return syscall.EPERM }

// Rmdir implements tree.Dir.
func (d *folder) Rmdir(*tree.Caller, string) error { return syscall.EPERM }

// Rename implements tree.Dir.
func (d *folder) Rename(*tree.Caller, string, tree.Dir, string, uint32) error {
	return syscall.EPERM
}
