package fs

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"astrid/fs/tree"
)

// rootAlias stands for the root inside go-fuse, which reserves a name in node 1
// for a purpose of its own; no name of the user's may be lost to that.
const rootAlias = ^uint64(0) - 1

// generation goes with every id but the root's. Ids are never reused, so that
// one is enough, but see ledger.
const generation = 1

// maxName is the longest name in bytes.
const maxName = 255

// noEpochTTL bounds how long a name may be cached where the kernel cannot be
// told to forget all names at once.
const noEpochTTL = time.Second

// face answers parsed requests out of a tree. What it does not define answers
// ENOSYS: ACCESS, CREATE (the kernel then sends MKNOD) and locks (the kernel's).
type face struct {
	fuse.RawFileSystem
	tree    tree.Tree
	root    tree.Dir
	opens   bool
	log     *slog.Logger
	ctx     context.Context // ends with the mount
	table   table
	handles handles
	ledger  *ledger       // nil: write-through
	changes atomic.Uint64 // counts what the tree published
	epoch   bool          // set before the first request after INIT
	expire  uint32        // flag of a notification about a name; set likewise
}

var _ fuse.RawFileSystem = (*face)(nil)

func newFace(ctx context.Context, t tree.Tree, o *Options) *face {
	f := &face{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		tree:          t,
		root:          t.Root(),
		opens:         o.Opens,
		log:           o.Log,
		ctx:           ctx,
	}
	if o.Writeback && !o.Opens {
		f.ledger = newLedger()
	}
	f.table.init(f.ledger)
	f.handles.init()
	return f
}

// String names the file system in go-fuse's own messages.
func (f *face) String() string { return "astrid" }

// SetDebug does nothing: Options.Debug decides.
func (f *face) SetDebug(bool) {}

// node finds the node of a request.
func (f *face) node(id uint64) (tree.Node, fuse.Status) {
	if id == rootAlias || id == fuse.FUSE_ROOT_ID {
		return f.root, fuse.OK
	}
	if n := f.table.get(id); n != nil {
		return n, fuse.OK
	}
	f.log.Error("request for an unknown node", "node", id)
	return nil, fuse.Status(eStale)
}

// dir finds the directory of a request.
func (f *face) dir(id uint64) (tree.Dir, fuse.Status) {
	n, st := f.node(id)
	if st != fuse.OK {
		return nil, st
	}
	if d, ok := n.(tree.Dir); ok {
		return d, fuse.OK
	}
	return nil, fuse.ENOTDIR
}

// nameIn finds the directory of a request that names an entry of it.
func (f *face) nameIn(id uint64, name string) (tree.Dir, fuse.Status) {
	if len(name) > maxName {
		return nil, fuse.Status(eNameTooLong)
	}
	return f.dir(id)
}

// file finds the regular file of a request.
func (f *face) file(id uint64) (tree.File, fuse.Status) {
	n, st := f.node(id)
	if st != fuse.OK {
		return nil, st
	}
	switch n := n.(type) {
	case tree.File:
		return n, fuse.OK
	case tree.Dir:
		return nil, fuse.EISDIR
	}
	return nil, fuse.EINVAL
}

// callerOf says who asks.
func callerOf(h *fuse.InHeader, umask uint32) *tree.Caller {
	return &tree.Caller{UID: h.Uid, GID: h.Gid, PID: h.Pid, Umask: umask}
}

// moment is when an answer began to be computed.
type moment struct {
	changes uint64 // what the tree had published by then
	ledger  uint64
}

func (f *face) now() moment { return moment{f.changes.Load(), f.ledger.now()} }

// ttl is how long an answer may be cached that was computed since then.
func (f *face) ttl(d time.Duration, since moment) time.Duration {
	if f.opens || f.changes.Load() != since.changes {
		return 0
	}
	return max(d, 0)
}

// entryTTL is ttl for the binding of a name.
func (f *face) entryTTL(d time.Duration, since moment) time.Duration {
	if !f.epoch {
		d = min(d, noEpochTTL)
	}
	return f.ttl(d, since)
}

// bind hands n to the kernel under the name that was asked for.
func (f *face) bind(n tree.Node, e *tree.Entry, since moment, out *fuse.EntryOut) {
	f.fillEntry(f.table.add(n), e, since, out)
}

func (f *face) fillEntry(id uint64, e *tree.Entry, since moment, out *fuse.EntryOut) {
	gen, sure := f.ledger.judge(id, &e.Attr, since.ledger)
	if !sure {
		e.EntryTTL = 0
	}
	out.NodeId = id
	out.Generation = gen
	if out.NodeId == fuse.FUSE_ROOT_ID {
		out.Generation = 0
	}
	out.SetEntryTimeout(f.entryTTL(e.EntryTTL, since))
	out.SetAttrTimeout(f.ttl(e.TTL, since))
	fillAttr(&out.Attr, &e.Attr)
}

func fillAttr(out *fuse.Attr, a *tree.Attr) {
	*out = fuse.Attr{
		Ino: a.Ino, Size: a.Size, Blocks: a.Blocks,
		Mode: a.Mode, Nlink: a.Nlink,
		Owner: fuse.Owner{Uid: a.UID, Gid: a.GID},
		Rdev:  a.Rdev, Blksize: a.Blksize,
	}
	out.SetTimes(&a.Atime, &a.Mtime, &a.Ctime)
}

// StatFs describes the disk. The read loop has seen to it that every change
// read before is applied.
func (f *face) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	f.ledger.settle()
	var s tree.Statfs
	if err := f.tree.Statfs(&s); err != nil {
		return f.errno("statfs", 1, err)
	}
	*out = fuse.StatfsOut{
		Blocks: s.Blocks, Bfree: s.Bfree, Bavail: s.Bavail, Files: s.Files, Ffree: s.Ffree,
		Bsize: s.Bsize, Frsize: s.Frsize, NameLen: s.NameLen,
	}
	return fuse.OK
}
