package meta

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

// MaxMarks bounds what a whiteout says of the inside of a directory: one with
// more objects says nothing of them.
const MaxMarks = 1 << 16

// Grave is what a directory of the base had under a name when the view took the
// name away, as the view knew it.
type Grave struct {
	// Finger of the object; Ino is 0 when the view had never shown it, Ctime 0
	// when it is of no account.
	Finger layer.Fingerprint
	// Marks of all that was below it, when it is a directory, by ID. Nobody changes
	// them once the grave is recorded.
	Marks []Mark
	// Partly says that Marks do not tell all: there were too many, or some were
	// not known.
	Partly bool
}

// Mark recognizes one object in a removed directory. ID and State are FNV-1a, over
// the inode and birth time, and over the kind and, of what is no directory, size
// and mtime. The device plays no part: it may have another number.
type Mark struct {
	ID    uint64
	State uint64
	Ctime int64 // 0: of no account
}

// MarkOf makes the mark of an object.
func MarkOf(f layer.Fingerprint) Mark {
	m := Mark{ID: sum(f.Ino, uint64(f.Btime)), Ctime: f.Ctime}
	if f.Mode&unix.S_IFMT == unix.S_IFDIR {
		m.State = sum(unix.S_IFDIR)
	} else {
		m.State = sum(uint64(f.Mode&unix.S_IFMT), uint64(f.Size), uint64(f.Mtime))
	}
	return m
}

func sum(v ...uint64) uint64 {
	h := fnv.New64a()
	var b [8]byte
	for _, x := range v {
		binary.LittleEndian.PutUint64(b[:], x)
		h.Write(b[:])
	}
	return h.Sum64()
}

// Add puts what was in a directory into its grave: the grave of one name, nil
// when that is not known. Order comes after the last.
func (g *Grave) Add(in *Grave) {
	switch {
	case in == nil:
		g.Partly, g.Marks = true, nil
		return
	case in.Finger.Ino != 0:
		g.Marks = append(g.Marks, MarkOf(in.Finger))
	}
	g.Marks = append(g.Marks, in.Marks...)
	if g.Partly = g.Partly || in.Partly || len(g.Marks) > MaxMarks; g.Partly {
		g.Marks = nil
	}
}

// Order sorts the marks. Of those of one object the last that was added counts.
func (g *Grave) Order() {
	slices.SortStableFunc(g.Marks, byID)
	marks := g.Marks[:0]
	for i, m := range g.Marks {
		if i+1 == len(g.Marks) || g.Marks[i+1].ID != m.ID {
			marks = append(marks, m)
		}
	}
	g.Marks = marks
}

// Knew compares an object that is at the name, or below it, with what was there.
// known is false when the grave cannot tell. same says that the view knew it as
// it is.
func (g *Grave) Knew(f layer.Fingerprint) (known, same bool) {
	now := MarkOf(f)
	was, ok := MarkOf(g.Finger), g.Finger.Ino != 0
	if !ok || was.ID != now.ID {
		var i int
		if i, ok = slices.BinarySearchFunc(g.Marks, now, byID); ok {
			was = g.Marks[i]
		}
	}
	if !ok {
		return !g.Partly, false
	}
	return true, was.State == now.State && (was.Ctime == 0 || was.Ctime == now.Ctime)
}

// Sound tells whether the grave is one that can have been made.
func (g *Grave) Sound() bool {
	if len(g.Marks) > 0 && (g.Partly || g.Finger.Mode&unix.S_IFMT != unix.S_IFDIR) {
		return false
	}
	for i := range g.Marks {
		if i > 0 && g.Marks[i-1].ID >= g.Marks[i].ID {
			return false
		}
	}
	return g.Finger.Ino != 0 || g.Finger == layer.Fingerprint{}
}

// Renew returns a grave in which the objects are as state says by their IDs: g
// itself when it says nothing of any.
func (g *Grave) Renew(state func(id uint64) (layer.Fingerprint, bool)) *Grave {
	c := *g
	if f, ok := state(MarkOf(g.Finger).ID); ok && g.Finger.Ino != 0 {
		f.Key = g.Finger.Key
		c.Finger = f
	}
	cloned := false
	for i, m := range g.Marks {
		f, ok := state(m.ID)
		if !ok {
			continue
		}
		if !cloned {
			c.Marks, cloned = slices.Clone(g.Marks), true
		}
		c.Marks[i] = MarkOf(f)
	}
	if !cloned && c.Finger == g.Finger {
		return g
	}
	return &c
}

func byID(a, b Mark) int { return cmp.Compare(a.ID, b.ID) }
