package overlay

import (
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// A whiteout keeps what the view knew of the base object that it hides, so that
// whoever changes it in the base later is noticed.

// leave adds to o.tx that d does not have name any more, whoever said it had. f
// is what the name meant.
// Preconditions: o.mu is held for writing.
func (o *Overlay) leave(d *dirNode, name string, f *found) {
	if !f.own {
		o.tx.Bury(d.ino, name, o.grave(f, f.st))
		return
	}
	hidden := false
	if delta := o.top().Dirs[d.ino]; delta != nil {
		if _, ok := delta.Own[name]; ok {
			o.tx.Leave(d.ino, name)
		}
		if _, hidden = delta.Gone[name]; hidden && f.key.Ino == 0 {
			return
		}
	}
	var st layer.Stat
	has := d.statBelow(name, &st) == nil
	under := o.stack[:len(o.stack)-1]
	_, w := findEntry(under, d.ino, name)
	switch {
	case has && o.shows(f, path.Join(d.loc.Load().path(), name), &st):
		o.tx.Bury(d.ino, name, o.grave(f, &st))
	case hidden || w == gone:
	case has && !buried(under, d.ino, name):
		o.tx.Bury(d.ino, name, &meta.Grave{}) // nobody has seen what is there
	case w == own:
		o.tx.Hide(d.ino, name)
	}
}

// buried tells whether a layer hides a name of the base.
func buried(stack []*meta.Layer, dir uint64, name string) bool {
	for _, l := range stack {
		if d := l.Dirs[dir]; d != nil {
			if _, ok := d.Gone[name]; ok {
				return true
			}
		}
	}
	return false
}

// shows tells whether an entry of the layers is of what the base has at a place
// now, in the state st.
func (o *Overlay) shows(f *found, place string, st *layer.Stat) bool {
	if f.key.Ino != 0 && o.key(st.Key).Same(f.key) {
		return true
	}
	_, x := o.rec(f.ino)
	return x != nil && x.Base != nil && x.Own&meta.Moved == 0 && x.Base.Path == place
}

// grave is what the view knows of a base object in the state st, which it has
// as f: the state that it copied, if it did. Preconditions: o.mu is held.
func (o *Overlay) grave(f *found, st *layer.Stat) *meta.Grave {
	g := o.graveOf(st)
	if _, x := o.rec(f.ino); x != nil && x.Copied {
		ctime := g.Finger.Ctime // a commit of another name may have moved it since
		g.Finger = x.Finger
		g.Finger.Ctime = ctime
	}
	if g.Finger.Mode&unix.S_IFMT != unix.S_IFDIR {
		return g
	}
	for _, in := range graves(o.stack, f.ino) {
		g.Add(in)
	}
	g.Order()
	return g
}

// graveOf is the grave of an object by itself. The ctime of a file with several
// names does not count: one that comes or goes moves it.
func (o *Overlay) graveOf(st *layer.Stat) *meta.Grave {
	g := &meta.Grave{Finger: st.Fingerprint()}
	g.Finger.Key = o.key(st.Key)
	if st.Nlink > 1 || st.Mode&unix.S_IFMT == unix.S_IFDIR {
		g.Finger.Ctime = 0
	}
	return g
}

// graves returns what the layers say of the names of the base that they hide in
// a directory.
func graves(stack []*meta.Layer, dir uint64) map[string]*meta.Grave {
	var all map[string]*meta.Grave
	for _, l := range stack {
		d := l.Dirs[dir]
		if d == nil {
			continue
		}
		for name, g := range d.Gone {
			if all == nil {
				all = make(map[string]*meta.Grave, len(d.Gone))
			}
			if g != nil || all[name] == nil {
				all[name] = g
			}
		}
	}
	return all
}

// entomb says anew what the whiteout at its place in the base hides of an object
// that was moved away from there and is no more: it followed the base until now.
// When the directory there is no more either, that is said where it was.
// Preconditions: o.mu is held for writing.
func (o *Overlay) entomb(f *found) {
	_, x := o.rec(f.ino)
	if x == nil || x.Base == nil || x.Own&meta.Moved == 0 {
		return
	}
	var st layer.Stat
	if o.statPath(x.Base.Path, &st) != nil || !o.key(st.Key).Same(x.Base.Key) {
		return
	}
	g := o.grave(f, &st)
	for p := x.Base.Path; p != "."; p = path.Dir(p) {
		dir, ok := o.baseDir(path.Dir(p))
		if !ok {
			return
		}
		delta := o.top().Dirs[dir]
		if delta == nil {
			continue
		}
		was, ok := delta.Gone[path.Base(p)]
		switch {
		case !ok:
			continue
		case p != x.Base.Path:
			if was == nil || was.Partly || was.Finger.Mode&unix.S_IFMT != unix.S_IFDIR {
				return
			}
			g = added(was, g)
		}
		o.tx.Bury(dir, path.Base(p), g)
		return
	}
}

// added is the grave of a directory with one more in it. With many it says no more
// what they are: each addition is recorded with all of them.
func added(was, in *meta.Grave) *meta.Grave {
	const most = 256
	g := &meta.Grave{Finger: was.Finger, Marks: slices.Clone(was.Marks)}
	if len(g.Marks)+len(in.Marks) > most {
		in = nil
	}
	g.Add(in)
	g.Order()
	return g
}

// baseDir returns the number of a directory of the base.
func (o *Overlay) baseDir(p string) (uint64, bool) {
	if p == "." || p == "" {
		return o.root.ino, true
	}
	var st layer.Stat
	if o.statPath(p, &st) != nil {
		return 0, false
	}
	return o.number(st.Key, &st), true
}

// graveBelow is what a path of the base holds now.
func (o *Overlay) graveBelow(at *loc) (*meta.Grave, error) {
	var st layer.Stat
	if err := o.statAt(at, &st); err != nil {
		return nil, err
	}
	g := o.graveOf(&st)
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return g, nil
	}
	defer o.fds.drop(fdKey{dir: at})
	var names []string
	err := o.baseNames(at, func(name string, _ uint64, _ uint32) bool {
		names = append(names, name)
		return len(names) <= meta.MaxMarks
	})
	for _, name := range names {
		if err != nil || g.Partly {
			break
		}
		var in *meta.Grave
		if in, err = o.graveBelow(&loc{up: at, name: name}); absent(err) == nil {
			g.Add(in)
			err = nil
		}
	}
	g.Order()
	return g, err
}

// Touched says that a commit which was taken back has moved the ctime of base
// objects: it is of no account in what the view knows of those that it removed.
func (o *Overlay) Touched(keys []layer.Key) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.forgetCtimes(keys)
}

// forgetCtimes is Touched. Preconditions: o.mu is held for writing.
func (o *Overlay) forgetCtimes(keys []layer.Key) error {
	moved := map[layer.Key]bool{}
	for _, k := range keys {
		moved[o.key(k)] = true
	}
	for _, l := range o.stack {
		if err := forgetCtimesIn(l, moved); err != nil {
			return err
		}
	}
	return nil
}

func forgetCtimesIn(l *meta.Layer, of map[layer.Key]bool) error {
	var tx meta.Tx
	for dir, d := range l.Dirs {
		for name, g := range d.Gone {
			if g == nil || !of[g.Finger.Key] || g.Finger.Ctime == 0 {
				continue
			}
			c := *g
			c.Finger.Ctime = 0
			tx.Reset()
			tx.Bury(dir, name, &c)
			if err := l.Commit(&tx); err != nil {
				return err
			}
		}
	}
	return nil
}

// graves renews what whiteouts say of files of which the commit changed another
// name: they are one object.
func (f *fold) graves() {
	paths := map[uint64]string{}
	for _, x := range f.at {
		if x.Ino != 0 {
			paths[meta.MarkOf(layer.Fingerprint{Key: x.Key}).ID] = x.Path
		}
	}
	state := func(id uint64) (layer.Fingerprint, bool) {
		var st layer.Stat
		p, ok := paths[id]
		if !ok || f.o.statPath(p, &st) != nil || meta.MarkOf(st.Fingerprint()).ID != id {
			return layer.Fingerprint{}, false
		}
		return f.o.graveOf(&st).Finger, true
	}
	for _, d := range f.d.Dirs {
		for name, g := range d.Gone {
			if g != nil {
				d.Gone[name] = g.Renew(state)
			}
		}
	}
}

// inherit hides the names of a base directory that a committed directory of the
// view covers with names of its own: it was made anew over that directory, which
// the commit has only changed. was is what the view knew of it.
func (f *fold) inherit(x Done, was *meta.Grave) {
	r, d := f.d.Recs[x.Ino].Rec, f.d.Dirs[x.Ino]
	if r == nil || !r.IsDir() || r.Base != nil || d == nil {
		return
	}
	for name := range d.Own {
		p := path.Join(x.Path, name)
		var st layer.Stat
		if _, taken := f.at[p]; !taken && f.o.statPath(p, &st) == nil {
			d.Gone[name] = f.o.graveWithin(was, &st)
		}
	}
}

// graveWithin is what a view that knew a directory as was knows of an object in
// it which is in the state st now.
func (o *Overlay) graveWithin(was *meta.Grave, st *layer.Stat) *meta.Grave {
	if was == nil {
		return nil
	}
	known, same := was.Knew(st.Fingerprint())
	if !known {
		return nil
	}
	g := o.graveOf(st)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		g.Marks, g.Partly = was.Marks, was.Partly
	}
	if !same {
		g.Finger.Btime-- // so that it never is
	}
	return g
}
