package overlay

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// At is a tree that is to be mounted read-only: one directory per checkpoint, each as
// the view was then. Close ends it, after its mount.
type At struct {
	o    *Overlay
	root atRoot
	made time.Time

	mu     sync.Mutex
	open   map[uint64]*atPast // by Seq
	recent []uint64           // the last opened last
	watch  func(tree.Change)
}

const (
	// atOpen bounds how many checkpoints are kept in memory when nobody is in them.
	atOpen = 32
	// Numbers of a checkpoint's objects have that of the checkpoint in these bits, so
	// that an object that two of them have is not one file.
	atShift, atKinds = 53, 1023
)

// atPast is one checkpoint that somebody looks at.
type atPast struct {
	a       *At
	seq     uint64
	o       *Overlay
	release func()
	refs    uint64 // of its root; guarded by At.mu
	inner   uint64 // nodes below it; guarded by At.mu
}

// At returns the tree of the checkpoints.
func (o *Overlay) At() *At {
	a := &At{o: o, open: map[uint64]*atPast{}, made: time.Unix(0, o.now())}
	a.root.a = a
	return a
}

// Root implements tree.Tree.
func (a *At) Root() tree.Dir { return &a.root }

// Statfs implements tree.Tree.
func (a *At) Statfs(s *tree.Statfs) error { return a.o.Statfs(s) }

// Syncfs implements tree.Tree.
func (a *At) Syncfs() error { return nil }

// Watch implements tree.Tree.
func (a *At) Watch(fn func(tree.Change)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watch = fn
}

// Changed says that checkpoints were made or dropped.
func (a *At) Changed() { a.publish(tree.Change{Kind: tree.EverythingChanged}) }

func (a *At) publish(c tree.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watch != nil {
		a.watch(c)
	}
}

// Close lets all go.
func (a *At) Close() error {
	a.mu.Lock()
	all := a.open
	a.open = map[uint64]*atPast{}
	a.mu.Unlock()
	for _, p := range all {
		p.release()
	}
	return nil
}

// past opens a checkpoint, with one more reference of its root.
func (a *At) past(name string) (*atPast, error) {
	c, err := a.o.FindCheckpoint(name)
	if err != nil {
		return nil, unix.ENOENT
	}
	a.mu.Lock()
	if p := a.open[c.Seq]; p != nil {
		p.refs++
		a.mu.Unlock()
		return p, nil
	}
	a.mu.Unlock()
	o, release, err := a.o.Past(name)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.open[c.Seq]
	if p != nil {
		release()
	} else {
		p = &atPast{a: a, seq: c.Seq, o: o, release: release}
		a.open[c.Seq] = p
		a.recent = append(a.recent, c.Seq)
		a.makeRoom()
	}
	p.refs++
	return p, nil
}

// makeRoom asks the kernel to forget the checkpoint that was opened first, if there
// are many. Preconditions: a.mu is held.
func (a *At) makeRoom() {
	if len(a.recent) <= atOpen || a.watch == nil {
		return
	}
	for _, c := range a.o.Checkpoints() {
		if c.Seq == a.recent[0] {
			a.watch(tree.Change{Kind: tree.EntryChanged, ID: 1, Name: c.Name})
		}
	}
	a.recent = a.recent[1:]
}

// forget gives references back: of the root, or of one node below.
func (p *atPast) forget(root, inner uint64) (last bool) {
	a := p.a
	a.mu.Lock()
	p.refs -= root
	p.inner -= inner
	last = p.refs == 0
	gone := last && p.inner == 0 && a.open[p.seq] == p
	if gone {
		delete(a.open, p.seq)
		a.recent = slices.DeleteFunc(a.recent, func(seq uint64) bool { return seq == p.seq })
	}
	a.mu.Unlock()
	if gone {
		p.release()
	}
	return last
}

func (p *atPast) ino(ino uint64) uint64 { return ino + (1+p.seq%atKinds)<<atShift }
func (p *atPast) id(id uint64) uint64   { return p.seq<<40 | id }

func (p *atPast) attr(a *tree.Attr) { a.Ino = p.ino(a.Ino) }

// wrap makes the node of a checkpoint one of the tree.
func (p *atPast) wrap(n tree.Node) tree.Node {
	w := atNode{readOnly{}, p, n}
	switch n.(type) {
	case tree.Dir:
		return &atDir{w}
	case tree.File:
		return &atFile{w}
	case tree.Symlink:
		return &atLink{w}
	}
	return &w
}

// took counts a node that the kernel has got, with one more reference of the tree's.
func (p *atPast) took() {
	p.a.mu.Lock()
	p.inner++
	p.a.mu.Unlock()
}

// quiet calls fn while no commit moves what lies below the checkpoint, again if one began
// meanwhile: what it found may be neither the old nor the new.
func (p *atPast) quiet(fn func() error) error {
	for {
		gen := p.o.hold.gen.Load()
		if p.o.failed.Load() {
			return unix.EIO
		}
		if gen%2 == 0 {
			if err := fn(); p.o.hold.gen.Load() == gen {
				return err
			}
		}
		p.o.hold.mu.RLock()
		p.o.hold.mu.RUnlock()
	}
}

// atRoot has the checkpoints as its directories.
type atRoot struct {
	readOnly
	a *At
}

func (r *atRoot) ID() uint64         { return 1 }
func (r *atRoot) Forget(uint64) bool { return false }

// Getattr shows a directory that is as new as the newest checkpoint.
func (r *atRoot) Getattr(a *tree.Attr) error {
	l := r.a.o.Checkpoints()
	at := r.a.made
	if len(l) > 0 {
		at = time.Unix(0, l[len(l)-1].Time)
	}
	*a = tree.Attr{
		Ino: 1, Mode: unix.S_IFDIR | 0o555, Nlink: uint32(2 + len(l)), Blksize: 4096,
		UID: r.a.o.baseSt.UID, GID: r.a.o.baseSt.GID, Atime: at, Mtime: at, Ctime: at,
	}
	return nil
}

func (r *atRoot) Getxattr(string, []byte) (int, error) { return 0, unix.ENODATA }
func (r *atRoot) Listxattr([]byte) (int, error)        { return 0, nil }

func (r *atRoot) Lookup(name string, out *tree.Entry) (tree.Node, error) {
	p, err := r.a.past(name)
	if err != nil {
		return nil, err
	}
	n := &atTop{atDir{atNode{readOnly{}, p, p.o.Root()}}}
	if err := n.Getattr(&out.Attr); err != nil {
		n.Forget(1)
		return nil, err
	}
	out.EntryTTL = shortTTL
	return n, nil
}

func (r *atRoot) ReadDir(after uint64, plus bool, emit func(*tree.DirEntry) bool) error {
	l := r.a.o.Checkpoints()
	i, _ := slices.BinarySearchFunc(l, after+1, func(c Checkpoint, seq uint64) int { return cmp.Compare(c.Seq, seq) })
	for _, c := range l[i:] {
		p := atPast{seq: c.Seq}
		e := tree.DirEntry{Name: c.Name, Ino: p.ino(r.a.o.root.ino), Kind: tree.KindDir, Cookie: c.Seq}
		if !emit(&e) {
			return nil
		}
	}
	return nil
}
