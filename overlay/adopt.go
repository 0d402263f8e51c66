package overlay

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// ErrNotAdopted says that the view cannot take what the base has at a place as
// what it builds on: all that it has of the object was in the base, or the place
// is in a directory that the base has no more.
var ErrNotAdopted = errors.New("the view has nothing of its own that could stay")

// Adopt makes what the base has now, where it has what the view shows at a slash
// path, that on which the view's change builds: the change stays, and what was done
// in the base since is known to it. A name that the view removed hides what is there
// now; a file that it changed is compared with the one of now; an object that it
// made replaces what appeared. In a directory that the view removed or made anew it
// is about the whole directory. ErrNotAdopted; EBUSY during a freeze; ENOENT when
// the view says nothing of the path.
func (o *Overlay) Adopt(p string) error {
	o.gate.Lock()
	o.mu.Lock()
	err := o.adopt(p)
	o.mu.Unlock()
	o.gate.Unlock()
	if err != nil {
		return fmt.Errorf("adopt %s: %w", p, err)
	}
	o.publish(tree.Change{Kind: tree.EverythingChanged})
	return nil
}

func (o *Overlay) adopt(p string) error {
	if len(o.stack) > 1 {
		return unix.EBUSY
	}
	a := &adoption{o: o, d: meta.Sum(o.stack...)}
	if err := a.find(p); err != nil {
		return err
	}
	if err := a.take(); err != nil {
		return err
	}
	if err := o.replace(len(o.stack), a.d, 0); err != nil {
		return err
	}
	a.nodes()
	return nil
}

// adoption is one Adopt under way.
type adoption struct {
	o *Overlay
	d *meta.Draft

	dir  uint64 // the directory, by number
	name string // in it
	at   string // the place of the name in the base
	kind uint32 // what the base has there, 0 for nothing

	rebased  *meta.Rec // stands for another object of the base now
	released []uint64  // objects that stand for none any more
}

// find looks for the deepest name on the way to p whose directory the base has.
func (a *adoption) find(p string) error {
	dir, at, known := a.o.root.ino, "", dirsOf(a.d)
	for rest := p; ; {
		name, more, deeper := cut(rest)
		a.dir, a.name, a.at = dir, name, path.Join(at, name)
		e, own := a.d.Delta(dir).Own[name]
		_, gone := a.d.Dirs[dir].Gone[name]
		r := a.d.Recs[e.Ino].Rec
		switch {
		case !deeper:
			return nil
		case own && r != nil && r.IsDir() && r.Base != nil:
			dir, at = e.Ino, r.Base.Path
		case own || gone:
			return nil // the rest of the way is in what it hides
		default:
			ino, ok := known[a.at]
			if !ok {
				var st layer.Stat
				if err := a.o.statPath(a.at, &st); err != nil {
					return err
				}
				ino = a.o.number(st.Key, &st)
			}
			dir, at = ino, a.at
		}
		rest = more
	}
}

// take edits the draft.
func (a *adoption) take() error {
	var st layer.Stat
	err := a.o.statPath(a.at, &st)
	if absent(err) != nil {
		return err
	}
	if err == nil {
		a.kind = st.Mode & unix.S_IFMT
	}
	delta := a.d.Delta(a.dir)
	e, own := delta.Own[a.name]
	if _, gone := delta.Gone[a.name]; !own && !gone {
		return unix.ENOENT
	}
	r := a.d.Recs[e.Ino].Rec
	if _, gone := delta.Gone[a.name]; own && !gone && r != nil && r.IsDir() && r.Base == nil && a.kind == unix.S_IFDIR {
		a.unite(r, &st)
		return a.recount(delta)
	}
	if own && r != nil && r.Base != nil && r.Own&meta.Moved == 0 && r.Base.Path == a.at {
		if a.kind == r.Kind {
			return a.rebase(r, &st)
		}
		if err := a.release(r); err != nil {
			return err
		}
	} else if own && r != nil && r.Base != nil && r.Own&meta.Moved != 0 && !a.stands(r.Base) {
		if err := a.release(r); err != nil {
			return err
		}
	}
	if len(a.released) > 0 {
		a.sweep()
	}
	if err := a.hide(delta); err != nil {
		return err
	}
	if own && r != nil && r.Base == nil && r.Kind == unix.S_IFREG {
		if err := a.o.keepOriginal(r, a.at); err != nil {
			return err
		}
	}
	return a.recount(delta)
}

// sweep looks, after a directory has been released, for what was moved out of it:
// what the base has no more becomes the view's own, or goes with all its names.
func (a *adoption) sweep() {
	names := map[uint64][]ref{}
	for dir, delta := range a.d.Dirs {
		for name, e := range delta.Own {
			names[e.Ino] = append(names[e.Ino], ref{dir, name})
		}
	}
	for ino, x := range a.d.Recs {
		if x.Base == nil || x.Base.Path != a.at && !strings.HasPrefix(x.Base.Path, a.at+"/") || a.stands(x.Base) || a.release(x.Rec) == nil {
			continue
		}
		for _, n := range names[ino] {
			delete(a.d.Dirs[n.dir].Own, n.name)
		}
		delete(a.d.Recs, ino)
	}
}

// stands tells whether the base has the object of b where b says.
func (a *adoption) stands(b *meta.Base) bool {
	var st layer.Stat
	return a.o.statPath(b.Path, &st) == nil && a.o.key(st.Key).Same(b.Key)
}

// recount sets by how much the link count of the directory differs from the base's.
func (a *adoption) recount(delta *meta.Delta) error {
	up := a.d.Recs[a.dir].Rec
	if up == nil || up.Base == nil {
		return nil
	}
	n := int32(0)
	for name, e := range delta.Own {
		r := a.d.Recs[e.Ino].Rec
		_, gone := delta.Gone[name]
		home := !gone && r != nil && r.Base != nil && r.Own&meta.Moved == 0
		if e.Kind == unix.S_IFDIR && !home {
			n++
		}
	}
	for name := range delta.Gone {
		var st layer.Stat
		err := a.o.statPath(path.Join(path.Dir(a.at), name), &st)
		if absent(err) != nil {
			return err
		}
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			n--
		}
	}
	up.Nlink = n
	return nil
}

// hide makes the whiteout at the name one of what is there now.
func (a *adoption) hide(delta *meta.Delta) error {
	if a.kind == 0 {
		delete(delta.Gone, a.name)
		return nil
	}
	g, err := a.o.graveBelow(a.o.locOf(&meta.Base{Path: a.at}))
	if err == nil {
		delta.Gone[a.name] = g
	}
	return err
}

// rebase makes r stand for the object of the base in the state st.
func (a *adoption) rebase(r *meta.Rec, st *layer.Stat) error {
	key := a.o.key(st.Key)
	maps.DeleteFunc(a.d.Aliases, func(k layer.Key, ino uint64) bool { return ino == r.Ino && !k.Same(key) })
	if key.Ino != r.Ino {
		a.d.Aliases[key] = r.Ino
	}
	r.Base = &meta.Base{Path: a.at, Key: key}
	a.rebased = r
	if !r.Copied {
		return nil
	}
	r.Finger, r.HasHash = st.Fingerprint(), false
	r.Finger.Key = key
	return a.o.keepOriginal(r, a.at)
}

// unite makes a directory that the view made one with that which the base has got
// at its place: what is in either is in it.
func (a *adoption) unite(r *meta.Rec, st *layer.Stat) {
	key := a.o.key(st.Key)
	a.d.Aliases[key] = r.Ino
	r.Base = &meta.Base{Path: a.at, Key: key}
	r.Own &^= meta.OwnContent
	r.Nlink -= 2
	a.rebased = r
}

// readBase fills b from the beginning of a base file, which has that length.
func (o *Overlay) readBase(p string, b []byte) error {
	dir, err := o.dirfd(o.locOf(&meta.Base{Path: p}).up)
	if err != nil {
		return err
	}
	defer o.fds.put(dir)
	fd, err := layer.Open(dir.fd, path.Base(p), unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	n, err := pread(fd, b, 0)
	if err == nil && n != len(b) {
		err = errMoved
	}
	return err
}

// release makes r an object of the view's own: the base has none like it there.
// What the view has in a directory comes along; what it only said something of goes.
func (a *adoption) release(r *meta.Rec) error {
	if r.Kind == unix.S_IFREG && r.Where == meta.Below || r.Kind == unix.S_IFLNK && r.Own&meta.OwnContent == 0 {
		return ErrNotAdopted
	}
	maps.DeleteFunc(a.d.Aliases, func(_ layer.Key, ino uint64) bool { return ino == r.Ino })
	r.Base, r.Copied, r.HasHash = nil, false, false
	r.Own &^= meta.Moved
	r.Own |= meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs | meta.OwnContent
	a.released = append(a.released, r.Ino)
	if !r.IsDir() {
		return nil
	}
	delta := a.d.Delta(r.Ino)
	clear(delta.Gone)
	r.Nlink = 2
	for name, e := range delta.Own {
		in := a.d.Recs[e.Ino].Rec
		if in != nil && in.Base != nil && !a.stands(in.Base) && a.release(in) != nil {
			delete(delta.Own, name)
			delete(a.d.Recs, e.Ino)
			continue
		}
		if e.Kind == unix.S_IFDIR {
			r.Nlink++
		}
	}
	return nil
}

// nodes brings the live nodes up to date.
func (a *adoption) nodes() {
	o := a.o
	o.fds.dropBase()
	o.nodes.each(func(n *node) {
		if d, ok := n.self.(*dirNode); ok {
			d.outdated()
		}
		// Another directory may be at a place that a node has kept open.
		if l := n.loc.Load(); l != nil && l.up != nil && (l.path() == a.at || strings.HasPrefix(l.path(), a.at+"/")) {
			n.relocate(&meta.Base{Path: l.path(), Key: n.key}, l.strict)
		}
	})
	for _, ino := range a.released {
		if n := o.nodes.get(ino); n != nil {
			n.key = layer.Key{}
			n.loc.Store(nil)
		}
	}
	if r := a.rebased; r != nil {
		if n := o.nodes.get(r.Ino); n != nil {
			n.key = r.Base.Key
			n.relocate(r.Base, false)
		}
	}
}
