package gitindex

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
)

// MaxSize is the largest index that is looked at, in bytes: some 300,000 files.
const MaxSize = 32 << 20

// ErrFormat says that the file is none of those that are understood.
var ErrFormat = errors.New("not an index of git that can be compared")

const (
	headSize = 12 // "DIRC", version, number of entries
	statSize = 24 // of an entry, before its mode: ctime, mtime, dev, ino
	idsSize  = 12 // uid, gid, size

	extended     = 0x4000 // in the flags: two more bytes of them follow
	nameMask     = 0x0fff // in the flags: the length of the path, at most this
	extendedKnow = 0x6000 // in those: skip-worktree, intent-to-add
)

// Digest returns a SHA-256 over the entries of an index.
func Digest(file []byte) (sum [sha256.Size]byte, err error) {
	if len(file) > MaxSize {
		return sum, ErrFormat
	}
	for _, oid := range []struct {
		size int
		new  func() hash.Hash
	}{{sha1.Size, sha1.New}, {sha256.Size, sha256.New}} {
		end := len(file) - oid.size
		if end < headSize || !checked(file[:end], file[end:], oid.new()) {
			continue
		}
		p := &parser{b: file[:end], oid: oid.size, h: sha256.New()}
		if p.index() {
			p.h.Sum(sum[:0])
			return sum, nil
		}
	}
	return sum, ErrFormat
}

// checked compares the checksum at the end, which git may have been told to
// leave out.
func checked(body, trailer []byte, h hash.Hash) bool {
	if bytes.Count(trailer, []byte{0}) == len(trailer) {
		return true
	}
	h.Write(body)
	return bytes.Equal(h.Sum(nil), trailer)
}

// parser reads an index without its checksum. Its methods return false when it
// makes no sense.
type parser struct {
	b       []byte
	at      int
	oid     int // bytes of an object name
	version uint32
	path    []byte // of the entry before
	next    []byte // of this one
	stage   byte
	h       hash.Hash
}

func (p *parser) take(n int) ([]byte, bool) {
	if n < 0 || n > len(p.b)-p.at {
		return nil, false
	}
	b := p.b[p.at : p.at+n]
	p.at += n
	return b, true
}

// put adds a field to the digest.
func (p *parser) put(b []byte) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
	p.h.Write(n[:])
	p.h.Write(b)
}

func (p *parser) index() bool {
	head, ok := p.take(headSize)
	if !ok || string(head[:4]) != "DIRC" {
		return false
	}
	p.version = binary.BigEndian.Uint32(head[4:])
	if p.version < 2 || p.version > 4 {
		return false
	}
	n := binary.BigEndian.Uint32(head[8:])
	p.put(head[8:])
	for i := range n {
		if !p.entry(i == 0) {
			return false
		}
	}
	for p.at < len(p.b) {
		if !p.extension() {
			return false
		}
	}
	return true
}

func (p *parser) entry(first bool) bool {
	begin := p.at
	if _, ok := p.take(statSize); !ok {
		return false
	}
	mode, ok := p.take(4)
	if !ok {
		return false
	}
	if _, ok := p.take(idsSize); !ok {
		return false
	}
	oid, ok := p.take(p.oid)
	if !ok {
		return false
	}
	bits, more, ok := p.flags()
	if !ok {
		return false
	}
	stage := byte(bits >> 12 & 3)
	if !p.name(begin) || len(p.next) != int(bits&nameMask) && bits&nameMask != nameMask {
		return false
	}
	if !first && !follows(p.path, p.stage, p.next, stage) {
		return false
	}
	p.path, p.next, p.stage = p.next, p.path, stage
	p.put(mode)
	p.put(oid)
	p.put([]byte{byte(bits >> 8 & 0xb0), byte(more >> 8)})
	p.put(p.path)
	return true
}

// follows tells whether an entry comes after another, as git sorts them.
func follows(path []byte, stage byte, next []byte, nextStage byte) bool {
	c := bytes.Compare(path, next)
	return c < 0 || c == 0 && stage < nextStage
}

// flags reads both kinds of them.
func (p *parser) flags() (bits, more uint16, ok bool) {
	b, ok := p.take(2)
	if !ok {
		return 0, 0, false
	}
	bits = binary.BigEndian.Uint16(b)
	if bits&extended == 0 {
		return bits, 0, true
	}
	if b, ok = p.take(2); !ok || p.version < 3 {
		return 0, 0, false
	}
	more = binary.BigEndian.Uint16(b)
	return bits, more, more&^extendedKnow == 0
}

// name reads the path of the entry that begins at begin, and the zeros after it,
// into next.
func (p *parser) name(begin int) bool {
	keep := 0
	if p.version == 4 {
		strip, ok := p.varint()
		if !ok || strip > len(p.path) {
			return false
		}
		keep = len(p.path) - strip
	}
	n := bytes.IndexByte(p.b[p.at:], 0)
	if n < 0 || keep+n == 0 {
		return false
	}
	rest, _ := p.take(n)
	p.next = append(append(p.next[:0], p.path[:keep]...), rest...)
	zeros := 1
	if p.version < 4 {
		zeros = 8 - (p.at-begin)%8
	}
	pad, ok := p.take(zeros)
	return ok && bytes.Count(pad, []byte{0}) == len(pad)
}

// varint reads a number as git packs the offsets of deltas.
func (p *parser) varint() (int, bool) {
	v := 0
	for i := 0; ; i++ {
		b, ok := p.take(1)
		if !ok || i > 3 {
			return 0, false
		}
		if i > 0 {
			v++
		}
		v = v<<7 | int(b[0]&0x7f)
		if b[0] < 0x80 {
			return v, true
		}
	}
}

// extension skips a cache, and reads what git remembers of resolved conflicts.
func (p *parser) extension() bool {
	head, ok := p.take(8)
	if !ok {
		return false
	}
	body, ok := p.take(int(binary.BigEndian.Uint32(head[4:])))
	if !ok {
		return false
	}
	switch string(head[:4]) {
	case "TREE", "UNTR", "FSMN", "EOIE", "IEOT":
		return true
	case "REUC":
		p.put(body)
		return true
	}
	return false
}
