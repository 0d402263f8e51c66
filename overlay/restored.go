package overlay

import (
	"fmt"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Restoration says what an operation has put back in the base.
type Restoration struct {
	// Moved are directories that have another path now: old path to new.
	Moved map[string]string
	// Replaced are objects that others of the same kind have replaced. Those go by
	// the same number in the view from now on.
	Replaced []Replaced
	// Keys are all objects that came, went or moved.
	Keys []layer.Key
}

// Replaced is a path of the base, as it is now, at which New has replaced Old.
type Replaced struct {
	Path     string
	Old, New layer.Key
}

// Restored tells the view that operation n has put the base back to what it was.
// The view has no changes of any of it, but of what was Replaced in part: those go
// on, and build on what is there now. It is one durable step; done again after a
// crash it does the same.
func (o *Overlay) Restored(n uint64, r Restoration) error {
	o.mu.Lock()
	if n <= o.folded {
		o.mu.Unlock()
		return nil
	}
	err := o.restored(n, r)
	o.mu.Unlock()
	if err != nil {
		return fmt.Errorf("note operation %d: %w", n, err)
	}
	o.publish(tree.Change{Kind: tree.EverythingChanged})
	return nil
}

func (o *Overlay) restored(n uint64, r Restoration) error {
	if err := o.forgetCtimes(r.Keys); err != nil {
		return err
	}
	d := meta.Sum(o.stack...)
	number := make([]uint64, len(r.Replaced))
	for i, x := range r.Replaced {
		number[i] = o.number(x.Old, &layer.Stat{Key: x.Old})
	}
	for i, x := range r.Replaced {
		delete(d.Aliases, o.key(x.Old))
		if now := o.key(x.New); now.Ino != number[i] {
			d.Aliases[now] = number[i]
		}
	}
	for i, x := range r.Replaced {
		if err := o.buildOn(d, number[i], x); err != nil {
			return err
		}
	}
	d.LastFold = n
	if err := o.replace(len(o.stack), d, 0); err != nil {
		return err
	}
	(&fold{o: o, moved: r.Moved}).nodes()
	for i, x := range r.Replaced {
		if n := o.nodes.get(number[i]); n != nil {
			n.key = o.key(x.New)
			n.relocate(&meta.Base{Path: x.Path, Key: n.key}, false)
		}
	}
	return nil
}

// buildOn makes a change that the view has of the file of x build on the new one.
// Preconditions: o.mu is held for writing.
func (o *Overlay) buildOn(d *meta.Draft, ino uint64, x Replaced) error {
	r := d.Recs[ino].Rec
	if r == nil || r.Base == nil || r.Where == meta.Below || !r.Base.Key.Same(o.key(x.Old)) {
		return nil
	}
	var st layer.Stat
	if err := o.statPath(x.Path, &st); err != nil {
		return fmt.Errorf("%s: %w", x.Path, err)
	}
	r.Base = &meta.Base{Path: x.Path, Key: o.key(x.New)}
	r.Copied, r.Finger = true, st.Fingerprint()
	r.Finger.Key = r.Base.Key
	return o.keepOriginal(r, x.Path)
}
