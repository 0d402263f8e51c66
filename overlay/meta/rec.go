package meta

import (
	"astrid/overlay/layer"
)

// OwnBit is the bit that tells the view's own inode numbers from the base's. It
// is below 2^53, so that programs that keep numbers as doubles see them exact.
const OwnBit = 1 << 52

// MaxInline is the largest content kept in the log, in bytes.
const MaxInline = 64 << 10

// What a record says itself.
const (
	OwnPerm    = 1 << iota // mode, uid, gid
	OwnTimes               // atime, mtime, ctime
	OwnXattrs              // the whole set
	OwnContent             // bytes, or the symlink's target, or rdev
	Dead                   // a tombstone: the object is gone, whatever a deeper layer says
	// Moved says that the object is not where the base has it: Base is held by
	// its identity, not by its path.
	Moved
)

// Where the content of a regular file is.
type Where uint8

// The places.
const (
	Below  Where = iota // the base object's
	Inline              // in the log
	Data                // a file in data/
)

// Rec is the record of one inode in one layer. It is complete: nothing of it is
// looked up in a deeper layer, only in the base.
type Rec struct {
	Ino   uint64
	Kind  uint32 // S_IFMT bits
	Own   uint8  // Own… bits
	Mode  uint32 // permission bits, 07777
	UID   uint32
	GID   uint32
	Atime int64 // ns since 1970, as the others
	Mtime int64
	Ctime int64
	Btime int64
	// Nlink counts the names of a file. For a directory it is the whole count
	// when the directory is the view's own, else the difference to the base's.
	Nlink  int32
	Rdev   uint32
	Target string // symlinks with OwnContent

	Base    *Base             // nil: made in the view
	Finger  layer.Fingerprint // with Copied
	Copied  bool              // content was taken from or replaces that of Base
	Hash    [32]byte          // of the original; with HasHash
	HasHash bool
	Xattrs  map[string][]byte // with OwnXattrs; never changed in place
	Where   Where
	DataID  uint64 // with Data
	Epoch   uint64 // with Data: the layer that may write to it
	Size    int64  // with Inline
	Slice   Slice  // with Inline: the bytes, zeros beyond
	Bytes   []byte // with Inline, instead of Slice when not nil; zeros beyond
}

// Base names the base object that a record stands for.
type Base struct {
	Path string // slash path beneath the base's root, as it was
	Key  layer.Key
}

// Slice is a run of bytes in a log file.
type Slice struct {
	Off int64
	N   int32
}

// Clone returns a copy that shares only what is never changed in place.
func (r *Rec) Clone() *Rec {
	c := *r
	if r.Bytes != nil {
		c.Bytes = append([]byte(nil), r.Bytes...)
	}
	return &c
}

// IsDir tells whether r is a directory's.
func (r *Rec) IsDir() bool { return r.Kind == 0o040000 }

// Entry is what a directory of a layer has under a name.
type Entry struct {
	Ino   uint64
	Kind  uint32 // S_IFMT bits
	Birth uint64 // grows with each entry made
}

// Delta is what a layer changed in one directory.
type Delta struct {
	Own  map[string]Entry
	Gone map[string]*Grave // nil: it is not known what was there
}

// Empty tells whether the delta says nothing.
func (d *Delta) Empty() bool { return len(d.Own) == 0 && len(d.Gone) == 0 }
