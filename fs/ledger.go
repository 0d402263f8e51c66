package fs

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"astrid/fs/tree"
)

// ledger is what the kernel believes of regular files while it owns their size
// and times (Options.Writeback): it takes those from the first answer about a
// file, changes them by itself, and heeds no later answer. So when the tree has
// other ones that the kernel did not bring about (an edit below, a rollback),
// the file must become another inode to the kernel: it gets another generation
// at the next lookup, and what was open of the old one fails.
//
// A nil ledger is that of a write-through mount: it does nothing.
type ledger struct {
	mu     sync.Mutex // leaf
	clock  uint64     // counts changes of any file that have ended
	belief map[uint64]*belief
	open   map[uint64]tree.Node // of which pages came, and nothing is known since
}

// belief is about one file.
type belief struct {
	gen     uint64
	known   bool // size and mtime are what the kernel was told or has told us
	size    uint64
	mtime   int64  // ns since 1970
	writing int    // requests under way that change the file
	last    uint64 // ledger.clock when the last of them ended
	expired bool   // the kernel has been made to look up again
}

func newLedger() *ledger {
	return &ledger{belief: make(map[uint64]*belief), open: make(map[uint64]tree.Node)}
}

func (b *belief) fits(a *tree.Attr) bool { return b.size == a.Size && b.mtime == a.Mtime.UnixNano() }

func (b *belief) set(a *tree.Attr) {
	b.known, b.size, b.mtime = true, a.Size, a.Mtime.UnixNano()
}

// of returns the belief about a file. Preconditions: l.mu is held.
func (l *ledger) of(id uint64) *belief {
	b := l.belief[id]
	if b == nil {
		b = &belief{gen: generation}
		l.belief[id] = b
	}
	return b
}

// now is to be taken before the attributes that judge is given.
func (l *ledger) now() uint64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clock
}

// judge returns the generation of a file that an answer with these attributes is
// about. They are not to be kept (sure is false) when a request that changes the
// file was under way since the given time: nobody knows yet what they mean.
func (l *ledger) judge(id uint64, a *tree.Attr, since uint64) (gen uint64, sure bool) {
	if l == nil || a.Kind() != tree.KindRegular {
		return generation, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.of(id)
	quiet := b.writing == 0 && b.last <= since
	switch {
	case b.known && b.fits(a):
		return b.gen, true
	case !quiet:
		return b.gen, false
	case b.known:
		b.gen++
	}
	b.expired = false
	b.set(a)
	delete(l.open, id)
	return b.gen, true
}

// begin comes before a request of the kernel that changes size, bytes or times
// of a file, end after it. ESTALE, without an end, when the file is not the one
// that the kernel knows: its pages and times do not belong to it.
func (l *ledger) begin(n tree.Node) fuse.Status {
	if l == nil {
		return fuse.OK
	}
	l.mu.Lock()
	b := l.of(n.ID())
	look := b.known && b.writing == 0
	b.writing++
	l.mu.Unlock()
	var a tree.Attr
	if look && n.Getattr(&a) != nil {
		look = false // the request itself will say why
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if look && b.known && !b.fits(&a) {
		b.writing--
		return fuse.Status(eStale)
	}
	b.known = false
	return fuse.OK
}

func (l *ledger) end(n tree.Node) {
	if l != nil {
		l.look(n, l.ended(n))
	}
}

// endPages is end after pages: many come in a row, and the times of the file after
// them. What they made of the file is looked at then, or by settle.
func (l *ledger) endPages(n tree.Node) {
	if l == nil {
		return
	}
	l.ended(n)
	l.mu.Lock()
	l.open[n.ID()] = n
	l.mu.Unlock()
}

// ended notes the end of a change and returns its time.
func (l *ledger) ended(n tree.Node) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.of(n.ID())
	b.writing--
	l.clock++
	b.last = l.clock
	return b.last
}

// look notes what a file is, unless it was changed after the given time.
func (l *ledger) look(n tree.Node, at uint64) {
	var a tree.Attr
	err := n.Getattr(&a)
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.belief[n.ID()]; err == nil && b != nil && b.writing == 0 && b.last <= at {
		b.set(&a)
		delete(l.open, n.ID())
	}
}

// settle looks at the files of which pages came, before the tree may change them
// by itself.
func (l *ledger) settle() {
	if l == nil {
		return
	}
	l.mu.Lock()
	open, at := slices.Collect(maps.Values(l.open)), l.clock
	l.mu.Unlock()
	for _, n := range open {
		l.look(n, at)
	}
}

// outdated tells, once for each change, whether a file is not the one any more
// that the kernel knows.
func (l *ledger) outdated(n tree.Node) bool {
	if l == nil {
		return false
	}
	var a tree.Attr
	if _, file := n.(tree.File); !file || n.Getattr(&a) != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.belief[n.ID()]
	if b == nil || !b.known || b.expired || b.fits(&a) {
		return false
	}
	b.expired = true
	return true
}

// forget is called when the kernel has no reference left. A generation that was
// used is not used again.
func (l *ledger) forget(id uint64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, id)
	if b := l.belief[id]; b != nil && b.gen > generation {
		b.known, b.gen = false, b.gen+1
	} else if b != nil && b.writing == 0 {
		delete(l.belief, id)
	}
}

// instant is within what a file may have got its mtime for the kernel to take it
// for the present one: more than a tick of its clock.
const instant = time.Second

// within is begin and end around a change that the tree stamps with its own time.
// The kernel has stamped the file before, and says so later; but not when the file
// had that time already, being changed twice within a tick of its clock. Then the
// time stays what it was.
func (l *ledger) within(n tree.Node, change func() error) (fuse.Status, error) {
	if l == nil {
		return fuse.OK, change()
	}
	if st := l.begin(n); st != fuse.OK {
		return st, nil
	}
	defer l.end(n)
	var a tree.Attr
	recent := n.Getattr(&a) == nil && time.Since(a.Mtime).Abs() < instant
	err := change()
	if err == nil && recent {
		err = n.Setattr(&tree.Caller{}, &tree.SetAttr{Valid: tree.SetMtime | tree.SetCtime, Mtime: a.Mtime, Ctime: a.Ctime}, &a)
	}
	return fuse.OK, err
}
