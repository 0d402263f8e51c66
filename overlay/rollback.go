package overlay

import (
	"fmt"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/meta"
)

// Rollback makes the view show again what it showed at a checkpoint, whatever was
// committed since: the base is not touched by it. What the view shows now is kept as
// a checkpoint of its own, which is returned. What is open and was not there then
// keeps its bytes until the last holder lets go. It is one durable step.
// ErrNoCheckpoint; EBUSY while a commit is under way.
func (o *Overlay) Rollback(name string, keep Checkpoint) (kept Checkpoint, err error) {
	o.still.Lock()
	o.gate.Lock()
	o.hold.mu.RLock()
	o.mu.Lock()
	kept, err = o.rollback(name, keep)
	o.mu.Unlock()
	o.hold.mu.RUnlock()
	o.gate.Unlock()
	o.still.Unlock()
	if err != nil {
		return kept, fmt.Errorf("go back to %s: %w", name, err)
	}
	o.publish(tree.Change{Kind: tree.EverythingChanged})
	return kept, nil
}

func (o *Overlay) rollback(name string, keep Checkpoint) (kept Checkpoint, err error) {
	c, ok := o.point(name)
	if !ok {
		return kept, ErrNoCheckpoint
	}
	if kept, err = o.checkpoint(keep); err != nil {
		return kept, err
	}
	if err = kept.Sync(o.dir); err != nil { // before what it keeps goes
		return kept, err
	}
	p, err := o.recall(c, o.folded)
	if err != nil {
		return kept, err
	}
	defer p.close()
	o.keepNumbers(p)
	lost := o.keepHeld(p)
	o.purge(p.Draft)
	if err := o.replace(len(o.stack), p.Draft, 0); err != nil {
		return kept, err
	}
	o.revisit(func(at string) string { return at })
	o.nodes.each(func(n *node) {
		_, r := o.rec(n.ino)
		switch {
		case lost[n]:
			n.unlinked = true
		case n.unlinked && (r == nil || n.kind == unix.S_IFDIR || r.Nlink > 0):
			n.unlinked, n.last = false, nil
		}
	})
	return kept, nil
}

// keepNumbers lets base objects go by the numbers that they have in the view, where
// the checkpoint does not say otherwise. Preconditions: o.mu is held.
func (o *Overlay) keepNumbers(p *past) {
	taken := map[uint64]bool{}
	for _, ino := range p.Aliases {
		taken[ino] = true
	}
	for key, ino := range o.aliases {
		_, known := p.Aliases[key]
		if r := p.Recs[ino].Rec; !known && !taken[ino] && r == nil {
			p.Aliases[key] = ino
		}
	}
}

// keepHeld adds the records of what somebody may have open that is not in the
// checkpoint. Preconditions: o.mu is held for writing.
func (o *Overlay) keepHeld(p *past) map[*node]bool {
	lost, based := map[*node]bool{}, map[uint64]bool{}
	for _, ino := range p.Aliases {
		based[ino] = true
	}
	var live []*node
	o.nodes.each(func(n *node) { live = append(live, n) })
	for _, n := range live {
		l, r := o.rec(n.ino)
		if r == nil || r.Base != nil && !n.unlinked || p.Recs[n.ino].Rec != nil {
			continue
		}
		if n.ino&meta.OwnBit == 0 && !n.unlinked || based[n.ino] {
			continue // it is one of the base there
		}
		lost[n] = true
		if d, ok := n.self.(*dirNode); ok {
			if !n.unlinked {
				d.remember()
			}
			continue
		}
		x := r.Clone()
		x.Nlink, x.HasHash = 0, false
		if x.Base != nil {
			p.hold(x)
		}
		p.Recs[n.ino] = meta.Source{Rec: x, In: l}
	}
	return lost
}

// hold lets an open file without a name keep its number.
func (p *past) hold(x *meta.Rec) {
	if x.Base.Key.Ino != x.Ino {
		p.Aliases[x.Base.Key] = x.Ino
	}
}
