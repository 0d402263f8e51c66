package overlay

import (
	"encoding/binary"
	"hash/fnv"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// foreignBit marks numbers of objects on other devices than the base's own,
// which are below a mount point: they are derived, not recorded.
const foreignBit = 1 << 51

// number returns the inode number of a base object: its own, unless another
// object has or had that number in the view. Preconditions: o.mu is held (for
// reading at least), or nothing else runs yet.
func (o *Overlay) number(k layer.Key, st *layer.Stat) uint64 {
	key := o.key(k)
	if ino, ok := o.aliases[key]; ok {
		return ino
	}
	if key.Dev != 0 {
		return foreign(key)
	}
	return st.Ino
}

// settled tells whether the object with key may go by ino: no other object of
// the view does. Preconditions: o.mu is held.
func (o *Overlay) settled(ino uint64, key layer.Key) bool {
	if ino&meta.OwnBit != 0 {
		_, aliased := o.aliases[key]
		return aliased
	}
	if _, x := o.rec(ino); x != nil && (x.Base == nil || !x.Base.Key.Same(key)) && o.aliases[key] != ino {
		return false
	}
	n := o.nodes.get(ino)
	return n == nil || n.key.Same(key) || o.aliases[key] == ino
}

// settle gives a base object a number of the view's own, for good.
// Preconditions: o.mu is held for writing.
func (o *Overlay) settle(key layer.Key) (uint64, error) {
	if ino, ok := o.aliases[key]; ok {
		return ino, nil
	}
	ino := o.newIno()
	o.tx.Alias(key, ino)
	if err := o.commit(); err != nil {
		return 0, err
	}
	o.aliases[key] = ino
	return ino, nil
}

func foreign(k layer.Key) uint64 {
	h := fnv.New64a()
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], k.Dev)
	binary.LittleEndian.PutUint64(b[8:], k.Ino)
	h.Write(b[:])
	return h.Sum64()&(foreignBit-1) | foreignBit
}

func (o *Overlay) newIno() uint64 {
	n := o.nextIno
	o.nextIno++
	return n | meta.OwnBit
}
