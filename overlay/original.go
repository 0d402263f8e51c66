package overlay

import (
	"crypto/sha256"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// original is what a file of the base was when the view replaced it.
type original struct {
	hash  [sha256.Size]byte
	bytes []byte // nil: a layer has them
}

// keptOriginal returns the original that a file made in the view is to be merged
// with when it takes the place of one of the base, as editors save; nil when it is
// too large, or something else is renamed. What it replaces may have been such a
// file itself.
func (m *move) keptOriginal() *original {
	o := m.o
	o.mu.RLock()
	mine, made := o.entry(m.from.ino, m.name)
	_, x := o.rec(mine.Ino)
	if made != own || x == nil || x.Base != nil || x.HasHash || x.Kind != unix.S_IFREG {
		o.mu.RUnlock()
		return nil
	}
	old, w := o.entry(m.to.ino, m.dest)
	_, y := o.rec(old.Ino)
	var at *loc
	switch {
	case w == gone:
	case w == below:
		if m.to.loc.Load() != nil {
			at = m.to.at(m.dest, layer.Key{})
		}
	case y != nil && y.HasHash:
		o.mu.RUnlock()
		return &original{hash: y.Hash}
	case y != nil && y.Base != nil && y.Kind == unix.S_IFREG && y.Where == meta.Below:
		at = o.placeOf(y)
	}
	o.mu.RUnlock()
	if at == nil || at.up == nil {
		return nil
	}
	return o.readOriginal(at)
}

// readOriginal reads a file of the base; nil when it is none, or not small.
func (o *Overlay) readOriginal(at *loc) *original {
	var st layer.Stat
	if o.statAt(at, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > keepOriginal {
		return nil
	}
	b := make([]byte, st.Size)
	if o.readBase(at.path(), b) != nil {
		return nil
	}
	return &original{hash: sha256.Sum256(b), bytes: b}
}

// remember adds to the facts, and to the draft of a file that was made in the view,
// what the file that it replaces was. Preconditions: o.mu is held for writing.
func (o *Overlay) remember(d *draft, was *original) error {
	if was.bytes != nil && !o.hasBlob(was.hash) {
		o.tx.Blob(was.hash, was.bytes)
	}
	d.HasHash, d.Hash = true, was.hash
	if !d.fresh && d.Where == meta.Inline {
		l, x := o.rec(d.Ino)
		d.content = make([]byte, x.Size)
		if _, err := l.ReadInline(x, d.content, 0); err != nil {
			return err
		}
	}
	d.fresh = true
	return nil
}

// keepOriginal keeps the bytes of a base file, if they are few, for merges with the
// object of r, which is part of a draft that is about to replace the log.
// Preconditions: o.mu is held for writing.
func (o *Overlay) keepOriginal(r *meta.Rec, at string) error {
	was := o.readOriginal(o.locOf(&meta.Base{Path: at}))
	if r.HasHash = was != nil; was == nil {
		return nil
	}
	if !o.hasBlob(was.hash) {
		o.tx.Blob(was.hash, was.bytes)
		if err := o.commit(); err != nil {
			return err
		}
	}
	r.Hash, r.HasHash = was.hash, true
	return nil
}
