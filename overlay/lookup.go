package overlay

import (
	"errors"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return unix.EINVAL
	case len(name) > unix.NAME_MAX:
		return unix.ENAMETOOLONG
	case strings.ContainsAny(name, "/\x00"):
		return unix.EINVAL
	}
	return nil
}

// found is what a name of a directory means: an object, by its record or by its
// state in the base.
type found struct {
	ino  uint64
	kind uint32
	key  layer.Key   // of the base object, if it has one
	at   *loc        // its place, if it has one
	st   *layer.Stat // its state, when it was found in the base just now
	own  bool        // the name is the layers', not the base's
}

// Lookup finds a name.
func (d *dirNode) Lookup(name string, out *tree.Entry) (tree.Node, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	var st layer.Stat
	n, err := d.lookupSettled(name, &st)
	if err != nil {
		out.EntryTTL = 0
		if errors.Is(err, unix.ENOENT) {
			out.EntryTTL = d.entryTTL()
		}
		return nil, err
	}
	err = n.attrAfterLookup(&out.Attr, &st)
	if errors.Is(err, unix.ESTALE) {
		err = n.Getattr(&out.Attr)
	}
	if err != nil {
		n.Forget(1)
		return nil, err
	}
	out.EntryTTL = d.entryTTL()
	return n.self, nil
}

// lookupSettled is lookup outside of any commit.
func (d *dirNode) lookupSettled(name string, st *layer.Stat) (*node, error) {
	for {
		gen := d.o.hold.gen.Load()
		n, err := d.lookup(name, st)
		if err == nil || !d.o.hold.again(gen, err) {
			return n, err
		}
	}
}

// entryTTL is how long a name of d may be kept.
func (d *dirNode) entryTTL() time.Duration {
	if l := d.loc.Load(); l != nil && !l.watched() {
		return shortTTL
	}
	return longTTL
}

// attrAfterLookup saves the second look at the base that Getattr would take.
func (n *node) attrAfterLookup(a *tree.Attr, st *layer.Stat) error {
	n.o.mu.RLock()
	if _, x := n.o.rec(n.ino); x != nil || st.Ino == 0 {
		return n.getattr(a)
	}
	n.o.mu.RUnlock()
	n.o.attrOf(a, n.ino, st)
	n.ttl(a, st)
	return nil
}

// lookup takes a reference on the node of a name. st is filled when the name is
// the base's, and left zero otherwise.
func (d *dirNode) lookup(name string, st *layer.Stat) (*node, error) {
	o := d.o
	for {
		o.mu.RLock()
		ver := d.ver
		e, w := o.entry(d.ino, name)
		switch {
		case d.unlinked || w == gone:
			o.mu.RUnlock()
			return nil, unix.ENOENT
		case w == own:
			n, err := o.takeOwn(d, name, e)
			o.mu.RUnlock()
			return n, err
		}
		o.mu.RUnlock()
		if err := d.statBelow(name, st); err != nil {
			return nil, err
		}
		n, err := d.takeBelow(name, st, ver)
		if n != nil || err != nil {
			return n, err
		}
		*st = layer.Stat{}
	}
}

// takeOwn returns the node of an entry of the layers. Preconditions: o.mu is held.
func (o *Overlay) takeOwn(d *dirNode, name string, e meta.Entry) (*node, error) {
	_, x := o.rec(e.Ino)
	if x == nil {
		o.cfg.Log.Error("entry without record", "ino", e.Ino)
		return nil, unix.EIO
	}
	var key layer.Key
	if x.Base != nil {
		key = x.Base.Key
	}
	n := o.nodes.take(o, e.Ino, e.Kind, key)
	if x.Base != nil && n.loc.Load() == nil {
		n.loc.CompareAndSwap(nil, d.locOwn(name, x))
	}
	d.adopt(n)
	return n, nil
}

// locOwn is the place of the base object that x, found under a name of d, stands
// for. Where the two agree the directory's own place is shared, with its watch.
func (d *dirNode) locOwn(name string, x *meta.Rec) *loc {
	at := d.loc.Load()
	if at == nil || x.Own&meta.Moved != 0 || path.Join(at.path(), name) != x.Base.Path {
		return d.o.locOfRec(x)
	}
	key := layer.Key{}
	if x.IsDir() {
		key = x.Base.Key
	}
	return d.at(name, key)
}

// adopt remembers where a directory hangs. Preconditions: o.mu is held; several
// readers may say so at once, and say the same.
func (d *dirNode) adopt(n *node) {
	if c, ok := n.self.(*dirNode); ok {
		d.o.nodes.mu.Lock()
		c.up = d.ino
		d.o.nodes.mu.Unlock()
	}
}

// statBelow fills st from a name of the base directory: ENOENT when there is
// none, or d has no base, or the name is hidden.
func (d *dirNode) statBelow(name string, st *layer.Stat) error {
	l := d.loc.Load()
	if l == nil {
		return unix.ENOENT
	}
	d.o.watch.add(d, l)
	fd, err := d.o.dirfd(l)
	if err != nil {
		return err
	}
	defer d.o.fds.put(fd)
	if err := layer.Statx(fd.fd, name, st); err != nil {
		return err
	}
	if d.o.hasHidden(name) && d.o.hidden(l.path(), name) {
		*st = layer.Stat{}
		return unix.ENOENT
	}
	return nil
}

// hasHidden tells quickly whether a path that ends in name may be hidden.
func (o *Overlay) hasHidden(name string) bool {
	return strings.HasPrefix(name, "commit-") || name == "undo" || o.hide[name] != nil
}

// takeBelow returns the node of a base object; nil and nil when d has changed
// since ver.
func (d *dirNode) takeBelow(name string, st *layer.Stat, ver uint64) (*node, error) {
	o := d.o
	o.mu.RLock()
	if d.ver != ver {
		o.mu.RUnlock()
		return nil, nil
	}
	key := o.key(st.Key)
	ino := o.number(st.Key, st)
	if o.settled(ino, key) {
		n := d.takeAt(name, ino, st.Mode&unix.S_IFMT, key)
		o.mu.RUnlock()
		return n, nil
	}
	o.mu.RUnlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	ino, err := o.settle(key)
	if err != nil {
		return nil, err
	}
	return d.takeAt(name, ino, st.Mode&unix.S_IFMT, key), nil
}

// takeAt returns the node of a base object that is at name of d.
// Preconditions: o.mu is held.
func (d *dirNode) takeAt(name string, ino uint64, kind uint32, key layer.Key) *node {
	n := d.o.nodes.take(d.o, ino, kind, key)
	dirKey := layer.Key{}
	if kind == unix.S_IFDIR {
		dirKey = key
	}
	if l := n.loc.Load(); l == nil || l.name != name || l.up != d.loc.Load() {
		n.loc.Store(d.at(name, dirKey))
	}
	d.adopt(n)
	return n
}

// find is lookup for a change: without a reference, under the lock.
// Preconditions: o.mu is held for writing.
func (d *dirNode) find(name string) (found, error) {
	o := d.o
	if d.unlinked {
		return found{}, unix.ENOENT
	}
	e, w := o.entry(d.ino, name)
	switch w {
	case gone:
		return found{}, unix.ENOENT
	case own:
		f := found{ino: e.Ino, kind: e.Kind, own: true}
		if _, x := o.rec(e.Ino); x != nil && x.Base != nil {
			f.key, f.at = x.Base.Key, o.placeOf(x)
		}
		return f, nil
	}
	var st layer.Stat
	if err := d.statBelow(name, &st); err != nil {
		return found{}, err
	}
	key := o.key(st.Key)
	f := found{ino: o.number(st.Key, &st), kind: st.Mode & unix.S_IFMT, key: key, st: &st, at: d.at(name, layer.Key{})}
	if f.kind == unix.S_IFDIR {
		f.at.key = key
	}
	var err error
	if !o.settled(f.ino, key) {
		f.ino, err = o.settle(key)
	}
	return f, err
}

// placeOf returns the place of a recorded base object, that of its node if it
// lives.
func (o *Overlay) placeOf(x *meta.Rec) *loc {
	if n := o.nodes.get(x.Ino); n != nil {
		if l := n.loc.Load(); l != nil {
			return l
		}
	}
	return o.locOfRec(x)
}
