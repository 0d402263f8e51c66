package overlay

import (
	"errors"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// touch adds to o.tx that the names of d changed at now, and that it has nlink
// more directories in it. Once per transaction and directory.
// Preconditions: o.mu is held for writing.
func (o *Overlay) touch(d *dirNode, now int64, nlink int) error {
	if o.top().Recs[d.ino] != nil {
		o.tx.Touch(d.ino, now, nlink)
		return nil
	}
	x, err := d.editSelf()
	if err != nil {
		return err
	}
	x.Own |= meta.OwnTimes
	x.Mtime, x.Ctime = now, now
	x.Nlink += int32(nlink)
	o.save(x)
	return nil
}

// editSelf is edit for a live node. Preconditions: o.mu is held for writing.
func (n *node) editSelf() (*draft, error) {
	if _, x := n.o.rec(n.ino); x != nil {
		return n.o.edit(n.ino, nil, nil)
	}
	var st layer.Stat
	if err := n.statBase(n.key, &st); err != nil {
		return nil, err
	}
	d, err := n.o.edit(n.ino, &st, n.loc.Load())
	if err == nil && n.unlinked {
		d.Nlink = 0
	}
	return d, err
}

// editFound is edit for what a name means. Preconditions: o.mu is held for writing.
func (o *Overlay) editFound(f *found) (*draft, error) {
	if _, x := o.rec(f.ino); x != nil {
		return o.edit(f.ino, nil, nil)
	}
	st := f.st
	if st == nil {
		return nil, unix.ESTALE
	}
	return o.edit(f.ino, st, f.at)
}

// enter adds to o.tx that d has name for the object; replaced says that the
// name is also the base's.
func (o *Overlay) enter(d *dirNode, name string, ino uint64, kind uint32) {
	o.tx.Enter(d.ino, name, meta.Entry{Ino: ino, Kind: kind, Birth: o.birth})
	o.birth++
}

// unlinkObject adds to o.tx that the object has a name less. gone is whether it
// was the last.
// Preconditions: o.mu is held for writing; the object is no directory.
func (o *Overlay) unlinkObject(f *found, now int64) (last bool, err error) {
	_, x := o.rec(f.ino)
	live := o.nodes.get(f.ino) != nil
	if x != nil && x.Nlink <= 1 {
		o.entomb(f)
	}
	if x == nil && f.st != nil && f.st.Nlink <= 1 {
		return true, nil // the whiteout says it all
	}
	if x != nil && x.Nlink <= 1 && !live {
		o.dropRec(f.ino, x)
		return true, nil
	}
	d, err := o.editFound(f)
	if errors.Is(err, unix.ESTALE) {
		return true, nil // it is gone from the base anyway
	}
	if err != nil {
		return false, err
	}
	d.Nlink--
	d.Ctime = now
	d.Own |= meta.OwnTimes
	o.save(d)
	return d.Nlink <= 0, nil
}

// lost marks the live node of an object whose last name is gone.
// Preconditions: o.mu is held for writing.
func (o *Overlay) lost(ino uint64) {
	if n := o.nodes.get(ino); n != nil {
		n.unlinked = true
	}
}
