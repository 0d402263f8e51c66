package overlay

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
)

// node is what the kinds of nodes share. The object is ino; everything that
// survives a restart is in records, everything here lives until Forget.
type node struct {
	o    *Overlay
	id   uint64
	ino  uint64
	kind uint32 // S_IFMT bits
	self tree.Node

	refs uint64 // guarded by o.nodes.mu

	// loc is where the base object is, nil when there is none.
	loc atomic.Pointer[loc]
	// key is the identity of the base object. Guarded by o.mu.
	key layer.Key
	// unlinked says that the last name is gone: the record goes with the last
	// reference. Guarded by o.mu.
	unlinked bool
	// last is what a removed directory looked like. Guarded by o.mu.
	last *tree.Attr
}

// loc is a place in the base: a name in the directory at up. The root's has no up.
type loc struct {
	up   *loc
	name string
	key  layer.Key // of the directory, when it is one
	// strict says that the view has moved the object, so that only the very one
	// counts and not whoever took its place. Set before the loc is shared.
	strict bool
	// wd is the watch of the directory: 0 none, -1 the system refused.
	wd atomic.Int32
}

func (l *loc) path() string {
	if l == nil || l.up == nil {
		return ""
	}
	if l.up.up == nil {
		return l.name
	}
	return l.up.path() + "/" + l.name
}

type dirNode struct {
	node
	// ver counts changes of what the view says of the names. Guarded by o.mu.
	ver uint64
	// up is the number of the directory that has this one. Guarded by o.nodes.mu.
	up uint64
	// list is the merged listing, when somebody read it. Guarded by o.mu.
	list *listing
}

// outdated says that the names of d may be others now. Preconditions: o.mu is held
// for writing.
func (d *dirNode) outdated() {
	d.ver++
	if d.list != nil {
		d.list.stale = true
	}
}

type fileNode struct {
	node
	// io orders content: readers share, whoever changes content is alone. It is
	// taken before o.mu.
	io sync.RWMutex
	// author and signedAt are of the last write that was signed; guarded by io.
	author   *process
	signedAt int64
}

type linkNode struct{ node }

// specialNode is a fifo, socket or device.
type specialNode struct{ node }

var (
	_ tree.Dir     = (*dirNode)(nil)
	_ tree.File    = (*fileNode)(nil)
	_ tree.Symlink = (*linkNode)(nil)
	_ tree.Node    = (*specialNode)(nil)
)

// table finds the live node of a number. Its lock is the innermost.
type table struct {
	mu   sync.Mutex
	m    map[uint64]*node
	next uint64
}

func (t *table) init() { t.m = map[uint64]*node{}; t.next = 1 }

// get returns the live node of ino without taking a reference.
func (t *table) get(ino uint64) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.m[ino]
}

func (o *Overlay) newRoot() *dirNode {
	n := o.nodes.take(o, o.number(o.baseSt.Key, &o.baseSt), unix.S_IFDIR, o.key(o.baseSt.Key))
	n.loc.Store(&loc{key: n.key})
	return n.self.(*dirNode)
}

// take returns the node of ino with one more reference, made when there is none.
func (t *table) take(o *Overlay, ino uint64, kind uint32, key layer.Key) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.m[ino]
	if n == nil {
		n = newNode(kind)
		n.o, n.id, n.ino, n.kind, n.key = o, t.next, ino, kind, key
		t.next++
		t.m[ino] = n
	}
	n.refs++
	return n
}

func newNode(kind uint32) *node {
	switch kind {
	case unix.S_IFDIR:
		d := &dirNode{}
		d.self = d
		return &d.node
	case unix.S_IFREG:
		f := &fileNode{}
		f.self = f
		return &f.node
	case unix.S_IFLNK:
		l := &linkNode{}
		l.self = l
		return &l.node
	}
	s := &specialNode{}
	s.self = s
	return &s.node
}

// ID returns the node's number in the life of the overlay.
func (n *node) ID() uint64 { return n.id }

// Forget gives references back.
func (n *node) Forget(refs uint64) bool {
	t := &n.o.nodes
	t.mu.Lock()
	if n.id == 1 || refs < n.refs {
		if n.id != 1 {
			n.refs -= refs
		}
		t.mu.Unlock()
		return false
	}
	n.refs = 0
	if t.m[n.ino] == n {
		delete(t.m, n.ino)
	}
	t.mu.Unlock()
	n.o.release(n)
	return true
}

// release drops what the last reference kept.
func (o *Overlay) release(n *node) {
	if d, ok := n.self.(*dirNode); ok {
		o.watch.remove(d)
	}
	o.mu.RLock()
	unlinked := n.unlinked
	o.mu.RUnlock()
	o.fds.drop(fdKey{node: n.id})
	if !unlinked {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, x := o.rec(n.ino); x != nil && x.Nlink <= 0 {
		o.dropRec(n.ino, x)
		o.commitQuietly("forget")
	}
}

// key brings a base key into the form that is kept: the base's own device is 0,
// so that it may have another number after the next boot.
func (o *Overlay) key(k layer.Key) layer.Key {
	if k.Dev == o.baseSt.Dev {
		k.Dev = 0
	}
	k.Gen = 0
	return k
}

// diskKey is the inverse of key.
func (o *Overlay) diskKey(k layer.Key) layer.Key {
	if k.Dev == 0 {
		k.Dev = o.baseSt.Dev
	}
	return k
}
