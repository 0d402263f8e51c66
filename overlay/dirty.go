package overlay

import (
	"maps"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// A name that the view holds of a base object where the base has it is no
// change by itself: what was changed is the object, or something beneath it.

// inPlace returns the place when the entry name of a directory at dir is such a
// one. Preconditions: o.mu is held.
func (s *Snapshot) inPlace(dir *loc, name string, e meta.Entry) *loc {
	if dir == nil {
		return nil
	}
	_, x := s.rec(e.Ino)
	if x == nil || x.Base == nil || x.Own&meta.Moved != 0 {
		return nil
	}
	if x.Base.Path != path.Join(dir.path(), name) {
		return nil
	}
	return &loc{up: dir, name: name, key: x.Base.Key}
}

// Own returns the names that the view put into a directory, sorted: of what was
// made in the view, or moved here.
func (x Object) Own() []Named {
	own, _ := x.entries()
	return own
}

// entries returns the view's names of a directory: those it put there, and those
// of base objects in their places.
func (x Object) entries() (put, kept []Named) {
	at := x.place(x.record())
	x.s.o.mu.RLock()
	defer x.s.o.mu.RUnlock()
	all := ownNames(x.s.layers(), x.Ino)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		if l := x.s.inPlace(at, name, e); l != nil {
			kept = append(kept, Named{name, Object{Ino: e.Ino, s: x.s, kind: e.Kind, at: l}})
			continue
		}
		put = append(put, Named{name, Object{Ino: e.Ino, s: x.s, kind: e.Kind}})
	}
	return put, kept
}

// Dirty returns the children that are where the base has them and may have
// changes in them or beneath, sorted.
func (x Object) Dirty() ([]Named, error) {
	if err := x.s.Prepare(); err != nil {
		return nil, err
	}
	_, all := x.entries()
	at := x.place(x.record())
	if at == nil {
		return all, nil
	}
	for name := range x.s.links[at.path()] {
		if slices.ContainsFunc(all, func(n Named) bool { return n.Name == name }) {
			continue
		}
		x.s.o.mu.RLock()
		_, w := findEntry(x.s.layers(), x.Ino, name)
		x.s.o.mu.RUnlock()
		if w != below {
			continue
		}
		c, ok, err := x.Lookup(name)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, Named{name, c})
		}
	}
	slices.SortFunc(all, func(a, b Named) int { return compare(a.Name, b.Name) })
	return all, nil
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// findLinks finds the names of changed base files that have several, by one walk
// of the base, if there are any such files.
func (s *Snapshot) findLinks() {
	s.links = map[string]map[string]bool{}
	linked := s.linked()
	if len(linked) == 0 {
		return
	}
	s.err = s.walkLinks(s.o.root.loc.Load(), linked)
}

// linked returns the inodes of changed base files with more than one name in the base.
func (s *Snapshot) linked() map[uint64]layer.Key {
	o := s.o
	var changed []*meta.Base
	o.mu.RLock()
	for _, l := range s.layers() {
		for _, x := range l.Recs {
			if x.Base != nil && x.Kind != unix.S_IFDIR {
				changed = append(changed, x.Base)
			}
		}
	}
	o.mu.RUnlock()
	linked := map[uint64]layer.Key{}
	for _, b := range changed {
		var st layer.Stat
		switch err := o.statPath(b.Path, &st); {
		case err != nil || !o.key(st.Key).Same(b.Key):
			linked[b.Key.Ino] = b.Key // it may have another name still
		case st.Nlink > 1:
			linked[st.Ino] = b.Key
		default: // the name by which it is known may be bound or not
			if l := o.locOf(b); l.up != nil {
				s.markLink(l.up, l.name)
			}
		}
	}
	return linked
}

func (s *Snapshot) walkLinks(dir *loc, linked map[uint64]layer.Key) error {
	var dirs []*loc
	err := s.o.baseNames(dir, func(name string, ino uint64, kind uint32) bool {
		switch {
		case kind == unix.S_IFDIR:
			dirs = append(dirs, &loc{up: dir, name: name})
		case linked[ino].Ino != 0:
			s.markLink(dir, name)
		}
		return true
	})
	if absent(err) != nil {
		return err
	}
	for _, d := range dirs {
		if err := s.walkLinks(d, linked); err != nil {
			return err
		}
		s.o.fds.drop(fdKey{dir: d})
	}
	return nil
}

// markLink notes a name and those of the directories it is in.
func (s *Snapshot) markLink(dir *loc, name string) {
	for ; ; dir, name = dir.up, dir.name {
		p := dir.path()
		if s.links[p] == nil {
			s.links[p] = map[string]bool{}
		}
		if s.links[p][name] || dir.up == nil {
			s.links[p][name] = true
			return
		}
		s.links[p][name] = true
	}
}
