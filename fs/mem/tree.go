package mem

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"astrid/fs/tree"
)

// Options of a tree. The zero value is an empty writable tree of root's.
type Options struct {
	UID, GID uint32
	// Mode of the root directory; 0 is 0755.
	Mode uint32
	// TTL is how long answers about ordinary objects may be cached. Items are
	// never cached.
	TTL time.Duration
	// Fixed refuses (EPERM) every change of the root through the mount.
	Fixed bool
	// Allow is asked before an item is opened; its error is the answer.
	Allow func(c *tree.Caller) error
}

// Tree is a tree.Tree in memory. Make it with New.
type Tree struct {
	opts Options
	root *dir
	seed maphash.Seed // of inode numbers of what folders list

	mu     sync.RWMutex // everything below, and every node
	lastID uint64
	bytes  uint64 // held by files
	files  uint64 // nodes with a name
	held   uint64 // references out

	mute    atomic.Bool
	watchMu sync.RWMutex // held for reading over each call of watch
	watch   func(tree.Change)
}

var _ tree.Tree = (*Tree)(nil)

const (
	blockSize = 4096
	// capacity is what Statfs claims.
	capacity = 1 << 40
	maxFiles = 1 << 32
)

// New makes an empty tree.
func New(o Options) *Tree {
	if o.Mode == 0 {
		o.Mode = 0o755
	}
	t := &Tree{opts: o, seed: maphash.MakeSeed()}
	t.root = newDir()
	t.initNode(&t.root.node, tree.KindDir, o.Mode, o.UID, o.GID)
	t.root.attr.Nlink = 2
	t.root.parent = t.root
	t.root.fixed = o.Fixed
	t.root.refs = 1
	return t
}

// initNode gives a new node its number.
// Preconditions: t.mu is held or t is not shared yet.
func (t *Tree) initNode(n *node, kind tree.Kind, perm, uid, gid uint32) {
	t.lastID++
	now := time.Now()
	n.t, n.id = t, t.lastID
	n.attr = tree.Attr{
		Ino: n.id, Mode: uint32(kind) | perm&0o7777, Nlink: 1, UID: uid, GID: gid,
		Blksize: blockSize, Atime: now, Mtime: now, Ctime: now, Btime: now, TTL: t.opts.TTL,
	}
}

// Root implements tree.Tree.
func (t *Tree) Root() tree.Dir { return t.root }

// Held is how many references have not been given back, less the root's own.
func (t *Tree) Held() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.held
}

// Statfs implements tree.Tree.
func (t *Tree) Statfs(s *tree.Statfs) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	free := (capacity - t.bytes) / blockSize
	*s = tree.Statfs{
		Blocks: capacity / blockSize, Bfree: free, Bavail: free,
		Files: maxFiles, Ffree: maxFiles - t.files,
		Bsize: blockSize, Frsize: blockSize, NameLen: maxName,
	}
	return nil
}

// Syncfs implements tree.Tree.
func (t *Tree) Syncfs() error { return nil }

// Watch implements tree.Tree.
func (t *Tree) Watch(f func(tree.Change)) {
	t.watchMu.Lock()
	t.watch = f
	t.watchMu.Unlock()
}

// Publish tells the receiver of a change, as if somebody had edited below.
func (t *Tree) Publish(c tree.Change) {
	t.watchMu.RLock()
	defer t.watchMu.RUnlock()
	if t.watch != nil && !t.mute.Load() {
		t.watch(c)
	}
}

// Mute keeps changes from the receiver, for a test of what it then does not know.
func (t *Tree) Mute(on bool) { t.mute.Store(on) }

const maxName = 255

func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return syscall.EINVAL
	case len(name) > maxName:
		return syscall.ENAMETOOLONG
	}
	return nil
}
