package overlay

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// rec returns the record of ino in force and the layer that has it, or nil.
// Preconditions: o.mu is held.
func (o *Overlay) rec(ino uint64) (*meta.Layer, *meta.Rec) {
	return find(o.stack, ino)
}

func find(stack []*meta.Layer, ino uint64) (*meta.Layer, *meta.Rec) {
	for i := len(stack) - 1; i >= 0; i-- {
		if x := stack[i].Recs[ino]; x != nil {
			if x.Own&meta.Dead != 0 {
				return nil, nil
			}
			return stack[i], x
		}
	}
	return nil, nil
}

// where tells what the layers say of a name.
type where uint8

const (
	below where = iota // nothing: it is as in the base, if there is one
	own
	gone
)

// entry returns what the layers say of a name of directory dir.
// Preconditions: o.mu is held.
func (o *Overlay) entry(dir uint64, name string) (meta.Entry, where) {
	return findEntry(o.stack, dir, name)
}

func findEntry(stack []*meta.Layer, dir uint64, name string) (meta.Entry, where) {
	for i := len(stack) - 1; i >= 0; i-- {
		d := stack[i].Dirs[dir]
		if d == nil {
			continue
		}
		if e, ok := d.Own[name]; ok {
			return e, own
		}
		if _, ok := d.Gone[name]; ok {
			return meta.Entry{}, gone
		}
	}
	return meta.Entry{}, below
}

// commit makes the facts collected in o.tx durable and true.
// Preconditions: o.mu is held for writing.
func (o *Overlay) commit() error {
	defer o.forgetTx()
	if o.tx.Len() == 0 {
		return nil
	}
	err := o.top().Commit(&o.tx)
	if err == nil {
		for _, id := range o.doomed {
			o.removeData(id)
		}
		o.forgetTx()
		o.compactIfLong()
		return nil
	}
	o.cfg.Log.Error("change not recorded", "err", err)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG) {
		return err
	}
	return fmt.Errorf("%w: %w", unix.EROFS, err)
}

func (o *Overlay) forgetTx() {
	o.tx.Reset()
	o.doomed = o.doomed[:0]
}

// change runs plan, which collects facts in o.tx, commits them, and then runs
// done, still under the lock. When plan or the commit fails nothing is changed.
//
// plan may be run again, when a commit got in its way; the lock is not held
// between.
func (o *Overlay) change(plan func() error, done func()) error {
	for {
		gen := o.hold.gen.Load()
		err := o.changeOnce(plan, done)
		if err == nil || !o.hold.again(gen, err) {
			return err
		}
	}
}

func (o *Overlay) changeOnce(plan func() error, done func()) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := plan(); err != nil {
		o.forgetTx()
		return err
	}
	if err := o.commit(); err != nil {
		return err
	}
	if done != nil {
		done()
	}
	return nil
}

// commitQuietly is commit for facts whose loss only leaves garbage, which the
// next opening removes.
func (o *Overlay) commitQuietly(what string) {
	if err := o.commit(); err != nil {
		o.cfg.Log.Warn("garbage left", "by", what, "err", err)
	}
}

// mine tells whether the data file of a record is of no other layer and of no
// checkpoint. Preconditions: o.mu is held.
func (o *Overlay) mine(x *meta.Rec) bool { return x.Epoch > o.frozen && x.DataID >= o.sealed }

// dropRec makes the record of ino go, with its data. The facts are in o.tx.
// Preconditions: o.mu is held for writing.
func (o *Overlay) dropRec(ino uint64, x *meta.Rec) {
	if x.Where == meta.Data && o.mine(x) {
		o.doomed = append(o.doomed, x.DataID)
	}
	if len(o.stack) > 1 {
		if _, deeper := find(o.stack[:len(o.stack)-1], ino); deeper != nil {
			o.tx.Put(&meta.Rec{Ino: ino, Kind: x.Kind, Own: meta.Dead}, nil)
			return
		}
	}
	o.tx.Drop(ino)
}

// draft is a record about to be changed: a copy, to be saved.
type draft struct {
	*meta.Rec
	fresh   bool   // the top layer has none yet
	xattrs  bool   // the set of xattrs changed
	content []byte // the inline bytes, when fresh
}

// edit returns a draft of the record of ino; base objects without one get theirs
// made from st, their state, and at, their place.
// Preconditions: o.mu is held for writing.
func (o *Overlay) edit(ino uint64, st *layer.Stat, at *loc) (*draft, error) {
	l, x := o.rec(ino)
	if x == nil {
		if st == nil || at == nil {
			return nil, unix.ESTALE
		}
		return &draft{Rec: o.recOf(ino, st, at), fresh: true}, nil
	}
	d := &draft{Rec: x.Clone()}
	if l == o.top() {
		return d, nil
	}
	d.fresh = true
	if x.Where == meta.Inline {
		d.content = make([]byte, x.Size)
		if _, err := l.ReadInline(x, d.content, 0); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// recOf is the record of a base object that says nothing yet.
func (o *Overlay) recOf(ino uint64, st *layer.Stat, at *loc) *meta.Rec {
	x := &meta.Rec{
		Ino: ino, Kind: st.Mode & unix.S_IFMT, Mode: st.Mode &^ unix.S_IFMT, UID: st.UID, GID: st.GID,
		Atime: st.Atime, Mtime: st.Mtime, Ctime: st.Ctime, Btime: st.Btime, Rdev: st.Rdev,
		Base: &meta.Base{Path: at.path(), Key: o.key(st.Key)},
	}
	if x.Kind != unix.S_IFDIR {
		x.Nlink = int32(st.Nlink)
	}
	o.keepStaged(x, at)
	return x
}

// save adds the draft to o.tx. Preconditions: o.mu is held for writing.
func (o *Overlay) save(d *draft) {
	if d.fresh {
		o.tx.Put(d.Rec, d.content)
		return
	}
	o.tx.Attr(d.Rec)
	if d.xattrs {
		o.tx.Xattrs(d.Ino, d.Rec.Xattrs)
	}
}

// publish hands a change to whoever watches. Preconditions: no lock is held.
func (o *Overlay) publish(c tree.Change) {
	o.changeMu.RLock()
	defer o.changeMu.RUnlock()
	if fn := o.onChange.Load(); fn != nil {
		(*fn)(c)
	}
}

// Watch registers the receiver of changes that did not come through the tree.
func (o *Overlay) Watch(fn func(tree.Change)) {
	o.changeMu.Lock()
	defer o.changeMu.Unlock()
	if fn == nil {
		o.onChange.Store(nil)
		return
	}
	o.onChange.Store(&fn)
}
