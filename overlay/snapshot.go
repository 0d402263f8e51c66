package overlay

import (
	"maps"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Snapshot is a read-only look at a view against its base. One made by Freeze
// does not move while writers go on; one made by Live shows each object as it
// is when it is asked.
type Snapshot struct {
	o     *Overlay
	epoch uint64        // the newest layer that counts; 0: live
	fixed []*meta.Layer // when frozen

	once  sync.Once
	links map[string]map[string]bool // base directory -> names of changed files with several, or of directories above
	err   error
}

// Live returns the view as it is.
func (o *Overlay) Live() *Snapshot { return &Snapshot{o: o} }

// Base returns an O_PATH descriptor of the base's root; it is not the caller's.
func (s *Snapshot) Base() int { return s.o.base }

// Hidden is Overlay.Hidden.
func (s *Snapshot) Hidden(rel string) bool { return s.o.Hidden(rel) }

// Prepare finds what changed, by the changes alone; the error of that is the
// error of every listing. It walks the base once if a file with more names than
// are known was changed.
func (s *Snapshot) Prepare() error {
	s.once.Do(s.findLinks)
	return s.err
}

// layers returns the stack. Preconditions: o.mu is held.
func (s *Snapshot) layers() []*meta.Layer {
	if s.epoch == 0 {
		return s.o.stack
	}
	return s.fixed
}

func (s *Snapshot) rec(ino uint64) (*meta.Layer, *meta.Rec) { return find(s.layers(), ino) }

// Root returns the root directory.
func (s *Snapshot) Root() Object {
	r := s.o.root
	return Object{Ino: r.ino, s: s, kind: unix.S_IFDIR, at: r.loc.Load()}
}

// Object is one object of a snapshot. Two are the same object if their Inos are.
type Object struct {
	Ino  uint64
	s    *Snapshot
	kind uint32
	at   *loc // the place of the base object, when it was found there
}

// Named is an object under a name.
type Named struct {
	Name string
	Object
}

// Origin is the base object that an object of the view stands for.
type Origin struct {
	Path   string // slash path in the base, "" for the root
	Key    layer.Key
	Finger layer.Fingerprint // what the base file looked like when its content was copied up
	Copied bool              // Finger is valid
	Hash   [32]byte          // SHA-256 of the original, with Kept
	Kept   bool              // the original is kept: see Ancestor
}

// Kind returns the S_IFMT bits.
func (x Object) Kind() uint32 { return x.kind }

// record returns a copy of the record in force, or nil.
func (x Object) record() *meta.Rec {
	x.s.o.mu.RLock()
	defer x.s.o.mu.RUnlock()
	_, r := x.s.rec(x.Ino)
	if r == nil {
		return nil
	}
	c := *r
	return &c
}

// place returns where the base object is; nil when there is none.
func (x Object) place(r *meta.Rec) *loc {
	if x.at != nil {
		return x.at
	}
	if r != nil && r.Base != nil {
		return x.s.o.locOfRec(r)
	}
	return nil
}

// Attr returns what the view shows.
func (x Object) Attr() (tree.Attr, error) {
	var a tree.Attr
	r := x.record()
	if r != nil {
		err := x.s.o.attrOfRec(&a, r, x.place(r))
		return a, err
	}
	var st layer.Stat
	if x.at == nil {
		return a, unix.ESTALE
	}
	if err := x.s.o.statAt(x.at, &st); err != nil {
		return a, stale(err)
	}
	x.s.o.attrOf(&a, x.Ino, &st)
	return a, nil
}

// Origin returns the base object; false for one made in the view.
func (x Object) Origin() (Origin, bool) {
	o := x.s.o
	r := x.record()
	if r != nil {
		if r.Base == nil {
			return Origin{}, false
		}
		og := Origin{Path: r.Base.Path, Key: o.diskKey(r.Base.Key), Copied: r.Copied, Finger: r.Finger, Hash: r.Hash, Kept: r.HasHash}
		og.Finger.Key = o.diskKey(og.Finger.Key)
		return og, true
	}
	if x.at == nil {
		return Origin{}, false
	}
	var st layer.Stat
	if o.statAt(x.at, &st) != nil {
		return Origin{Path: x.at.path()}, true
	}
	return Origin{Path: x.at.path(), Key: st.Key}, true
}

// Changed tells what the view owns of the object; of one made in the view, all.
func (x Object) Changed() (content, perm, times, xattrs bool) {
	r := x.record()
	if r == nil {
		return false, false, false, false
	}
	if r.Base == nil {
		return true, true, true, true
	}
	return r.Own&meta.OwnContent != 0, r.Own&meta.OwnPerm != 0, r.Own&meta.OwnTimes != 0, r.Own&meta.OwnXattrs != 0
}

// Readlink returns the target of a symbolic link.
func (x Object) Readlink() (string, error) {
	r := x.record()
	if r != nil && r.Own&meta.OwnContent != 0 {
		return r.Target, nil
	}
	at := x.place(r)
	if at == nil || at.up == nil {
		return "", unix.ESTALE
	}
	up, err := x.s.o.dirfd(at.up)
	if err != nil {
		return "", err
	}
	defer x.s.o.fds.put(up)
	target, err := layer.Readlink(up.fd, at.name)
	return target, stale(err)
}

// Xattrs returns all extended attributes; the map is the caller's.
func (x Object) Xattrs() (map[string][]byte, error) {
	r := x.record()
	if r != nil && r.Own&meta.OwnXattrs != 0 {
		return maps.Clone(r.Xattrs), nil
	}
	at := x.place(r)
	if at == nil {
		return nil, nil
	}
	if at.up == nil {
		return layer.Xattrs(x.s.o.base, "")
	}
	up, err := x.s.o.dirfd(at.up)
	if err != nil {
		return nil, err
	}
	defer x.s.o.fds.put(up)
	m, err := layer.Xattrs(up.fd, at.name)
	if err == unix.EOPNOTSUPP {
		err = nil
	}
	return m, stale(err)
}

// Ancestor returns the original bytes of a base file whose content the view
// changed, and of a .git directory what was Staged in it; false when they were
// not kept because there were too many.
func (x Object) Ancestor() ([]byte, bool, error) {
	r := x.record()
	if r == nil || !r.HasHash {
		return nil, false, nil
	}
	x.s.o.mu.RLock()
	defer x.s.o.mu.RUnlock()
	for _, l := range x.s.layers() {
		if b, ok, err := l.Blob(r.Hash); ok || err != nil {
			return b, ok, err
		}
	}
	return nil, false, nil
}

// Removed is a name of a base directory whose object the view removed, replaced
// or moved away.
type Removed struct {
	Name  string
	Grave *meta.Grave // what the view knew of it; nil: it is not known
}

// Gone returns what the view removed of a base directory, sorted.
func (x Object) Gone() []Removed {
	r := x.record()
	if x.place(r) == nil {
		return nil
	}
	x.s.o.mu.RLock()
	defer x.s.o.mu.RUnlock()
	all := graves(x.s.layers(), x.Ino)
	l := make([]Removed, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		l = append(l, Removed{name, all[name]})
	}
	return l
}

// Lookup finds a name as the view does.
func (x Object) Lookup(name string) (Object, bool, error) {
	o := x.s.o
	o.mu.RLock()
	e, w := findEntry(x.s.layers(), x.Ino, name)
	o.mu.RUnlock()
	switch w {
	case own:
		return Object{Ino: e.Ino, s: x.s, kind: e.Kind}, true, nil
	case gone:
		return Object{}, false, nil
	}
	at := x.place(x.record())
	if at == nil || o.hidden(at.path(), name) {
		return Object{}, false, nil
	}
	c := &loc{up: at, name: name}
	var st layer.Stat
	if err := o.statAt(c, &st); err != nil {
		if err == unix.ENOENT {
			return Object{}, false, nil
		}
		return Object{}, false, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		c.key = o.key(st.Key)
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	return Object{Ino: o.number(st.Key, &st), s: x.s, kind: st.Mode & unix.S_IFMT, at: c}, true, nil
}

// List returns the whole merged listing, sorted.
func (x Object) List() ([]Named, error) {
	all, kept := x.entries()
	all = append(all, kept...)
	at := x.place(x.record())
	if at == nil {
		return all, nil
	}
	var names []string
	err := x.s.o.baseNames(at, func(name string, _ uint64, _ uint32) bool {
		names = append(names, name)
		return true
	})
	if absent(err) != nil {
		return nil, err
	}
	for _, name := range names {
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

// Untouched tells whether the layers say nothing of the object, nor of anything below
// it: it is the base's. Prepare comes before.
func (x Object) Untouched() bool {
	if x.record() != nil {
		return false
	}
	if x.at == nil || x.at.up == nil {
		return len(x.s.links) == 0
	}
	return !x.s.links[x.at.up.path()][x.at.name]
}
