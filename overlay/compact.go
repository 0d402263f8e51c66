package overlay

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/overlay/meta"
)

// compactFloor is the size below which a log is left as it is, in bytes.
const compactFloor = 64 << 20

// dropOrphans drops the records of files that had no name any more when the last
// process ended: nobody has them open now.
func (o *Overlay) dropOrphans() error {
	for ino, x := range o.top().Recs {
		if x.Kind != unix.S_IFDIR && x.Nlink <= 0 && x.Own&meta.Dead == 0 {
			o.dropRec(ino, x)
		}
		if o.tx.Len() > 1<<20 {
			if err := o.commit(); err != nil {
				return err
			}
		}
	}
	return o.commit()
}

// compactAtOpen rewrites a log that says little in many words.
func (o *Overlay) compactAtOpen() error {
	o.compactAt = compactFloor
	if top := o.top(); top.Size() < compactFloor/8 || top.Size() < 3*liveSize(top) {
		return nil
	}
	return o.compact()
}

// liveSize estimates how long the log of l would be if it were rewritten.
func liveSize(l *meta.Layer) int64 {
	size := int64(0)
	for _, x := range l.Recs {
		size += 160
		if x.Where == meta.Inline {
			size += x.Size
		}
	}
	for _, d := range l.Dirs {
		size += int64(32 * (len(d.Own) + len(d.Gone)))
		for _, g := range d.Gone {
			if g != nil {
				size += 40 + 24*int64(len(g.Marks))
			}
		}
	}
	for _, b := range l.Blobs {
		size += int64(b.N)
	}
	return size
}

// compact replaces the top layer's log by a short one that says the same.
// Preconditions: o.mu is held for writing, or nothing else runs yet.
func (o *Overlay) compact() error {
	top := o.top()
	return o.replace(1, meta.Sum(top), top.Below)
}

// replace puts the draft in the place of the newest n layers, durably and in one
// step, and closes those. Preconditions: as for compact.
func (o *Overlay) replace(n int, d *meta.Draft, below uint64) error {
	old := o.stack[len(o.stack)-n:]
	d.NextIno, d.NextData, d.Birth = max(d.NextIno, o.nextIno), max(d.NextData, o.nextDat), max(d.Birth, o.birth)
	d.Sealed = max(d.Sealed, o.sealed)
	epoch := o.top().Epoch + 1
	l, err := d.Write(o.dir, epoch, below)
	if err != nil {
		return fmt.Errorf("rewrite log: %w", err)
	}
	if err := o.syncPlaces(old); err != nil { // nobody will sync it later
		return errors.Join(fmt.Errorf("rewrite log: %w", err), l.Close())
	}
	if err := meta.SetHead(o.dir, epoch); err != nil {
		return errors.Join(fmt.Errorf("rewrite log: %w", err), l.Close())
	}
	dead := unnamed(old, l)
	meta.CloseStack(old)
	o.stack = append(o.stack[:len(o.stack)-n:len(o.stack)-n], l)
	o.recount()
	o.compactAt = max(compactFloor, 4*l.Size())
	if err := o.removeGarbage(); err != nil {
		o.cfg.Log.Warn("old log left", "err", err)
	}
	for _, id := range dead {
		if id >= o.sealed {
			o.removeData(id)
		}
	}
	return nil
}

// syncPlaces syncs the logs of layers of which checkpoints are places.
func (o *Overlay) syncPlaces(layers []*meta.Layer) error {
	for _, l := range layers {
		if slices.ContainsFunc(o.points, func(c Checkpoint) bool { return c.Epoch == l.Epoch }) {
			if err := l.Sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

// unnamed returns the data files that the old layers name and the new one does not.
func unnamed(old []*meta.Layer, l *meta.Layer) []uint64 {
	named := map[uint64]bool{}
	for _, x := range l.Recs {
		if x.Where == meta.Data {
			named[x.DataID] = true
		}
	}
	var dead []uint64
	for _, o := range old {
		for _, x := range o.Recs {
			if x.Where == meta.Data && !named[x.DataID] {
				named[x.DataID] = true
				dead = append(dead, x.DataID)
			}
		}
	}
	return dead
}

// compactIfLong is called after each commit. Preconditions: o.mu is held for writing.
func (o *Overlay) compactIfLong() {
	if o.top().Size() < o.compactAt {
		return
	}
	if liveSize(o.top()) > o.top().Size()/2 {
		o.compactAt = 2 * o.top().Size()
		return
	}
	if err := o.compact(); err != nil {
		o.cfg.Log.Warn("log stays long", "err", err)
		o.compactAt = 2 * o.top().Size()
	}
}
