package overlay

import (
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Discard takes changes back: at the given slash paths of the view, and beneath
// them, the base shows again. nil means everything. A base object that was moved
// to or away from such a path is where the base has it again. Files made in the
// view that are still open keep their bytes until the last holder lets go.
// EBUSY during a freeze.
func (o *Overlay) Discard(paths []string) error {
	if o.frozenNow() {
		return fmt.Errorf("discard: %w", unix.EBUSY)
	}
	o.gate.Lock()
	o.mu.Lock()
	err := o.discard(paths)
	o.mu.Unlock()
	o.gate.Unlock()
	if err != nil {
		return fmt.Errorf("discard: %w", err)
	}
	o.publish(tree.Change{Kind: tree.EverythingChanged})
	return nil
}

// discard is one Discard under way.
type discard struct {
	o    *Overlay
	d    *meta.Draft
	refs map[uint64][]ref // where the view has an object by a name of its own
	dead map[uint64]bool  // objects that are nowhere any more
	at   map[string]uint64
}

type ref struct {
	dir  uint64
	name string
}

func (o *Overlay) discard(paths []string) error {
	if len(o.stack) > 1 {
		return unix.EBUSY
	}
	x := &discard{o: o, d: meta.Sum(o.stack...), refs: map[uint64][]ref{}, dead: map[uint64]bool{}}
	for dir, delta := range x.d.Dirs {
		for name, e := range delta.Own {
			x.refs[e.Ino] = append(x.refs[e.Ino], ref{dir, name})
		}
	}
	if paths == nil {
		x.dir(o.root.ino)
	}
	for _, p := range paths {
		if err := x.path(p); err != nil {
			return err
		}
	}
	x.keepOpen()
	o.purge(x.d)
	if err := o.replace(len(o.stack), x.d, 0); err != nil {
		return err
	}
	x.nodes()
	return nil
}

// path discards what is at a path.
func (x *discard) path(p string) error {
	dir := x.o.root.ino
	for at, rest := "", p; ; {
		name, more, deeper := cut(rest)
		if !deeper {
			x.name(dir, name)
			return nil
		}
		next, err := x.child(dir, at, name)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		dir, at, rest = next, path.Join(at, name), more
	}
}

func cut(p string) (name, rest string, more bool) {
	for i := range len(p) {
		if p[i] == '/' {
			return p[:i], p[i+1:], true
		}
	}
	return p, "", false
}

// child returns the directory at a name.
func (x *discard) child(dir uint64, at, name string) (uint64, error) {
	if delta := x.d.Dirs[dir]; delta != nil {
		if e, ok := delta.Own[name]; ok {
			return e.Ino, nil
		}
	}
	if r := x.d.Recs[dir].Rec; r != nil && r.Base != nil {
		at = r.Base.Path
	}
	if x.at == nil {
		x.at = dirsOf(x.d)
	}
	if ino, ok := x.at[path.Join(at, name)]; ok {
		return ino, nil
	}
	var st layer.Stat
	if err := x.o.statPath(path.Join(at, name), &st); err != nil {
		return 0, err
	}
	return x.o.number(st.Key, &st), nil
}

// dirsOf returns the directories of the base that a draft says something of and
// that are where the base had them, by path: another may be there now, or none.
func dirsOf(d *meta.Draft) map[string]uint64 {
	at := map[string]uint64{}
	for ino, x := range d.Recs {
		if x.IsDir() && x.Base != nil && x.Own&meta.Moved == 0 {
			at[x.Base.Path] = ino
		}
	}
	return at
}

// dir discards everything that the view says of a directory's names, and what it
// says of the directory itself.
func (x *discard) dir(ino uint64) {
	if delta := x.d.Dirs[ino]; delta != nil {
		for name := range delta.Own {
			x.name(ino, name)
		}
		for name := range delta.Gone {
			x.name(ino, name)
		}
		delete(x.d.Dirs, ino)
	}
	delete(x.d.Recs, ino)
}

// name discards what the view says of one name.
func (x *discard) name(dir uint64, name string) {
	delta := x.d.Dirs[dir]
	if delta == nil {
		return
	}
	if e, ok := delta.Own[name]; ok {
		x.drop(dir, name, e)
	}
	if _, ok := delta.Gone[name]; ok {
		delete(delta.Gone, name)
		x.recall(dir, name)
	}
}

// drop takes an own name away, with the object if it was made in the view and
// this was its last name; a base object goes back to where the base has it.
func (x *discard) drop(dir uint64, name string, e meta.Entry) {
	delete(x.d.Dirs[dir].Own, name)
	r := x.d.Recs[e.Ino].Rec
	if r == nil {
		return
	}
	x.links(dir, e.Kind, -1)
	switch {
	case r.Base != nil:
		x.restore(e.Ino, r)
	case r.IsDir():
		x.dir(e.Ino)
		x.dead[e.Ino] = true
	default:
		if r.Nlink--; r.Nlink <= 0 {
			x.dead[e.Ino] = true
		}
	}
}

// restore makes a base object as it is in the base, at its place there.
func (x *discard) restore(ino uint64, r *meta.Rec) {
	if r.IsDir() {
		x.dir(ino)
	}
	delete(x.d.Recs, ino)
	if up, ok := x.o.baseDir(path.Dir(r.Base.Path)); ok {
		if delta := x.d.Dirs[up]; delta != nil {
			if _, gone := delta.Gone[path.Base(r.Base.Path)]; gone {
				delete(delta.Gone, path.Base(r.Base.Path))
				x.links(up, r.Kind, 1)
			}
		}
	}
	for _, other := range x.refs[ino] {
		if delta := x.d.Dirs[other.dir]; delta != nil && delta.Own[other.name].Ino == ino {
			delete(delta.Own, other.name)
			x.links(other.dir, r.Kind, -1)
		}
	}
}

// recall brings back a base object that the view had removed from a name, or
// moved elsewhere.
func (x *discard) recall(dir uint64, name string) {
	at := ""
	if r := x.d.Recs[dir].Rec; r != nil && r.Base != nil {
		at = r.Base.Path
	}
	var st layer.Stat
	if x.o.statPath(path.Join(at, name), &st) != nil {
		return
	}
	x.links(dir, st.Mode&unix.S_IFMT, 1)
	ino := x.o.number(st.Key, &st)
	if r := x.d.Recs[ino].Rec; r != nil && r.Base != nil {
		x.restore(ino, r)
	}
}

// links adds to the link count of a directory that gained or lost a directory.
func (x *discard) links(dir uint64, kind uint32, n int32) {
	if r := x.d.Recs[dir].Rec; r != nil && kind == unix.S_IFDIR {
		r.Nlink += n
	}
}

// keepOpen keeps the records of files that somebody may have open.
func (x *discard) keepOpen() {
	for ino := range x.dead {
		r := x.d.Recs[ino].Rec
		if r == nil {
			continue
		}
		if r.IsDir() || x.o.nodes.get(ino) == nil {
			delete(x.d.Recs, ino)
			continue
		}
		r.Nlink = 0
	}
}

// nodes brings the live nodes up to date.
func (x *discard) nodes() {
	o := x.o
	var live []*node
	o.nodes.each(func(n *node) { live = append(live, n) })
	for _, n := range live {
		if d, ok := n.self.(*dirNode); ok {
			d.ver++
			if d.list != nil {
				d.list.stale = true
			}
		}
		_, r := o.rec(n.ino)
		switch {
		case x.dead[n.ino]:
			n.unlinked = true
			if n.kind == unix.S_IFDIR {
				n.last = &tree.Attr{Ino: n.ino, Mode: unix.S_IFDIR | 0o700, Blksize: 4096, TTL: longTTL}
			}
		case r == nil && n.key.Ino != 0:
			o.backHome(n)
		}
	}
	o.fds.dropBase()
}

// backHome lets a base object be found where the base has it.
func (o *Overlay) backHome(n *node) {
	l := n.loc.Load()
	if l == nil || !l.strict {
		return
	}
	n.relocate(&meta.Base{Path: l.path(), Key: n.key}, false)
}
