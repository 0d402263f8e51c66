package meta

import (
	"encoding/binary"
	"slices"

	"astrid/overlay/layer"
)

// The kinds of facts.
const (
	factPut = iota + 1
	factDrop
	factEnter
	factLeave
	factHide
	factShow
	factTouch
	factWrite
	factResize
	factBlob
	factAlias
	factFolded
	factNext
	factAttr
	factXattrs
	factClear
	factBury
	factSeal
	factMoved
)

const (
	flagBase = 1 << iota
	flagCopied
	flagHash
)

// Tx collects facts that become true together. The zero Tx is empty and ready;
// Reset makes it so again and keeps its memory.
type Tx struct{ buf []byte }

// Reset empties t.
func (t *Tx) Reset() { t.buf = t.buf[:0] }

// Len is the size of the payload in bytes.
func (t *Tx) Len() int { return len(t.buf) }

func (t *Tx) u(v uint64)    { t.buf = binary.AppendUvarint(t.buf, v) }
func (t *Tx) i(v int64)     { t.buf = binary.AppendVarint(t.buf, v) }
func (t *Tx) s(v string)    { t.u(uint64(len(v))); t.buf = append(t.buf, v...) }
func (t *Tx) b(v []byte)    { t.u(uint64(len(v))); t.buf = append(t.buf, v...) }
func (t *Tx) fact(kind int) { t.buf = append(t.buf, byte(kind)) }

func (t *Tx) key(k layer.Key) {
	t.u(k.Dev)
	t.u(k.Ino)
	t.i(k.Btime)
	t.u(uint64(k.Gen))
}

// Put records r as it is. With Inline its bytes must be in content (which may
// be shorter than r.Size: zeros follow).
func (t *Tx) Put(r *Rec, content []byte) {
	t.fact(factPut)
	t.u(r.Ino)
	t.u(uint64(r.Kind))
	t.u(uint64(r.Own))
	t.u(uint64(r.Mode))
	t.u(uint64(r.UID))
	t.u(uint64(r.GID))
	t.i(r.Atime)
	t.i(r.Mtime)
	t.i(r.Ctime)
	t.i(r.Btime)
	t.i(int64(r.Nlink))
	t.u(uint64(r.Rdev))
	t.s(r.Target)
	t.origin(r)
	if r.Own&OwnXattrs != 0 {
		t.xattrs(r.Xattrs)
	}
	t.u(uint64(r.Where))
	switch r.Where {
	case Inline:
		t.u(uint64(r.Size))
		t.b(content)
	case Data:
		t.u(r.DataID)
		t.u(r.Epoch)
	}
}

func (t *Tx) origin(r *Rec) {
	flags := uint64(0)
	if r.Base != nil {
		flags |= flagBase
	}
	if r.Copied {
		flags |= flagCopied
	}
	if r.HasHash {
		flags |= flagHash
	}
	t.u(flags)
	if r.Base != nil {
		t.s(r.Base.Path)
		t.key(r.Base.Key)
	}
	if r.Copied {
		t.finger(&r.Finger)
	}
	if r.HasHash {
		t.buf = append(t.buf, r.Hash[:]...)
	}
}

func (t *Tx) finger(f *layer.Fingerprint) {
	t.key(f.Key)
	t.u(uint64(f.Mode))
	t.i(f.Size)
	t.i(f.Mtime)
	t.i(f.Ctime)
}

func (t *Tx) xattrs(m map[string][]byte) {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	t.u(uint64(len(names)))
	for _, name := range names {
		t.s(name)
		t.b(m[name])
	}
}

// Drop forgets the record of ino.
func (t *Tx) Drop(ino uint64) { t.fact(factDrop); t.u(ino) }

// Enter gives directory dir the name.
func (t *Tx) Enter(dir uint64, name string, e Entry) {
	t.fact(factEnter)
	t.u(dir)
	t.s(name)
	t.u(e.Ino)
	t.u(uint64(e.Kind))
	t.u(e.Birth)
}

// Leave takes an own name away.
func (t *Tx) Leave(dir uint64, name string) { t.fact(factLeave); t.u(dir); t.s(name) }

// Hide makes a name below disappear.
func (t *Tx) Hide(dir uint64, name string) { t.fact(factHide); t.u(dir); t.s(name) }

// Bury is Hide with what the view knew of the object below.
func (t *Tx) Bury(dir uint64, name string, g *Grave) {
	t.fact(factBury)
	t.u(dir)
	t.s(name)
	t.finger(&g.Finger)
	partly := uint64(0)
	if g.Partly {
		partly = 1
	}
	t.u(partly)
	t.u(uint64(len(g.Marks)))
	for _, m := range g.Marks {
		t.buf = binary.LittleEndian.AppendUint64(t.buf, m.ID)
		t.buf = binary.LittleEndian.AppendUint64(t.buf, m.State)
		t.i(m.Ctime)
	}
}

// Show takes Hide and Bury back.
func (t *Tx) Show(dir uint64, name string) { t.fact(factShow); t.u(dir); t.s(name) }

// Touch sets mtime and ctime and adds to the link count.
func (t *Tx) Touch(ino uint64, time int64, nlink int) {
	t.fact(factTouch)
	t.u(ino)
	t.i(time)
	t.i(int64(nlink))
}

// Write changes inline content. off+len(data) must not exceed MaxInline.
func (t *Tx) Write(ino uint64, off int64, data []byte, time int64) {
	t.fact(factWrite)
	t.u(ino)
	t.u(uint64(off))
	t.i(time)
	t.b(data)
}

// Resize truncates or extends inline content.
func (t *Tx) Resize(ino uint64, size, time int64) {
	t.fact(factResize)
	t.u(ino)
	t.u(uint64(size))
	t.i(time)
}

// Blob keeps the original of a base file under its SHA-256.
func (t *Tx) Blob(hash [32]byte, data []byte) {
	t.fact(factBlob)
	t.buf = append(t.buf, hash[:]...)
	t.b(data)
}

// Attr sets what stat(2) says of a record that the layer has: own bits, mode,
// owner, times and link count, as they stand in r.
func (t *Tx) Attr(r *Rec) {
	t.fact(factAttr)
	t.u(r.Ino)
	t.u(uint64(r.Own))
	t.u(uint64(r.Mode))
	t.u(uint64(r.UID))
	t.u(uint64(r.GID))
	t.i(r.Atime)
	t.i(r.Mtime)
	t.i(r.Ctime)
	t.i(int64(r.Nlink))
}

// Xattrs sets the whole set of xattrs of a record that the layer has, which
// must have OwnXattrs.
func (t *Tx) Xattrs(ino uint64, m map[string][]byte) {
	t.fact(factXattrs)
	t.u(ino)
	t.xattrs(m)
}

// Clear forgets all that the layer says of the names in directory dir.
func (t *Tx) Clear(dir uint64) { t.fact(factClear); t.u(dir) }

// Alias gives a base inode a number that is not its own.
func (t *Tx) Alias(k layer.Key, ino uint64) { t.fact(factAlias); t.key(k); t.u(ino) }

// Folded says that commit n has been taken out of the layers.
func (t *Tx) Folded(n uint64) { t.fact(factFolded); t.u(n) }

// Seal says that data files with numbers below data are nobody's to write to in place
// any more: a checkpoint may name them.
func (t *Tx) Seal(data uint64) { t.fact(factSeal); t.u(data) }

// Moved says that a commit took a directory of the base, or a file, from one path to
// another; only a layer of what a commit replaced says so.
func (t *Tx) Moved(from, to string) { t.fact(factMoved); t.s(from); t.s(to) }

// Next says which numbers are free: inode numbers, data numbers, births.
func (t *Tx) Next(ino, data, birth uint64) { t.fact(factNext); t.u(ino); t.u(data); t.u(birth) }
