package change

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/layer"
)

// arrival is an object of the base under a name that is not its own place.
type arrival struct {
	path   string // in the view
	place  string // in the base; "" in a new directory
	object overlay.Object
	origin overlay.Origin
	dir    bool
}

// survey is the first pass over the changes. It finds out what moved where, so
// that the second pass can tell a removal from one half of a move.
type survey struct {
	base *base
	// gone has the base paths that the directory above them does not show as
	// they were.
	gone map[string]bool
	// arrivals in the order of their paths.
	arrivals []arrival
	// from says of a path of the view that it is a move, and from where.
	from map[string]string
	// to is the inverse: where the object at a base path is now.
	to map[string]string
	// links says of a path of the view that it is an additional name of a base
	// object, and gives another one.
	links map[string]string
}

func look(ctx context.Context, s *overlay.Snapshot, b *base) (*survey, error) {
	v := &survey{
		base: b, gone: map[string]bool{}, from: map[string]string{},
		to: map[string]string{}, links: map[string]string{},
	}
	if err := v.dir(ctx, s.Root(), Root, Root); err != nil {
		return nil, err
	}
	slices.SortFunc(v.arrivals, func(a, b arrival) int { return Compare(a.path, b.path) })
	return v, v.resolve()
}

// dir collects what a directory of the view has that the base has not there.
// at is the base directory it stands for, "" for none.
func (v *survey) dir(ctx context.Context, d overlay.Object, path, at string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dirty, err := d.Dirty()
	if err != nil {
		return fmt.Errorf("changes below %s: %w", Quote(path), err)
	}
	for _, r := range d.Gone() {
		if at != "" && !named(dirty, r.Name) {
			v.gone[Join(at, r.Name)] = true
		}
	}
	for _, n := range d.Own() {
		if err := v.own(ctx, n, path, at); err != nil {
			return err
		}
	}
	for _, n := range dirty {
		if !isDir(n.Object) {
			continue
		}
		if err := v.dir(ctx, n.Object, Join(path, n.Name), Join(at, n.Name)); err != nil {
			return err
		}
	}
	return nil
}

// named tells whether a name that was removed is there again, for the object
// that the base has there.
func named(l []overlay.Named, name string) bool {
	_, ok := slices.BinarySearchFunc(l, name, func(n overlay.Named, name string) int { return strings.Compare(n.Name, name) })
	return ok
}

func (v *survey) own(ctx context.Context, n overlay.Named, path, at string) error {
	p, place := Join(path, n.Name), ""
	if at != "" {
		place = Join(at, n.Name)
	}
	dir := isDir(n.Object)
	o, ok := n.Object.Origin()
	home := false
	if ok && at != "" {
		var err error
		if home, err = v.base.home(n.Object, o, place); err != nil {
			return err
		}
	}
	if home {
		delete(v.gone, place) // it was given back
	} else if ok {
		v.arrivals = append(v.arrivals, arrival{path: p, place: place, object: n.Object, origin: o, dir: dir})
	}
	if !dir {
		return nil
	}
	below := ""
	if ok {
		below = clean(o.Path)
	}
	return v.dir(ctx, n.Object, p, below)
}

// home tells whether an object is at a place where the base has it too: at the
// one that is recorded or, of a file with several names, at another of them.
func (b *base) home(x overlay.Object, o overlay.Origin, place string) (bool, error) {
	if clean(o.Path) == place {
		return true, nil
	}
	if isDir(x) || place == "" {
		return false, nil
	}
	st, err := b.stat(place)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", Quote(place), err)
	}
	return st != nil && sameInode(st.Key, o.Key), nil
}

// clean is the path of an origin in the form used here.
func clean(p string) string {
	if p == "" {
		return Root
	}
	return p
}

// resolve decides for each arrival whether it is a move or one more name.
func (v *survey) resolve() error {
	// Whether a file left its place depends on where its directory is.
	for _, dirs := range []bool{true, false} {
		for _, a := range v.arrivals {
			if a.dir == dirs {
				v.move(a)
			}
		}
	}
	return v.hardLinks()
}

// move notes a move when the object's own place in the base shows it no more.
func (v *survey) move(a arrival) {
	o := clean(a.origin.Path)
	if o == a.place || v.to[o] != "" || !v.vacated(o) {
		return
	}
	v.from[a.path], v.to[o] = o, a.path
}

// vacated tells whether the view shows a base object at its own place no more.
// Preconditions: moved directories are known.
func (v *survey) vacated(o string) bool {
	if v.gone[o] {
		return true
	}
	for d := Parent(o); d != Root; d = Parent(d) {
		if v.gone[d] && v.to[d] == "" {
			return true
		}
	}
	return false
}

// hardLinks finds for names that are no moves of their recorded origin whether
// another name of the same inode went away instead.
func (v *survey) hardLinks() error {
	var byInode map[uint64][]string
	for _, a := range v.arrivals {
		o := clean(a.origin.Path)
		if a.dir || o == a.place || v.from[a.path] != "" {
			continue
		}
		if byInode == nil {
			var err error
			if byInode, err = v.goneInodes(); err != nil {
				return err
			}
		}
		if !v.otherName(a, byInode[a.origin.Key.Ino]) {
			v.links[a.path] = v.shown(o)
		}
	}
	return nil
}

func (v *survey) otherName(a arrival, candidates []string) bool {
	for _, g := range candidates {
		if v.to[g] != "" || g == a.place {
			continue
		}
		st, err := v.base.stat(g)
		if err != nil || st == nil || !sameInode(st.Key, a.origin.Key) {
			continue
		}
		v.from[a.path], v.to[g] = g, a.path
		return true
	}
	return false
}

// goneInodes sorts what left its place by inode number.
func (v *survey) goneInodes() (map[uint64][]string, error) {
	m := map[uint64][]string{}
	for g := range v.gone {
		st, err := v.base.stat(g)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", Quote(g), err)
		}
		if st != nil && st.Nlink > 1 {
			m[st.Ino] = append(m[st.Ino], g)
		}
	}
	for _, l := range m {
		slices.Sort(l)
	}
	return m, nil
}

// shown returns where the view shows the object at base path o: at its own
// place, which may have moved with a directory.
func (v *survey) shown(o string) string {
	if to := v.to[o]; to != "" {
		return to
	}
	for d := Parent(o); d != Root; d = Parent(d) {
		if to := v.to[d]; to != "" {
			return to + o[len(d):]
		}
	}
	return o
}

// sameInode compares identities within one base, whose device number may have
// changed with a boot.
func sameInode(a, b layer.Key) bool {
	a.Dev, b.Dev = 0, 0
	return a.Same(b)
}

func isDir(x overlay.Object) bool { return x.Kind() == unix.S_IFDIR }
