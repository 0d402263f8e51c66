package meta

import (
	"encoding/binary"
	"errors"

	"astrid/overlay/layer"
)

// ErrFormat says that a record passed its checksum and still makes no sense:
// it was written by something else, or by a defect.
var ErrFormat = errors.New("meta: malformed record")

// reader decodes a payload; after the first error everything reads as zero.
type reader struct {
	p    []byte
	base int64 // file offset of p's beginning
	at   int
	err  error
}

func (r *reader) fail() { r.err = ErrFormat; r.at = len(r.p) }

func (r *reader) byte() byte {
	if r.at >= len(r.p) {
		r.fail()
		return 0
	}
	b := r.p[r.at]
	r.at++
	return b
}

func (r *reader) u() uint64 {
	v, n := binary.Uvarint(r.p[r.at:])
	if n <= 0 {
		r.fail()
		return 0
	}
	r.at += n
	return v
}

func (r *reader) i() int64 {
	v, n := binary.Varint(r.p[r.at:])
	if n <= 0 {
		r.fail()
		return 0
	}
	r.at += n
	return v
}

// bytes returns a part of the payload, not a copy.
func (r *reader) bytes() []byte {
	n := r.u()
	if n > uint64(len(r.p)-r.at) {
		r.fail()
		return nil
	}
	b := r.p[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) str() string { return string(r.bytes()) }

// slice is like bytes and also says where in the file they are.
func (r *reader) slice() ([]byte, Slice) {
	b := r.bytes()
	return b, Slice{Off: r.base + int64(r.at-len(b)), N: int32(len(b))}
}

func (r *reader) hash() (h [32]byte) {
	if len(r.p)-r.at < len(h) {
		r.fail()
		return h
	}
	r.at += copy(h[:], r.p[r.at:])
	return h
}

func (r *reader) key() layer.Key {
	return layer.Key{Dev: r.u(), Ino: r.u(), Btime: r.i(), Gen: uint32(r.u())}
}

func (r *reader) rec() *Rec {
	x := &Rec{
		Ino: r.u(), Kind: uint32(r.u()), Own: uint8(r.u()), Mode: uint32(r.u()),
		UID: uint32(r.u()), GID: uint32(r.u()),
		Atime: r.i(), Mtime: r.i(), Ctime: r.i(), Btime: r.i(),
		Nlink: int32(r.i()), Rdev: uint32(r.u()), Target: r.str(),
	}
	r.origin(x)
	if x.Own&OwnXattrs != 0 {
		x.Xattrs = r.xattrs()
	}
	x.Where = Where(r.u())
	switch x.Where {
	case Below:
	case Inline:
		x.Size = int64(r.u())
		_, x.Slice = r.slice()
		if x.Size < int64(x.Slice.N) || x.Size > MaxInline {
			r.fail()
		}
	case Data:
		x.DataID, x.Epoch = r.u(), r.u()
	default:
		r.fail()
	}
	return x
}

func (r *reader) origin(x *Rec) {
	flags := r.u()
	if flags&flagBase != 0 {
		x.Base = &Base{Path: r.str(), Key: r.key()}
	}
	if flags&flagCopied != 0 {
		x.Copied = true
		x.Finger = r.finger()
	}
	if flags&flagHash != 0 {
		x.HasHash, x.Hash = true, r.hash()
	}
}

func (r *reader) finger() layer.Fingerprint {
	return layer.Fingerprint{Key: r.key(), Mode: uint32(r.u()), Size: r.i(), Mtime: r.i(), Ctime: r.i()}
}

func (r *reader) grave() *Grave {
	g := &Grave{Finger: r.finger(), Partly: r.u() != 0}
	n := r.u()
	if n > MaxMarks {
		r.fail()
		return g
	}
	for ; n > 0 && r.err == nil; n-- {
		g.Marks = append(g.Marks, Mark{ID: r.u64(), State: r.u64(), Ctime: r.i()})
	}
	return g
}

func (r *reader) u64() uint64 {
	if len(r.p)-r.at < 8 {
		r.fail()
		return 0
	}
	r.at += 8
	return binary.LittleEndian.Uint64(r.p[r.at-8:])
}

func (r *reader) xattrs() map[string][]byte {
	n := r.u()
	if n > uint64(len(r.p)) {
		r.fail()
		return nil
	}
	m := make(map[string][]byte, n)
	for ; n > 0 && r.err == nil; n-- {
		name := r.str()
		m[name] = append([]byte{}, r.bytes()...)
	}
	return m
}
