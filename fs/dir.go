package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"astrid/fs/tree"
)

// The kernel's cookies: 1 stands after ".", 2 after "..", and those of the tree
// follow, so that a listing needs no state between two requests.
const dotCookies = 2

// ReadDir lists names.
func (f *face) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return f.list(in, false, &lister{f: f, out: out})
}

// ReadDirPlus lists names with what a lookup of each would say.
func (f *face) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return f.list(in, true, &lister{f: f, out: out, plus: true, since: f.now()})
}

// list answers a part of a listing that begins after in.Offset.
func (f *face) list(in *fuse.ReadIn, plus bool, l *lister) fuse.Status {
	d, st := f.dir(in.NodeId)
	if st != fuse.OK {
		return st
	}
	var after uint64
	if in.Offset < dotCookies {
		if !l.dots(d, in.Offset) {
			return fuse.OK
		}
	} else {
		after = in.Offset - dotCookies
	}
	err := d.ReadDir(after, plus, l.emit)
	for _, n := range l.nodes {
		f.table.add(n)
	}
	if err != nil && len(l.out.Bytes()) > 0 {
		// What was emitted carries references: it must arrive. The error comes
		// with the next part.
		return fuse.OK
	}
	return f.errno("readdir", d.ID(), err)
}

// lister packs entries into the answer until it is full.
type lister struct {
	f     *face
	out   *fuse.DirEntryList
	plus  bool
	since moment
	nodes []tree.Node // whose references the kernel gets; the tree's locks may be held in emit
}

// dots emits "." and ".." as far as they lie after the offset.
func (l *lister) dots(d tree.Dir, offset uint64) bool {
	self, parent := l.f.dotInos(d)
	for i, e := range []fuse.DirEntry{
		{Name: ".", Ino: self, Off: 1, Mode: uint32(tree.KindDir)},
		{Name: "..", Ino: parent, Off: 2, Mode: uint32(tree.KindDir)},
	} {
		if offset <= uint64(i) && !l.add(e) {
			return false
		}
	}
	return true
}

// add packs an entry without a node.
func (l *lister) add(e fuse.DirEntry) bool {
	if l.plus {
		return l.out.AddDirLookupEntry(e) != nil
	}
	return l.out.AddDirEntry(e)
}

// emit packs an entry of the tree.
func (l *lister) emit(e *tree.DirEntry) bool {
	d := fuse.DirEntry{Name: e.Name, Ino: e.Ino, Off: e.Cookie + dotCookies, Mode: uint32(e.Kind)}
	if !l.plus || e.Node == nil {
		return l.add(d)
	}
	out := l.out.AddDirLookupEntry(d)
	if out == nil {
		return false
	}
	l.nodes = append(l.nodes, e.Node)
	l.f.fillEntry(e.Node.ID(), &e.Entry, l.since, out)
	return true
}

// dotInos finds the numbers of a directory and of its parent; 0 is unknown.
func (f *face) dotInos(d tree.Dir) (self, parent uint64) {
	if t, ok := d.(tree.Dots); ok {
		return t.DotInos()
	}
	var a tree.Attr
	if err := d.Getattr(&a); err != nil {
		return 0, 0
	}
	if d.ID() == fuse.FUSE_ROOT_ID {
		return a.Ino, a.Ino
	}
	return a.Ino, 0
}

// FsyncDir makes the entries of a directory durable.
func (f *face) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return f.sync(in)
}
