package overlay

import (
	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// bind makes sure, before n is changed, that the view holds it by name: then it
// keeps what it changed when somebody replaces the file in the base by another.
// The directories above come along. It commits its own facts, which change
// nothing that anybody sees. EXDEV for what lies on another file system.
// Preconditions: o.mu is held for writing and o.tx is empty.
func (o *Overlay) bind(n *node) error {
	if n.key.Dev != 0 {
		return unix.EXDEV
	}
	if _, x := o.rec(n.ino); x != nil || n.unlinked {
		return nil
	}
	at := n.loc.Load()
	if at == nil {
		return unix.ESTALE
	}
	var st layer.Stat
	if err := n.statBase(n.key, &st); err != nil {
		return err
	}
	if err := o.bindAt(at, n.ino, &st); err != nil {
		o.forgetTx()
		return err
	}
	return o.commit()
}

// bindAt collects the facts for the base object at a place. Preconditions: o.mu
// is held for writing.
func (o *Overlay) bindAt(at *loc, ino uint64, st *layer.Stat) error {
	if at.up != nil {
		dir, err := o.bindDir(at.up)
		if err != nil {
			return err
		}
		if _, w := o.entry(dir, at.name); w == below {
			o.tx.Enter(dir, at.name, meta.Entry{Ino: ino, Kind: st.Mode & unix.S_IFMT, Birth: o.birth})
			o.birth++
		}
	}
	o.tx.Put(o.recOf(ino, st, at), nil)
	return nil
}

// bindDir binds the directory at a place and returns its number.
func (o *Overlay) bindDir(at *loc) (uint64, error) {
	var st layer.Stat
	if err := o.statAt(at, &st); err != nil {
		return 0, stale(err)
	}
	ino := o.number(at.key, &st)
	if at.key.Ino != 0 {
		if alias, ok := o.aliases[at.key]; ok {
			ino = alias
		} else {
			ino = at.key.Ino
		}
	}
	if _, x := o.rec(ino); x != nil {
		return ino, nil
	}
	return ino, o.bindAt(at, ino, &st)
}
