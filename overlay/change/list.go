package change

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Options of List.
type Options struct {
	// All lists every path below a .git directory; else each repository is one line.
	All bool
	// Same also lists what the view owns but what equals the base.
	Same bool
	// Cache keeps hashes from one call to the next.
	Cache *Cache
}

// List returns what s has changed, ordered by path. It stops with ctx's error.
func List(ctx context.Context, s *overlay.Snapshot, opts Options) ([]Change, error) {
	b := newBase(s.Base())
	defer b.close()
	v, err := look(ctx, s, b)
	if err != nil {
		return nil, err
	}
	l := &lister{ctx: ctx, s: s, base: b, survey: v, opts: opts}
	if err := l.root(); err != nil {
		return nil, err
	}
	sortChanges(l.out)
	l.regroup()
	if !opts.Same {
		l.out = slices.DeleteFunc(l.out, func(c Change) bool { return c.Op == Same })
	}
	if !opts.All {
		return Collapse(l.out), nil
	}
	return l.out, nil
}

// lister is the second pass: it compares.
type lister struct {
	ctx    context.Context
	s      *overlay.Snapshot
	base   *base
	survey *survey
	opts   Options
	out    []Change
}

func (l *lister) root() error {
	st, err := l.base.stat(Root)
	if err != nil {
		return err
	}
	return l.natural(l.s.Root(), Root, Root, st)
}

func (l *lister) emit(c Change) { l.out = append(l.out, c) }

// inside compares what is in a directory that stands for the base directory at.
func (l *lister) inside(d overlay.Object, path, at string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	dirty, err := d.Dirty()
	if err != nil {
		return fmt.Errorf("changes below %s: %w", Quote(path), err)
	}
	removed := d.Gone()
	gone := make(map[string]loss, len(removed))
	var when int64
	for _, r := range removed {
		if len(gone) == 0 {
			when = lastTouched(d)
		}
		gone[r.Name] = loss{known: !unseen(r.Grave), when: when, grave: r.Grave}
	}
	own := map[string]bool{}
	for _, n := range d.Own() {
		own[n.Name] = true
		at := spot{path: Join(path, n.Name), place: Join(at, n.Name), loss: gone[n.Name]}
		if err := l.arrive(n.Object, at); err != nil {
			return err
		}
	}
	for name, lost := range gone {
		if own[name] || named(dirty, name) {
			continue
		}
		if err := l.vanish(Join(path, name), Join(at, name), lost); err != nil {
			return err
		}
	}
	for _, n := range dirty {
		if err := l.dirty(n.Object, Join(path, n.Name), Join(at, n.Name)); err != nil {
			return err
		}
	}
	return nil
}

// dirty compares an object that is at its own place.
func (l *lister) dirty(x overlay.Object, path, at string) error {
	st, err := l.base.stat(at)
	if err != nil {
		return fmt.Errorf("look at %s: %w", Quote(at), err)
	}
	return l.natural(x, path, at, st)
}

// natural compares an object with the base object that it stands for, at its
// own place, and goes on below it. st is what the base has there, or nil.
func (l *lister) natural(x overlay.Object, path, at string, st *layer.Stat) error {
	c := Change{Op: Same, Path: path, BasePath: at, Place: at, Base: st, Object: x}
	if err := l.against(&c); err != nil {
		return fmt.Errorf("compare %s: %w", Quote(path), err)
	}
	switch {
	case c.Content:
		c.Op = Modified
	case c.Perm || c.Times || c.Xattrs:
		c.Op = Meta
	}
	if isDir(x) && c.Vanished {
		c.Op, c.Note = Modified, "its directory is not in the base any more"
	}
	l.emit(c)
	if !isDir(x) {
		return nil
	}
	return l.inside(x, path, at)
}

// spot is a name at which something arrives.
type spot struct {
	path  string
	place string // "" in a new directory
	loss
}

// loss is what is known of a removal from a base directory.
type loss struct {
	known bool        // the view removed, or never had to, what the base has there
	when  int64       // not before it did; 0: not known
	grave *meta.Grave // what it knew of it; nil: not known
}

// unseen tells whether a whiteout hides what the view had never shown.
func unseen(g *meta.Grave) bool { return g != nil && g.Finger.Ino == 0 }

// arrive compares an entry that the view put under a name.
func (l *lister) arrive(x overlay.Object, at spot) error {
	if o, ok := x.Origin(); ok {
		home, err := l.base.home(x, o, at.place)
		if err != nil {
			return err
		}
		if home {
			return l.dirty(x, at.path, at.place)
		}
	}
	if from := l.survey.from[at.path]; from != "" {
		return l.renamed(x, at, from)
	}
	over, err := l.over(at.place)
	if err != nil {
		return err
	}
	if link := l.survey.links[at.path]; link != "" {
		return l.linked(x, at, over, link)
	}
	if over == nil {
		return l.added(x, at, nil)
	}
	return l.replaced(x, at, over)
}

// over returns what the base has at a place where something arrives, unless it
// is listed as moved away.
func (l *lister) over(place string) (*layer.Stat, error) {
	if place == "" || l.s.Hidden(place) || l.survey.to[place] != "" {
		return nil, nil
	}
	st, err := l.base.stat(place)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", Quote(place), err)
	}
	return st, nil
}

// added lists a new object and what is in it.
func (l *lister) added(x overlay.Object, at spot, c *Change) error {
	if c == nil {
		c = &Change{Op: Added}
	}
	c.Path, c.Place, c.Object, c.Removed, c.Grave = at.path, at.place, x, at.when, at.grave
	c.Content, c.Perm, c.Times, c.Xattrs = true, true, true, true
	if err := l.describe(c); err != nil {
		return err
	}
	l.emit(*c)
	if !isDir(x) {
		return nil
	}
	for _, n := range x.Own() {
		if err := l.arrive(n.Object, spot{path: Join(at.path, n.Name), loss: loss{known: true}}); err != nil {
			return err
		}
	}
	return nil
}

// linked lists one more name of a base object.
func (l *lister) linked(x overlay.Object, at spot, over *layer.Stat, link string) error {
	c := Change{Op: Added, Link: link, Note: "link to " + Quote(link)}
	if over == nil {
		return l.added(x, at, &c)
	}
	c.Op, c.BasePath, c.Base, c.Appeared = Typed, at.place, over, !at.known
	if x.Kind() == over.Mode&unix.S_IFMT {
		c.Op = Modified
	} else if err := l.buried(at, over, &c); err != nil {
		return err
	}
	return l.added(x, at, &c)
}

// replaced compares a new object with the base object whose name it has.
func (l *lister) replaced(x overlay.Object, at spot, over *layer.Stat) error {
	c := Change{
		Op: Same, Path: at.path, BasePath: at.place, Place: at.place,
		Base: over, Object: x, Appeared: !at.known, Removed: at.when, Grave: at.grave,
	}
	if x.Kind() != over.Mode&unix.S_IFMT {
		c.Op = Typed
		if err := l.buried(at, over, &c); err != nil {
			return err
		}
		return l.added(x, at, &c)
	}
	if err := l.against(&c); err != nil {
		return fmt.Errorf("compare %s: %w", Quote(at.path), err)
	}
	switch {
	case c.Content:
		c.Op = Modified
	case c.Perm || c.Xattrs:
		c.Op = Meta
	}
	l.emit(c)
	if !isDir(x) {
		return nil
	}
	return l.madeAnew(x, at)
}

// madeAnew compares a new directory, name by name, with the base directory
// whose name it has.
func (l *lister) madeAnew(x overlay.Object, at spot) error {
	own := map[string]bool{}
	for _, n := range x.Own() {
		own[n.Name] = true
		below := spot{path: Join(at.path, n.Name), place: Join(at.place, n.Name), loss: at.loss}
		below.known = true
		if err := l.arrive(n.Object, below); err != nil {
			return err
		}
	}
	return l.eachBase(at.place, func(name string) error {
		if own[name] {
			return nil
		}
		return l.vanish(Join(at.path, name), Join(at.place, name), at.loss)
	})
}

// renamed lists a base object under another name, and what changed in it.
func (l *lister) renamed(x overlay.Object, at spot, from string) error {
	st, err := l.base.stat(from)
	if err != nil {
		return fmt.Errorf("look at %s: %w", Quote(from), err)
	}
	c := Change{
		Op: Renamed, Path: at.path, From: from, BasePath: from, Place: at.place, Base: st, Object: x,
		Removed: at.when, Grave: at.grave,
	}
	if c.Over, err = l.over(at.place); err != nil {
		return err
	}
	c.Appeared = c.Over != nil && !at.known
	if err := l.against(&c); err != nil {
		return fmt.Errorf("compare %s: %w", Quote(at.path), err)
	}
	if c.Base != nil && !c.IsDir() && !c.Vanished {
		c.Times = c.Attr.Mtime.UnixNano() != c.Base.Mtime
	}
	if c.Over != nil {
		if err := l.buried(at, c.Over, &c); err != nil {
			return err
		}
	}
	l.emit(c)
	if !isDir(x) {
		return nil
	}
	return l.inside(x, at.path, from)
}

// lastTouched is when the names of a directory of the view last changed: no
// name of it can have been taken away later. 0 when that is not known.
func lastTouched(d overlay.Object) int64 {
	a, err := d.Attr()
	if err != nil {
		return 0
	}
	return a.Ctime.UnixNano()
}

// describe fills kind and attributes from the view's object.
func (l *lister) describe(c *Change) error {
	c.Kind = tree.Kind(c.Object.Kind())
	a, err := c.Object.Attr()
	if errors.Is(err, unix.ESTALE) || missing(err) {
		c.Vanished = true
		c.Attr = tree.Attr{Ino: c.Object.Ino, Mode: uint32(c.Kind)}
		return nil
	}
	c.Attr = a
	return err
}
