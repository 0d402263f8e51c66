package overlay

import (
	"fmt"
	"maps"
	"slices"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// pastView is a checkpoint that somebody looks at. It is read into memory when the
// first comes, and forgotten when the last has gone.
type pastView struct {
	o    *Overlay
	of   Checkpoint
	refs int    // guarded by the mu of the overlay that has the checkpoint
	at   uint64 // its Folded when this was read
}

// Past returns a checkpoint as a tree of its own, which shows what the view showed
// then, whatever was committed since; nothing must be changed in it. Edits that
// somebody else made in the base since show where the view had not changed anything.
// release must be called, once. ErrNoCheckpoint.
func (o *Overlay) Past(name string) (past *Overlay, release func(), err error) {
	o.hold.mu.RLock() // while a commit moves things in the base nothing can be said
	defer o.hold.mu.RUnlock()
	if v, ok := o.openedPast(name); ok {
		return v.o, func() { o.releasePast(v) }, nil
	}
	c, err := o.FindCheckpoint(name)
	if err != nil {
		return nil, nil, err
	}
	v, err := o.openPast(c) // without the lock: what it reads does not change
	if err != nil {
		return nil, nil, err
	}
	o.mu.Lock()
	if other := o.pasts[c.Seq]; other != nil { // somebody was faster
		other.refs++
		o.mu.Unlock()
		v.o.Close()
		return other.o, func() { o.releasePast(other) }, nil
	}
	if o.pasts == nil {
		o.pasts = map[uint64]*pastView{}
	}
	o.pasts[c.Seq] = v
	v.refs++
	o.mu.Unlock()
	return v.o, func() { o.releasePast(v) }, nil
}

// openedPast takes a reference to a checkpoint that is being looked at already.
func (o *Overlay) openedPast(name string) (*pastView, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, ok := o.point(name)
	if !ok || o.pasts[c.Seq] == nil {
		return nil, false
	}
	o.pasts[c.Seq].refs++
	return o.pasts[c.Seq], true
}

// Undisturbed calls fn, which looks at the base or at pasts, again as long as an
// operation moved things in the base meanwhile.
func (o *Overlay) Undisturbed(fn func() error) error {
	for {
		gen := o.hold.gen.Load()
		if gen%2 == 0 {
			if err := fn(); o.hold.gen.Load() == gen {
				return err
			}
		}
		o.hold.mu.RLock()
		o.hold.mu.RUnlock()
	}
}

// Plain returns the base as a tree of its own, like Past, without any change.
func (o *Overlay) Plain() (plain *Overlay, release func(), err error) {
	none := &past{Draft: meta.Sum()}
	q, err := o.lend(none, 1)
	if err != nil {
		return nil, nil, fmt.Errorf("look at the workspace: %w", err)
	}
	return q, func() { q.Close() }, nil
}

func (o *Overlay) releasePast(v *pastView) {
	o.mu.Lock()
	v.refs--
	last := v.refs == 0
	if last && o.pasts[v.of.Seq] == v {
		delete(o.pasts, v.of.Seq)
	}
	o.mu.Unlock()
	if last {
		v.o.Close()
	}
}

// forgetPast is for a checkpoint that is dropped: whoever looks at it may go on, and
// misses what only it had. Preconditions: o.mu is held for writing.
func (o *Overlay) forgetPast(seq uint64) { delete(o.pasts, seq) }

func (o *Overlay) openPasts() []*pastView {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Collect(maps.Values(o.pasts))
}

// openPast makes the tree of a checkpoint. Preconditions: no operation is under way.
func (o *Overlay) openPast(c Checkpoint) (*pastView, error) {
	folded := o.Folded()
	p, err := o.recall(c, folded)
	if err != nil {
		return nil, err
	}
	defer p.close()
	q, err := o.lend(p, c.Epoch)
	if err != nil {
		return nil, fmt.Errorf("look at checkpoint %s: %w", c.Name, err)
	}
	return &pastView{o: q, of: c, at: folded}, nil
}

// lend makes a tree of what is said against the base, with the descriptors of o.
func (o *Overlay) lend(p *past, epoch uint64) (*Overlay, error) {
	q := &Overlay{cfg: o.cfg, base: o.base, dir: o.dir, data: o.data, lent: true, hide: o.hide, aliases: map[layer.Key]uint64{}, baseSt: o.baseSt}
	q.cfg.Pin = false // it changes nothing
	q.nodes.init()
	q.fds.init()
	q.watch = noWatcher(q)
	l, err := p.WriteAside(o.dir, epoch)
	if err != nil {
		return nil, err
	}
	q.stack = []*meta.Layer{l}
	q.recount()
	q.root = q.newRoot()
	return q, nil
}

// refresh reads a checkpoint anew that is being looked at, when an operation has
// changed what lies below it. Preconditions: no request is under way in it.
func (o *Overlay) refresh(v *pastView) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if v.at == o.folded || v.refs == 0 {
		return
	}
	v.at = o.folded
	p, err := o.recall(v.of, o.folded)
	if err == nil {
		defer p.close()
		err = v.o.become(p)
	}
	if err != nil {
		o.cfg.Log.Error("a checkpoint cannot be looked at any more", "name", v.of.Name, "err", err)
		v.o.failed.Store(true)
	}
}

// become puts what a checkpoint says against the base as it is now in the place of
// what it said before.
func (o *Overlay) become(p *past) error {
	l, err := p.WriteAside(o.dir, o.top().Epoch)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	last := len(p.moved) - 1
	o.top().Close()
	o.stack = []*meta.Layer{l}
	o.recount()
	o.revisit(func(at string) string {
		if last < 0 {
			return at
		}
		return carried(p.moved[last], at)
	})
	return nil
}

// revisit brings the live nodes up to date after the layers have become others. now
// says where what was at a path of the base is. Preconditions: o.mu is held for
// writing.
func (o *Overlay) revisit(now func(string) string) {
	var live []*node
	o.nodes.each(func(n *node) { live = append(live, n) })
	o.fds.dropBase()
	keys := map[uint64]layer.Key{}
	for key, ino := range o.aliases {
		keys[ino] = key
	}
	for _, n := range live {
		if d, ok := n.self.(*dirNode); ok {
			d.outdated()
		}
		if n == &o.root.node {
			continue
		}
		_, r := o.rec(n.ino)
		l := n.loc.Load()
		switch {
		case r != nil && r.Base != nil:
			n.key = r.Base.Key
			n.relocate(r.Base, r.Own&meta.Moved != 0)
		case r != nil:
			n.key = layer.Key{}
			n.loc.Store(nil)
		case l == nil && n.key.Ino == 0: // one of the base again, wherever it is found
			var ok bool
			if n.key, ok = keys[n.ino]; !ok {
				n.key = layer.Key{Ino: n.ino}
			}
		case l != nil:
			n.relocate(&meta.Base{Path: now(l.path()), Key: n.key}, false)
		}
	}
}
