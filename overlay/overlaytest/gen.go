package overlaytest

import (
	"math"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// Names are what files are called: few, so that they meet, and some odd.
func Names() []string {
	return []string{
		"a", "b", "c", "d", "e", "f",
		".wh.a", "\xff\xfe", "new\nline", " ", "-rf", longName,
	}
}

// maxDepth keeps made directories from growing without end.
const maxDepth = 5

// Known is what a generator may know of the tree: paths that are there, by kind.
type Known struct {
	Dirs, Files, Others []string // Dirs has the root, ""
}

// Limits bounds what is generated.
type Limits struct {
	Slots  bool // operations on open objects
	Atomic bool // only what happens at once or not at all
	Names  []string
}

// Kinds and how often they come.
func weights(l Limits) (kinds []Kind) {
	add := func(n int, k ...Kind) {
		for range n {
			kinds = append(kinds, k...)
		}
	}
	add(4, Create, Mkdir, Unlink, Rmdir, Write)
	add(8, Rename)
	add(3, Link, Truncate, Append)
	add(2, Symlink, Mknod, Chmod, Chown, Utimes, Setxattr, Fallocate)
	add(1, Rmxattr)
	if l.Atomic {
		return kinds
	}
	add(1, Read, Holes, Readlink, Readdir, Empty, Stat, Getxattr, Listxattr, Fsync, Forget)
	add(2, Copy)
	if l.Slots {
		add(4, Open)
		add(2, Close)
		add(1, Tmpfile, Linkat)
	}
	return kinds
}

type gen struct {
	t *rapid.T
	k *Known
	l Limits
}

// Draw returns a random operation on a tree of which k is known.
func Draw(t *rapid.T, k *Known, l Limits) *Op {
	if l.Names == nil {
		l.Names = Names()
	}
	g := &gen{t, k, l}
	op := &Op{Kind: pick(g, "kind", weights(l)), At: NoSlot, ToAt: NoSlot}
	g.place(op)
	g.details(op)
	return op
}

func pick[V any](g *gen, label string, of []V) V {
	return of[rapid.IntRange(0, len(of)-1).Draw(g.t, label)]
}

func (g *gen) chance(label string, percent int) bool {
	return rapid.IntRange(0, 99).Draw(g.t, label) < percent
}

// place draws the paths.
func (g *gen) place(op *Op) {
	switch op.Kind {
	case Create, Mkdir, Mknod, Symlink, Linkat:
		op.At, op.Path = g.name("path")
	case Unlink, Readlink:
		op.At, op.Path = g.existing("path", g.k.Files, g.k.Others)
	case Rmdir, Readdir, Empty, Tmpfile:
		op.At, op.Path = g.existing("path", g.k.Dirs)
	case Write, Append, Truncate, Fallocate, Read, Holes, Copy:
		op.At, op.Path = g.existing("path", g.k.Files)
	default:
		op.At, op.Path = g.existing("path", g.k.Files, g.k.Dirs, g.k.Others)
	}
	switch op.Kind {
	case Link:
		op.ToAt, op.To = g.name("to")
	case Copy:
		op.ToAt, op.To = g.existing("to", g.k.Files)
	case Rename:
		if g.chance("onto", 40) {
			op.ToAt, op.To = g.existing("to", g.k.Files, g.k.Dirs, g.k.Others)
		} else {
			op.ToAt, op.To = g.name("to")
		}
	}
	g.noRoot(op)
}

// noRoot gives names to operations that cannot do without.
func (g *gen) noRoot(op *Op) {
	switch op.Kind {
	case Create, Mkdir, Mknod, Symlink, Linkat, Unlink, Rmdir, Link, Rename:
		if op.Path == "" {
			op.Path = pick(g, "instead of the root", g.l.Names)
		}
	}
	if (op.Kind == Link || op.Kind == Rename) && op.To == "" {
		op.To = pick(g, "instead of the root", g.l.Names)
	}
}

// fromSlot begins a path at an open object now and then.
func (g *gen) fromSlot(label string) (int, bool) {
	if !g.l.Slots || !g.chance(label+" at", 12) {
		return NoSlot, false
	}
	return rapid.IntRange(0, Slots-1).Draw(g.t, label+" slot"), true
}

// existing draws a path that is there, mostly.
func (g *gen) existing(label string, of ...[]string) (int, string) {
	if at, ok := g.fromSlot(label); ok {
		if g.chance(label+" itself", 60) {
			return at, ""
		}
		return at, pick(g, label, g.l.Names)
	}
	var all []string
	for _, s := range of {
		all = append(all, s...)
	}
	if len(all) == 0 || g.chance(label+" missing", 6) {
		_, p := g.name(label)
		return NoSlot, p
	}
	return NoSlot, pick(g, label, all)
}

// name draws a path in a directory that is there, mostly; the name itself may
// be taken.
func (g *gen) name(label string) (int, string) {
	if at, ok := g.fromSlot(label); ok {
		return at, pick(g, label, g.l.Names)
	}
	dir := ""
	if g.chance(label+" astray", 4) && len(g.k.Files)+len(g.k.Others) > 0 {
		dir = pick(g, label+" under", append(append([]string{}, g.k.Files...), g.k.Others...))
	} else if dir = pick(g, label+" in", g.k.Dirs); strings.Count(dir, "/") >= maxDepth {
		dir = ""
	}
	return NoSlot, Join(dir, pick(g, label, g.l.Names))
}

func (g *gen) size(label string) int64 {
	if g.l.Atomic {
		return pick(g, label, []int64{0, 1, 3, 100, 1000, 4000})
	}
	return pick(g, label, []int64{0, 1, 2, 7, 50, 100, 1000, 4095, 4096, 5000, 20000, 65535, 65536, 65537, 70000, 150000})
}

func (g *gen) mode(dir bool) uint32 {
	m := pick(g, "mode", []uint32{0o644, 0o600, 0o755, 0o777, 0o4755, 0o2755, 0o2644, 0o1777, 0o6711})
	if os.Geteuid() != 0 {
		m &= 0o1777 // what takes set-id bits away is told elsewhere
	}
	if dir {
		return m | 0o700 // so that it is no matter who runs the test
	}
	return m | 0o600
}

// past is a time that was given: not within this century's third decade.
func (g *gen) past(label string) int64 {
	if g.chance(label+" omit", 20) {
		return math.MinInt64
	}
	return rapid.Int64Range(-1_000_000_000, 1_500_000_000).Draw(g.t, label)*1_000_000_000 + rapid.Int64Range(0, 999_999_999).Draw(g.t, label+" ns")
}

// owner draws who is to own something. Never both to be left as they are: what
// that does to set-id bits is up to the file system.
func (g *gen) owner(op *Op) {
	op.UID, op.GID = uint32(os.Geteuid()), uint32(os.Getegid())
	if os.Geteuid() == 0 {
		op.UID = pick(g, "uid", []uint32{0, 1000, 65534, math.MaxUint32})
		op.GID = pick(g, "gid", []uint32{0, 1000, 65534})
	}
}

// details draws what else the operation needs.
func (g *gen) details(op *Op) {
	op.Umask = pick(g, "umask", []uint32{0, 0o022, 0o077})
	op.Slot = rapid.IntRange(0, Slots-1).Draw(g.t, "slot")
	switch op.Kind {
	case Create, Tmpfile:
		op.Mode = g.mode(false)
		op.Umask &^= 0o700
	case Mkdir:
		op.Mode = g.mode(true)
	case Chmod:
		op.Mode = g.mode(true)
	case Mknod:
		op.Mode = g.mode(false) | pick(g, "kind of node", []uint32{unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFREG})
	case Symlink:
		op.Target = pick(g, "target", []string{"a", "../b", "/etc/passwd", "nowhere", strings.Repeat("t", 300), "\xff"})
	case Rename:
		op.Flags = pick(g, "flags", []uint32{0, 0, 0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE})
	case Write, Read, Append, Copy:
		op.Off, op.Len = g.size("offset"), g.size("length")
		op.Off2 = g.size("offset 2")
		op.Seed = rapid.Uint64().Draw(g.t, "seed")
		if op.Kind != Read && op.Len == 0 {
			op.Len = 1
		}
	case Truncate:
		op.Len = g.size("size")
	case Fallocate:
		op.Off, op.Len = g.size("offset"), g.size("length")
		op.Flags = pick(g, "flags", []uint32{0, unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE,
			unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE})
	case Chown:
		g.owner(op)
	case Utimes:
		op.Atime, op.Mtime = g.past("atime"), g.past("mtime")
	case Setxattr, Getxattr, Rmxattr:
		op.Name = pick(g, "attribute", []string{"user.a", "user.b", "user.\xff c"})
		op.Value = Bytes(rapid.Uint64().Draw(g.t, "value"), pick(g, "value size", []int64{0, 1, 10, 200}))
		op.Flags = 0
		if op.Kind == Setxattr {
			op.Flags = pick(g, "flags", []uint32{0, 0, unix.XATTR_CREATE, unix.XATTR_REPLACE})
		}
	}
}
