package overlay

import (
	"fmt"
	"path"
	"slices"
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
	named map[uint64]bool   // objects that entries of the sum name
	dirs  map[string]uint64 // directories looked at: path to number
}

func (o *Overlay) fold(n uint64, done []Done) error {
	f := &fold{o: o, d: meta.Sum(o.stack...), at: map[string]Done{}, moved: map[string]string{}, dirs: map[string]uint64{}}
	if len(o.stack) > 1 {
		f.top = o.top()
	}
	for _, x := range done {
		x.Key = o.key(x.Key)
		f.at[x.Path] = x
	}
	f.alias()
	f.findMoved()
	f.repath()
	for _, x := range f.at {
		if err := f.entry(x); err != nil {
			return err
		}
	}
	f.findNamed()
	for _, x := range f.at {
		if err := f.object(x); err != nil {
			return err
		}
	}
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

// since tells whether the object was changed after the freeze.
func (f *fold) since(ino uint64) bool { return f.top != nil && f.top.Recs[ino] != nil }

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
			return nil // removed after the freeze
		}
	}
	if x.Ino == 0 {
		var st layer.Stat
		if absent(f.o.statPath(x.Path, &st)) == nil && st.Ino == 0 {
			delete(delta.Gone, name)
		}
		return nil
	}
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
	return f.since(ino) || d != nil && !d.Empty()
}

// findNamed finds the objects that the view still has a name for.
func (f *fold) findNamed() {
	f.named = map[uint64]bool{}
	for _, d := range f.d.Dirs {
		for _, e := range d.Own {
			f.named[e.Ino] = true
		}
	}
}

// object brings the record of a committed object up to date, or drops it.
func (f *fold) object(x Done) error {
	r := f.d.Recs[x.Ino].Rec
	if x.Ino == 0 || r == nil {
		return nil
	}
	wasOwn := r.Base == nil
	r.Base = &meta.Base{Path: x.Path, Key: x.Key}
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
		if !f.named[x.Ino] {
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
	return nil
}

// prune counts links anew in the directories that the commit touched and drops
// the records of those of which nothing is left to say, deepest first.
func (f *fold) prune() error {
	paths := map[string]bool{"": true}
	for p, x := range f.at {
		if x.Ino != 0 {
			paths[p] = true
		}
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			paths[dir] = true
		}
	}
	order := make([]string, 0, len(paths))
	for p := range paths {
		order = append(order, p)
	}
	slices.SortFunc(order, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	for _, p := range order {
		if err := f.pruneDir(p); err != nil {
			return err
		}
	}
	return nil
}

func (f *fold) pruneDir(p string) error {
	if _, there := f.at[p]; !there && p != "" {
		var st layer.Stat
		if f.o.statPath(p, &st) != nil {
			return nil // a directory that the commit removed
		}
	}
	ino, err := f.dir(p)
	if err != nil {
		return err
	}
	r := f.d.Recs[ino].Rec
	if r == nil || !r.IsDir() {
		return nil
	}
	if d := f.d.Dirs[ino]; d != nil && !d.Empty() {
		r.Nlink = f.links(p, d)
		return nil
	}
	delete(f.d.Dirs, ino)
	r.Nlink = 0
	if f.since(ino) || r.Own&(meta.OwnPerm|meta.OwnXattrs|meta.Moved) != 0 {
		return nil
	}
	delete(f.d.Recs, ino)
	if p == "" {
		return nil
	}
	up, err := f.dir(path.Dir(p))
	if err != nil {
		return err
	}
	if delta := f.d.Dirs[up]; delta != nil && delta.Own[path.Base(p)].Ino == ino {
		delete(delta.Own, path.Base(p))
	}
	return nil
}

// links is how many more directories a directory has in the view than in the base.
func (f *fold) links(p string, d *meta.Delta) int32 {
	n := int32(0)
	for name, e := range d.Own {
		if e.Kind == unix.S_IFDIR && !f.isDir(path.Join(p, name)) {
			n++
		}
	}
	for name := range d.Gone {
		if _, own := d.Own[name]; !own && f.isDir(path.Join(p, name)) {
			n--
		}
	}
	return n
}

func (f *fold) isDir(p string) bool {
	var st layer.Stat
	return f.o.statPath(p, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// nodes brings the live nodes up to date: where their base objects are now.
func (f *fold) nodes() {
	o := f.o
	o.fds.dropBase()
	o.nodes.each(func(n *node) {
		if d, ok := n.self.(*dirNode); ok {
			d.ver++
			if d.list != nil {
				d.list.stale = true
			}
		}
		if l := n.loc.Load(); l != nil && l.up != nil && len(f.moved) > 0 {
			if p := l.path(); f.now(p) != p {
				n.relocate(&meta.Base{Path: f.now(p), Key: n.key}, l.strict)
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
