package change

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"astrid/fs/tree"
	"astrid/overlay"
)

// Difference is how one state of a tree differs from another: two checkpoints for
// instance, or a checkpoint and the view.
type Difference struct {
	list  []Change
	sides *sides
}

// Between compares two states of the same session. What is an object of the base,
// untouched in both, is not looked into.
func Between(ctx context.Context, from, to *overlay.Snapshot) (*Difference, error) {
	if err := errors.Join(from.Prepare(), to.Prepare()); err != nil {
		return nil, err
	}
	x := &sides{ctx: ctx, old: map[string]*side{}, new: map[string]*side{}, from: map[string]string{}}
	b := &between{ctx: ctx, d: &Difference{sides: x}, left: map[uint64]string{}}
	if err := b.dir(from.Root(), to.Root(), Root); err != nil {
		return nil, err
	}
	b.renames()
	sortChanges(b.d.list)
	return b.d, nil
}

// List returns the differences ordered by path: a D has no attributes, and of an R
// From is the old path.
func (d *Difference) List() []Change { return d.list }

// Filter leaves out what m does not match; nil matches all.
func (d *Difference) Filter(m *Match) {
	if m == nil {
		return
	}
	keep := map[string]bool{}
	d.list = Filter(d.list, m)
	for i := range d.list {
		keep[d.list[i].Path] = true
		keep[d.list[i].From] = true
	}
	drop := func(p string, _ *side) bool { return !keep[p] }
	maps.DeleteFunc(d.sides.old, drop)
	maps.DeleteFunc(d.sides.new, drop)
}

// Patch writes them as Patch does the changes of a view.
func (d *Difference) Patch(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriterSize(w, bufSize)
	for _, f := range d.sides.files() {
		if err := f.write(ctx, out); err != nil {
			return fmt.Errorf("patch of %s: %w", Quote(f.path()), err)
		}
	}
	return out.Flush()
}

// Stat counts lines, by path.
func (d *Difference) Stat(ctx context.Context) (map[string]Lines, error) {
	return d.sides.stat(ctx)
}

// between is one comparison under way.
type between struct {
	ctx  context.Context
	d    *Difference
	left map[uint64]string // files that one side does not have at a path, by number
}

// dir compares two directories.
func (b *between) dir(was, is overlay.Object, p string) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	if was.Ino == is.Ino && was.Untouched() && is.Untouched() {
		return nil
	}
	old, err := children(was)
	if err != nil {
		return err
	}
	mine, err := children(is)
	if err != nil {
		return err
	}
	for name, x := range old {
		y, stays := mine[name]
		at := Join(p, name)
		if !stays {
			err = b.gone(x, at)
		} else {
			err = b.pair(x, y, at)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", Quote(at), err)
		}
	}
	for name, y := range mine {
		if _, was := old[name]; was {
			continue
		}
		if err := b.came(y, Join(p, name)); err != nil {
			return fmt.Errorf("%s: %w", Quote(Join(p, name)), err)
		}
	}
	return b.attrs(was, is, p, false)
}

func children(x overlay.Object) (map[string]overlay.Object, error) {
	l, err := x.List()
	m := make(map[string]overlay.Object, len(l))
	for _, n := range l {
		m[n.Name] = n.Object
	}
	return m, err
}

// pair compares what both have at a path.
func (b *between) pair(x, y overlay.Object, p string) error {
	switch {
	case x.Kind() != y.Kind():
		if err := b.gone(x, p); err != nil {
			return err
		}
		return b.came(y, p)
	case tree.Kind(x.Kind()) == tree.KindDir:
		return b.dir(x, y, p)
	case x.Ino == y.Ino && x.Untouched() && y.Untouched():
		return nil
	}
	same, err := b.same(x, y)
	if err != nil {
		return err
	}
	return b.attrs(x, y, p, !same)
}

// same compares contents.
func (b *between) same(x, y overlay.Object) (bool, error) {
	switch tree.Kind(x.Kind()) {
	case tree.KindSymlink:
		was, err := x.Readlink()
		if err != nil {
			return false, err
		}
		is, err := y.Readlink()
		return was == is, err
	case tree.KindRegular:
		return sameBytes(b.ctx, x, y)
	}
	return true, nil
}

func sameBytes(ctx context.Context, x, y overlay.Object) (bool, error) {
	f, err := x.Open()
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := y.Open()
	if err != nil {
		return false, err
	}
	defer g.Close()
	if f.Size() != g.Size() {
		return false, nil
	}
	p, q := make([]byte, bufSize), make([]byte, bufSize)
	for off := int64(0); off < f.Size(); {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, err := f.ReadAt(p, off)
		if n == 0 {
			return false, err
		}
		m, err := g.ReadAt(q[:n], off)
		if m != n {
			return false, err
		}
		if !bytes.Equal(p[:n], q[:n]) {
			return false, nil
		}
		off += int64(n)
	}
	return true, nil
}

// attrs notes a modified object, or one of which only attributes differ.
func (b *between) attrs(x, y overlay.Object, p string, content bool) error {
	was, err := x.Attr()
	if err != nil {
		return err
	}
	is, err := y.Attr()
	if err != nil {
		return err
	}
	c := Change{Op: Modified, Path: p, Kind: tree.Kind(y.Kind()), Attr: is, Object: y, Content: content}
	if !content {
		xattrs, err := sameXattrs(x, y)
		if err != nil {
			return err
		}
		if c.Op = Meta; was.Mode == is.Mode && was.UID == is.UID && was.GID == is.GID && xattrs {
			return nil
		}
	}
	b.d.list = append(b.d.list, c)
	if old, mine := sideOf(x, &was), sideOf(y, &is); old != nil && mine != nil && !InGit(p) {
		b.d.sides.old[p], b.d.sides.new[p] = old, mine
	}
	return nil
}

func sameXattrs(x, y overlay.Object) (bool, error) {
	was, err := x.Xattrs()
	if err != nil {
		return false, err
	}
	is, err := y.Xattrs()
	return maps.EqualFunc(was, is, bytes.Equal), err
}

// gone notes what is not there any more, with all below it.
func (b *between) gone(x overlay.Object, p string) error {
	a, err := x.Attr()
	if err != nil {
		return err
	}
	b.d.list = append(b.d.list, Change{Op: Deleted, Path: p, BasePath: p, Kind: tree.Kind(x.Kind())})
	if s := sideOf(x, &a); s != nil && !InGit(p) {
		b.d.sides.old[p] = s
		b.left[x.Ino] = p
	}
	return b.all(x, p, b.gone)
}

// came notes what is new, with all below it.
func (b *between) came(y overlay.Object, p string) error {
	a, err := y.Attr()
	if err != nil {
		return err
	}
	b.d.list = append(b.d.list, Change{Op: Added, Path: p, Kind: tree.Kind(y.Kind()), Attr: a, Object: y, Content: true})
	if s := sideOf(y, &a); s != nil && !InGit(p) {
		b.d.sides.new[p] = s
	}
	return b.all(y, p, b.came)
}

func (b *between) all(x overlay.Object, p string, fn func(overlay.Object, string) error) error {
	if tree.Kind(x.Kind()) != tree.KindDir {
		return nil
	}
	l, err := x.List()
	if err != nil {
		return err
	}
	for _, n := range l {
		if err := fn(n.Object, Join(p, n.Name)); err != nil {
			return err
		}
	}
	return b.ctx.Err()
}

// renames makes one of a file that left one path and came to another.
func (b *between) renames() {
	dropped := map[string]bool{}
	for i := range b.d.list {
		c := &b.d.list[i]
		if c.Op != Added || c.IsDir() {
			continue
		}
		from, ok := b.left[c.Object.Ino]
		if !ok || dropped[from] || b.d.sides.new[from] != nil || b.d.sides.old[c.Path] != nil {
			continue
		}
		dropped[from] = true
		c.Op, c.From = Renamed, from
		b.d.sides.from[c.Path] = from
	}
	kept := b.d.list[:0]
	for _, c := range b.d.list {
		if c.Op != Deleted || !dropped[c.Path] {
			kept = append(kept, c)
		}
	}
	b.d.list = kept
}

// sideOf is an object as a patch has it; nil for what git does not keep.
func sideOf(x overlay.Object, a *tree.Attr) *side {
	mode := gitMode(a.Mode)
	if mode == 0 {
		return nil
	}
	s := &side{mode: mode, size: int64(a.Size)}
	s.open = func() (io.ReadCloser, error) { return openObject(x) }
	if mode == gitSymlink {
		s.open = func() (io.ReadCloser, error) {
			target, err := x.Readlink()
			return io.NopCloser(bytes.NewReader([]byte(target))), err
		}
	}
	return s
}

// openObject reads a file of a snapshot from its beginning.
func openObject(o overlay.Object) (io.ReadCloser, error) {
	f, err := o.Open()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, 0, f.Size()), f}, nil
}
