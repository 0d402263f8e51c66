package overlay

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Done is one path that a commit has brought to the base.
type Done struct {
	Path string    // in the frozen view, and so in the base now
	Ino  uint64    // the object of the view that is there now; 0: the name is gone
	Key  layer.Key // of what the base has there now
	// Part says that the base got some of the object's changes only: the object goes
	// on as it is, and builds on what the base has now.
	Part bool
}

// Folded returns the number of the last commit that was folded in.
func (o *Overlay) Folded() uint64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.folded
}

// Fold ends a freeze after commit n has been applied to the base: what the base
// holds now is dropped from the layers, the rest and what was written since
// become one. It is one durable step; done again after a crash it does the same.
// Objects keep their numbers.
func (o *Overlay) Fold(n uint64, _ *Snapshot, done []Done) error {
	o.mu.Lock()
	if n <= o.folded {
		o.mu.Unlock()
		return nil
	}
	err := o.fold(n, done)
	o.mu.Unlock()
	if err != nil {
		return fmt.Errorf("fold commit %d: %w", n, err)
	}
	o.publish(tree.Change{Kind: tree.EverythingChanged})
	return nil
}

// fold is one Fold under way.
type fold struct {
	o     *Overlay
	d     *meta.Draft
	top   *meta.Layer       // written since the freeze; nil: nothing was frozen
	at    map[string]Done   // what is at a path now
	moved map[string]string // base directories that the commit moved: old path to new
	split map[uint64]bool   // objects with a name that the commit did not take
	part  map[uint64]bool   // objects with content that the commit did not take
	dirs  map[string]uint64 // directories looked at: path to number
}

func (o *Overlay) fold(n uint64, done []Done) error {
	f := &fold{o: o, d: meta.Sum(o.stack...), at: map[string]Done{}, moved: map[string]string{}, part: map[uint64]bool{}, dirs: map[string]uint64{}}
	if len(o.stack) > 1 {
		f.top = o.top()
	}
	for _, x := range done {
		x.Key = o.key(x.Key)
		f.at[x.Path] = x
		f.part[x.Ino] = f.part[x.Ino] || x.Part
	}
	f.alias()
	f.findMoved()
	f.repath()
	f.forgetStaged()
	if err := f.findSplit(); err != nil {
		return err
	}
	for _, x := range f.at {
		if err := f.entry(x); err != nil {
			return err
		}
	}
	if err := f.otherNames(); err != nil {
		return err
	}
	for _, x := range f.at {
		if err := f.object(x); err != nil {
			return err
		}
	}
	f.graves()
	if err := f.prune(); err != nil {
		return err
	}
	f.d.LastFold = n
	o.purge(f.d)
	if err := o.replace(len(o.stack), f.d, 0); err != nil {
		return err
	}
	f.nodes()
	return nil
}

// since tells whether the object was changed after the freeze, or has changes that
// the commit did not take.
func (f *fold) since(ino uint64) bool {
	return f.part[ino] || f.top != nil && f.top.Recs[ino] != nil
}

// alias makes the new base objects go by the numbers that they had in the view.
// What had such a number in the base before is not in the base any more.
func (f *fold) alias() {
	number := map[uint64]bool{}
	for _, x := range f.at {
		number[x.Ino] = x.Ino != 0
	}
	for key, ino := range f.d.Aliases {
		if number[ino] {
			delete(f.d.Aliases, key)
		}
	}
	for _, x := range f.at {
		if x.Ino == 0 {
			continue
		}
		if x.Key.Ino != x.Ino {
			f.d.Aliases[x.Key] = x.Ino
		}
		f.o.aliases[x.Key] = x.Ino
	}
}

func (f *fold) findMoved() {
	for _, x := range f.at {
		r := f.d.Recs[x.Ino].Rec
		if x.Ino != 0 && r != nil && r.IsDir() && r.Base != nil && r.Base.Path != x.Path {
			f.moved[r.Base.Path] = x.Path
		}
	}
}

// now returns where what was at a path of the base is after the commit.
func (f *fold) now(old string) string {
	for p := old; p != "" && p != "."; p = path.Dir(p) {
		if to, ok := f.moved[p]; ok {
			return to + strings.TrimPrefix(old, p)
		}
	}
	return old
}

// repath brings the places of base objects up to date.
func (f *fold) repath() {
	if len(f.moved) == 0 {
		return
	}
	for _, x := range f.d.Recs {
		if x.Base != nil {
			x.Base = &meta.Base{Path: f.now(x.Base.Path), Key: x.Base.Key}
		}
	}
}

// dir returns the number of the directory at a path of the base as it is now.
func (f *fold) dir(p string) (uint64, error) {
	if p == "." || p == "" {
		return f.o.root.ino, nil
	}
	if x, ok := f.at[p]; ok && x.Ino != 0 {
		return x.Ino, nil
	}
	if ino, ok := f.dirs[p]; ok {
		return ino, nil
	}
	var st layer.Stat
	if err := f.o.statPath(p, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", p, err)
	}
	f.dirs[p] = f.o.number(st.Key, &st)
	return f.dirs[p], nil
}

// entry takes away what a directory says of a name that the base now has right.
func (f *fold) entry(x Done) error {
	dir, err := f.dir(path.Dir(x.Path))
	if err != nil {
		if x.Ino == 0 {
			err = absent(err) // the directory went with it
		}
		return err
	}
	delta := f.d.Dirs[dir]
	if delta == nil {
		return nil
	}
	name := path.Base(x.Path)
	if f.top != nil && f.top.Dirs[dir] != nil {
		if _, again := f.top.Dirs[dir].Gone[name]; again && x.Ino != 0 {
			// Removed after the freeze: it hides what the commit put there.
			delta.Gone[name], err = f.o.graveBelow(f.o.locOf(&meta.Base{Path: x.Path}))
			return absent(err)
		}
	}
	if x.Ino == 0 {
		var st layer.Stat
		if absent(f.o.statPath(x.Path, &st)) == nil && st.Ino == 0 {
			delete(delta.Gone, name)
		}
		return nil
	}
	f.inherit(x, delta.Gone[name])
	delete(delta.Gone, name)
	if delta.Own[name].Ino == x.Ino && !f.keeps(x.Ino) {
		delete(delta.Own, name)
	}
	return nil
}

// keeps tells whether the view still has something to say of a committed object:
// then its name stays bound.
func (f *fold) keeps(ino uint64) bool {
	d := f.d.Dirs[ino]
	return f.since(ino) || f.split[ino] || d != nil && !d.Empty()
}

// findSplit finds the objects of which the commit took some names and not all:
// the view has still to say how many there are.
func (f *fold) findSplit() error {
	names := map[uint64]int{}
	for _, d := range f.d.Dirs {
		for _, e := range d.Own {
			names[e.Ino]++
		}
	}
	for _, x := range f.at {
		if x.Ino == 0 {
			continue
		}
		dir, err := f.dir(path.Dir(x.Path))
		if err != nil {
			return err
		}
		if d := f.d.Dirs[dir]; d != nil && d.Own[path.Base(x.Path)].Ino == x.Ino {
			names[x.Ino]--
		}
	}
	f.split = map[uint64]bool{}
	for _, x := range f.at {
		f.split[x.Ino] = names[x.Ino] > 0 || f.moreInBase(x)
	}
	return nil
}

// moreInBase tells whether the base has more names for a committed file than the
// view, or less: it was removed or replaced under one, and that was not taken.
func (f *fold) moreInBase(x Done) bool {
	r := f.d.Recs[x.Ino].Rec
	if x.Ino == 0 || r == nil || r.Base == nil || r.IsDir() {
		return false
	}
	var st layer.Stat
	return f.o.statPath(x.Path, &st) == nil && int32(st.Nlink) != r.Nlink
}

// object brings the record of a committed object up to date, or drops it.
func (f *fold) object(x Done) error {
	r := f.d.Recs[x.Ino].Rec
	if x.Ino == 0 || r == nil {
		return nil
	}
	wasOwn := r.Base == nil
	at := x.Path
	if !wasOwn && !r.IsDir() && f.still(r.Base, x.Key) {
		at = r.Base.Path // this is one more name of it
	}
	r.Base = &meta.Base{Path: at, Key: x.Key}
	r.Own &^= meta.Moved
	if r.IsDir() {
		if wasOwn {
			r.Nlink = 0
		}
		if !f.since(x.Ino) {
			r.Own = 0
		}
		return nil
	}
	if !f.since(x.Ino) {
		if !f.split[x.Ino] {
			delete(f.d.Recs, x.Ino)
			return nil
		}
		// Another name of it was not taken: that is all that the view has to say.
		r.Own, r.Xattrs, r.Copied, r.HasHash = 0, nil, false, false
		r.Where, r.Bytes, r.Size, r.Slice, r.DataID, r.Epoch = meta.Below, nil, 0, meta.Slice{}, 0, 0
		return nil
	}
	var st layer.Stat
	if err := f.o.statPath(r.Base.Path, &st); err != nil {
		return fmt.Errorf("%s: %w", x.Path, err)
	}
	if r.Where != meta.Below {
		r.Copied, r.Finger, r.HasHash = true, st.Fingerprint(), false
		r.Finger.Key = f.o.key(r.Finger.Key)
	}
	if f.part[x.Ino] {
		return f.o.keepOriginal(r, r.Base.Path)
	}
	return nil
}

// nodes brings the live nodes up to date: where their base objects are now.
func (f *fold) nodes() {
	o := f.o
	o.fds.dropBase()
	o.nodes.each(func(n *node) {
		if d, ok := n.self.(*dirNode); ok {
			d.outdated()
		}
		l := n.loc.Load()
		if l == nil || l.up == nil {
			return
		}
		p := l.path()
		if to := f.now(p); to != p {
			n.relocate(&meta.Base{Path: to, Key: n.key}, l.strict)
		} else if f.taken(p) {
			// The name by which it was found is gone; the record knows another.
			if _, r := o.rec(n.ino); r != nil && r.Base != nil && r.Base.Path != p {
				n.relocate(r.Base, l.strict)
			}
		}
	})
	for _, x := range f.at {
		if n := o.nodes.get(x.Ino); x.Ino != 0 && n != nil {
			n.key = x.Key
			n.relocate(&meta.Base{Path: x.Path, Key: x.Key}, false)
		}
	}
}

// relocate says where the base object of n is now. Preconditions: o.mu is held
// for writing.
func (n *node) relocate(b *meta.Base, strict bool) {
	l := n.o.locOf(b)
	if n.kind != unix.S_IFDIR {
		l.key = layer.Key{}
	}
	l.strict = strict
	n.loc.Store(l)
}
