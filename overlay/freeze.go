package overlay

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/overlay/meta"
)

// Freeze makes the view as it is now a Snapshot that does not move: the top
// layer takes no more changes, a new one is put above it. Its cost does not
// depend on how much there is. One freeze at a time: EBUSY. It ends by Thaw or
// Fold.
func (o *Overlay) Freeze() (*Snapshot, error) {
	o.still.Lock()
	defer o.still.Unlock()
	return o.freeze()
}

func (o *Overlay) freeze() (*Snapshot, error) {
	if o.frozenNow() { // a writer may wait for the end of that, and we for the writer
		return nil, errFrozen
	}
	o.gate.Lock()
	defer o.gate.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.stack) > 1 {
		return nil, errFrozen
	}
	old := o.top()
	if err := old.Broken(); err != nil {
		return nil, fmt.Errorf("freeze: %w: %w", unix.EROFS, err)
	}
	if err := old.Sync(); err != nil {
		return nil, fmt.Errorf("freeze: %w", err)
	}
	l, err := meta.Create(o.dir, old.Epoch+1, old.Epoch)
	if err != nil {
		return nil, fmt.Errorf("freeze: %w", err)
	}
	var tx meta.Tx
	tx.Next(o.nextIno, o.nextDat, o.birth)
	if err := errors.Join(l.Commit(&tx), l.Sync(), meta.SetHead(o.dir, l.Epoch)); err != nil {
		l.Close()
		return nil, fmt.Errorf("freeze: %w", err)
	}
	o.stack = append(o.stack, l)
	o.frozen = old.Epoch
	return o.frozenSnapshot(), nil
}

var errFrozen = fmt.Errorf("freeze: the last one has not ended: %w", unix.EBUSY)

func (o *Overlay) frozenNow() bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.stack) > 1
}

// frozenSnapshot is the view without the top layer. Preconditions: o.mu is held.
func (o *Overlay) frozenSnapshot() *Snapshot {
	below := slices.Clone(o.stack[:len(o.stack)-1])
	return &Snapshot{o: o, epoch: below[len(below)-1].Epoch, fixed: below}
}

// Frozen returns the snapshot of a freeze that has not ended, after a crash for
// instance; nil when there is none.
func (o *Overlay) Frozen() *Snapshot {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if len(o.stack) < 2 {
		return nil
	}
	return o.frozenSnapshot()
}

// Thaw ends a freeze without consequence: the frozen layer and what was written
// since become one again. s must not be used after it. Nothing happens when
// nothing is frozen.
func (o *Overlay) Thaw(*Snapshot) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.stack) < 2 {
		return nil
	}
	if top := o.top(); len(top.Recs) == 0 && len(top.Dirs) == 0 && len(top.Aliases) == 0 {
		return o.popTop()
	}
	d := meta.Sum(o.stack...)
	o.showUnseen(d)
	o.purge(d)
	return o.replace(len(o.stack), d, 0)
}

// showUnseen takes whiteouts away that hid names of the frozen layer only: the
// sum has neither, and what the base may have there one day is to be seen.
// Preconditions: o.mu is held.
func (o *Overlay) showUnseen(d *meta.Draft) {
	under := o.stack[len(o.stack)-2]
	for dir, delta := range o.top().Dirs {
		was := under.Dirs[dir]
		if was == nil {
			continue
		}
		for name := range delta.Gone {
			e, own := was.Own[name]
			if _, gone := was.Gone[name]; own && !gone && !bound(under, e) {
				delete(d.Delta(dir).Gone, name)
			}
		}
	}
}

// popTop takes an empty top layer away. Preconditions: o.mu is held for writing.
func (o *Overlay) popTop() error {
	top, under := o.top(), o.stack[len(o.stack)-2]
	var tx meta.Tx
	tx.Next(o.nextIno, o.nextDat, o.birth)
	if err := errors.Join(under.Commit(&tx), under.Sync(), meta.SetHead(o.dir, under.Epoch)); err != nil {
		return fmt.Errorf("thaw: %w", err)
	}
	top.Close()
	o.stack = o.stack[:len(o.stack)-1]
	o.recount()
	return o.removeGarbage()
}

// bound tells whether an entry is of a base object that is where the base has it.
func bound(l *meta.Layer, e meta.Entry) bool {
	x := l.Recs[e.Ino]
	return x != nil && x.Base != nil && x.Own&meta.Moved == 0
}

// purge drops from a draft that lies on the base what nobody can reach:
// tombstones, files without a name that nobody holds, and whiteouts over nothing.
// Preconditions: o.mu is held for writing.
func (o *Overlay) purge(d *meta.Draft) {
	for ino, x := range d.Recs {
		if x.Own&meta.Dead != 0 || x.Kind != unix.S_IFDIR && x.Nlink <= 0 && o.nodes.get(ino) == nil {
			delete(d.Recs, ino)
		}
	}
	for dir, delta := range d.Dirs {
		if x := d.Recs[dir].Rec; x != nil && x.Base == nil {
			clear(delta.Gone)
		}
		if delta.Empty() {
			delete(d.Dirs, dir)
		}
	}
}
