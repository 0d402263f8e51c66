package overlaytest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
)

// Entry is what one object looks like.
type Entry struct {
	Mode   uint32 // with the kind
	Nlink  uint32
	UID    uint32
	GID    uint32
	Rdev   uint32
	Size   int64 // not of directories
	Atime  int64
	Mtime  int64
	Ctime  int64
	Ino    uint64
	Btime  int64  // these two make an Ino that is used again
	Gen    uint32 // another object; only where a Posix driver asks
	Target string
	Xattrs map[string][]byte
	Data   []byte
}

// Kind returns the S_IFMT bits.
func (e *Entry) Kind() uint32 { return e.Mode & unix.S_IFMT }

func fromStat(s *layer.Stat) *Entry {
	e := &Entry{
		Mode: s.Mode, Nlink: s.Nlink, UID: s.UID, GID: s.GID, Rdev: s.Rdev, Size: s.Size,
		Atime: s.Atime, Mtime: s.Mtime, Ctime: s.Ctime, Ino: s.Ino, Btime: s.Btime,
	}
	if e.Kind() == unix.S_IFDIR {
		e.Size = 0
	}
	return e
}

func fromAttr(a *tree.Attr) *Entry {
	e := &Entry{
		Mode: a.Mode, Nlink: a.Nlink, UID: a.UID, GID: a.GID, Rdev: a.Rdev, Size: int64(a.Size),
		Atime: a.Atime.UnixNano(), Mtime: a.Mtime.UnixNano(), Ctime: a.Ctime.UnixNano(), Ino: a.Ino,
	}
	if e.Kind() == unix.S_IFDIR {
		e.Size = 0
	}
	return e
}

// Image is a whole tree: slash path, "" for the root, to what is there.
type Image map[string]*Entry

// Paths returns the paths, sorted.
func (m Image) Paths() []string { return slices.Sorted(maps.Keys(m)) }

// Rule says how to compare.
type Rule struct {
	// Exact compares all times, and not only those that were given.
	Exact bool
	// Times leaves times out when false.
	Times bool
	// DirTimes and DirLinks leave those of directories out when false.
	DirTimes, DirLinks bool
	// FileLinks leaves the link counts of what is neither file nor directory out.
	FileLinks bool
	// Skip names paths whose times are not compared.
	Skip map[string]bool
}

// Diff returns in what the view differs from the plain directory, a line each.
func (r *Rule) Diff(plain, view Image) []string {
	var out []string
	for _, p := range plain.Paths() {
		v := view[p]
		if v == nil {
			out = append(out, fmt.Sprintf("%q (%06o) is not in the view", p, plain[p].Mode))
			continue
		}
		for _, d := range r.diff(p, plain[p], v) {
			out = append(out, fmt.Sprintf("%q: %s", p, d))
		}
	}
	for _, p := range view.Paths() {
		if plain[p] == nil {
			out = append(out, fmt.Sprintf("%q (%06o) is in the view only", p, view[p].Mode))
		}
	}
	return append(out, linked(plain, view)...)
}

// diff compares two objects.
func (r *Rule) diff(path string, p, v *Entry) (out []string) {
	say := func(what string, plain, view any) {
		out = append(out, fmt.Sprintf("%s: plain %v, view %v", what, plain, view))
	}
	if p.Mode != v.Mode {
		say("mode", fmt.Sprintf("%06o", p.Mode), fmt.Sprintf("%06o", v.Mode))
	}
	if p.UID != v.UID || p.GID != v.GID {
		say("owner", fmt.Sprint(p.UID, ":", p.GID), fmt.Sprint(v.UID, ":", v.GID))
	}
	dir := p.Kind() == unix.S_IFDIR
	if p.Nlink != v.Nlink && (!dir || r.DirLinks) && (dir || p.Kind() == unix.S_IFREG || !r.FileLinks) {
		say("link count", p.Nlink, v.Nlink)
	}
	if p.Rdev != v.Rdev {
		say("device", p.Rdev, v.Rdev)
	}
	if p.Size != v.Size {
		say("size", p.Size, v.Size)
	}
	if p.Target != v.Target {
		say("target", p.Target, v.Target)
	}
	if !bytes.Equal(p.Data, v.Data) {
		say("content", about(p.Data, v.Data), about(v.Data, p.Data))
	}
	if !maps.EqualFunc(p.Xattrs, v.Xattrs, bytes.Equal) {
		say("xattrs", p.Xattrs, v.Xattrs)
	}
	if !r.Times || dir && !r.DirTimes || r.Skip[path] {
		return out
	}
	if !r.sameTime(p.Mtime, v.Mtime) {
		say("mtime", ns(p.Mtime), ns(v.Mtime))
	}
	return out
}

// given is later than any time that an operation gives, and long before any
// that it leaves.
const given = 1_650_000_000_000_000_000

// sameTime is the rule of times: see the package.
func (r *Rule) sameTime(p, v int64) bool {
	if r.Exact || p < given || v < given {
		return p == v
	}
	return true
}

func ns(t int64) string { return time.Unix(0, t).UTC().Format(time.RFC3339Nano) }

// about tells where b begins to differ from o.
func about(b, o []byte) string {
	i := 0
	for i < len(b) && i < len(o) && b[i] == o[i] {
		i++
	}
	return fmt.Sprintf("%d bytes, differ from %d: %x", len(b), i, b[i:min(len(b), i+16)])
}

// linked compares which names are one object.
func linked(plain, view Image) (out []string) {
	first := map[uint64]string{}
	of := map[uint64]uint64{}
	for _, p := range plain.Paths() {
		v := view[p]
		if v == nil {
			continue
		}
		if ino, ok := of[plain[p].Ino]; !ok {
			if other, taken := first[v.Ino]; taken {
				out = append(out, fmt.Sprintf("%q and %q are one object (%d) in the view only", other, p, v.Ino))
			}
			of[plain[p].Ino] = v.Ino
			first[v.Ino] = p
		} else if ino != v.Ino {
			out = append(out, fmt.Sprintf("%q has number %d in the view, another name of it %d", p, v.Ino, ino))
		}
	}
	return out
}
