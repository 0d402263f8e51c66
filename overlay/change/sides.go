package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay"
	"astrid/overlay/layer"
)

// Modes of git.
const (
	gitFile    = 0o100644
	gitExec    = 0o100755
	gitSymlink = 0o120000
)

// side is one version of a file or symbolic link in a patch.
type side struct {
	mode uint32 // git's
	size int64
	open func() (io.ReadCloser, error)
	// same is the path in the base when these are the untouched bytes from there.
	same string
}

// gitMode returns 0 for what git does not keep.
func gitMode(mode uint32) uint32 {
	switch mode & tree.KindMask {
	case unix.S_IFREG:
		if mode&0o100 != 0 {
			return gitExec
		}
		return gitFile
	case unix.S_IFLNK:
		return gitSymlink
	}
	return 0
}

// sides has the files of a patch by path: as they are in the base, and as they
// are in the view.
type sides struct {
	ctx  context.Context
	base *base
	old  map[string]*side
	new  map[string]*side
	// from proposes renames: path in the view → path in the base.
	from map[string]string
	// moved has the base paths that a change of their own speaks of.
	moved map[string]bool
	root  int
	// hidden tells what no plan touches.
	hidden func(string) bool
}

func newSides(ctx context.Context, s *overlay.Snapshot, b *base, list []Change) (*sides, error) {
	x := &sides{
		ctx: ctx, base: b, root: s.Base(), hidden: s.Hidden,
		old: map[string]*side{}, new: map[string]*side{}, from: map[string]string{}, moved: map[string]bool{},
	}
	for i := range list {
		if c := &list[i]; c.Op != Added && c.BasePath != "" && (c.Op == Renamed || !c.IsDir()) {
			x.moved[c.BasePath] = true
		}
	}
	for i := range list {
		if err := x.change(&list[i]); err != nil {
			return nil, fmt.Errorf("patch of %s: %w", Quote(list[i].Path), err)
		}
	}
	return x, nil
}

func (x *sides) change(c *Change) error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	if c.Over != nil {
		x.putOld(c.Place, c.Over)
	}
	if c.Op == Renamed && c.IsDir() {
		return x.tree(c.From, c.Path)
	}
	if c.Base != nil && c.Op != Added {
		x.putOld(c.BasePath, c.Base)
	}
	if c.Op == Deleted || c.IsDir() {
		return nil
	}
	if c.Base != nil && c.BasePath != c.Path {
		x.from[c.Path] = c.BasePath
	}
	return x.putNew(c)
}

func (x *sides) putOld(p string, st *layer.Stat) {
	mode := gitMode(st.Mode)
	if mode == 0 || InGit(p) {
		return
	}
	x.old[p] = x.baseSide(p, mode, st.Size)
}

func (x *sides) baseSide(p string, mode uint32, size int64) *side {
	s := &side{mode: mode, size: size, same: p}
	s.open = func() (io.ReadCloser, error) { return openBase(x.root, p) }
	if mode == gitSymlink {
		s.open = func() (io.ReadCloser, error) {
			target, err := x.base.readlink(p)
			return io.NopCloser(bytes.NewReader([]byte(target))), err
		}
	}
	return s
}

func openBase(root int, p string) (io.ReadCloser, error) {
	fd, err := layer.OpenPath(root, p, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), p), nil
}

func (x *sides) putNew(c *Change) error {
	mode := gitMode(c.Attr.Mode)
	if mode == 0 || InGit(c.Path) {
		return nil
	}
	s := &side{mode: mode, size: int64(c.Attr.Size)}
	x.new[c.Path] = s
	if mode == gitSymlink {
		target, err := c.Object.Readlink()
		s.size = int64(len(target))
		s.open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(target))), nil }
		return err
	}
	if !c.Content && c.Base != nil {
		s.same, s.size = c.BasePath, c.Base.Size
		s.open = func() (io.ReadCloser, error) { return openBase(x.root, c.BasePath) }
		return nil
	}
	o := c.Object
	s.open = func() (io.ReadCloser, error) { return openObject(o) }
	return nil
}

// tree adds the files of a moved base directory that nothing else is said of.
func (x *sides) tree(from, to string) error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	names, err := x.base.names(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		p, q := Join(from, name), Join(to, name)
		if x.moved[p] || x.hidden(p) {
			continue
		}
		st, err := x.base.stat(p)
		if err != nil {
			return err
		}
		if st == nil {
			continue
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			if err := x.tree(p, q); err != nil {
				return err
			}
			continue
		}
		x.untouched(p, q, st)
	}
	return nil
}

func (x *sides) untouched(from, to string, st *layer.Stat) {
	mode := gitMode(st.Mode)
	if mode == 0 {
		return
	}
	x.putOld(from, st)
	if !InGit(to) {
		x.new[to] = x.baseSide(from, mode, st.Size)
		x.from[to] = from
	}
}

// errMoved says that a file changed between two looks at it.
var errMoved = errors.New("it changed while it was read")
