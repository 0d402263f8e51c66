package overlay

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// removeName removes what is at a name, with all in it.
func (r *restoring) removeName(dir tree.Dir, name string) error {
	s, free, err := look(dir, name)
	if err != nil || !s.there() {
		return err
	}
	defer free()
	in, ok := s.Node.(tree.Dir)
	if !ok {
		return dir.Unlink(r.who, name)
	}
	names, err := namesOf(in)
	if err != nil {
		return err
	}
	for name := range names {
		if err := r.removeName(in, name); err != nil {
			return err
		}
	}
	return dir.Rmdir(r.who, name)
}

func namesOf(d tree.Dir) (map[string]bool, error) {
	names := map[string]bool{}
	err := d.ReadDir(0, false, func(e *tree.DirEntry) bool {
		names[e.Name] = true
		return true
	})
	return names, err
}

// object makes what is at a name of a directory of the view, which is at a path, what
// it was.
func (r *restoring) object(src seen, now tree.Dir, at, name string) error {
	if !src.there() {
		return r.removeName(now, name)
	}
	here := path.Join(at, name)
	if err := r.unhide(src, now, name, here); err != nil {
		return err
	}
	dst, free, err := look(now, name)
	if err != nil {
		return err
	}
	defer func() { free() }()
	if dst.there() && !r.fits(src, dst, here) {
		if err := r.removeName(now, name); err != nil {
			return err
		}
		free()
		dst, free = seen{}, func() {}
	}
	if linked, err := r.link(src, dst, now, name, here); linked || err != nil {
		return err
	}
	if !dst.there() {
		if dst, err = r.make(src, now, name); err != nil {
			return err
		}
		n := dst.Node
		free = func() { n.Forget(1) }
	}
	if src.Nlink > 1 && src.Kind() != tree.KindDir {
		r.made[src.Ino] = here
	}
	switch was := src.Node.(type) {
	case tree.Dir:
		return r.dir(was, dst.Node.(tree.Dir), here)
	case tree.File:
		if err := r.content(was, dst.Node.(*fileNode), int64(src.Size)); err != nil {
			return err
		}
	}
	return r.dress(src.Node, dst.Node)
}

// fits tells whether what the view has can become what it was without being replaced.
func (r *restoring) fits(src, dst seen, here string) bool {
	switch {
	case src.Kind() != dst.Kind():
		return false
	case src.Kind() == tree.KindDir:
		return true
	case src.Kind() == tree.KindSymlink:
		was, err := src.Node.(tree.Symlink).Readlink()
		is, err2 := dst.Node.(tree.Symlink).Readlink()
		return err == nil && err2 == nil && bytes.Equal(was, is)
	case src.Kind() != tree.KindRegular && src.Rdev != dst.Rdev:
		return false
	}
	// Other names of it are not meant, unless they are of one file in both.
	return dst.Nlink <= 1 || src.Ino == dst.Ino && src.Nlink == dst.Nlink
}

// link gives a file of the past with several names the name, when another of them is
// in the view by now.
func (r *restoring) link(src, dst seen, now tree.Dir, name, here string) (bool, error) {
	other, ok := r.made[src.Ino]
	if !ok || other == here || src.Kind() == tree.KindDir {
		return false, nil
	}
	n, free, err := r.find(other)
	if err != nil || n == nil {
		return false, err
	}
	defer free()
	if dst.there() {
		if dst.Node == n {
			return true, nil
		}
		if err := now.Unlink(r.who, name); err != nil {
			return false, err
		}
	}
	var e tree.Entry
	l, err := now.Link(r.who, n, name, &e)
	if err != nil {
		return false, err
	}
	l.Forget(1)
	return true, nil
}

// find looks up a path of the view.
func (r *restoring) find(p string) (tree.Node, func(), error) {
	dir, rest := tree.Dir(r.o.root), p
	release := func() {}
	for {
		name, more, deeper := cut(rest)
		s, free, err := look(dir, name)
		release()
		if err != nil || !s.there() {
			return nil, func() {}, err
		}
		next, ok := s.Node.(tree.Dir)
		if !deeper || !ok {
			return s.Node, free, nil
		}
		dir, rest, release = next, more, free
	}
}

func (r *restoring) make(src seen, now tree.Dir, name string) (seen, error) {
	var e tree.Entry
	var n tree.Node
	var err error
	switch was := src.Node.(type) {
	case tree.Dir:
		n, err = now.Mkdir(r.who, name, src.Mode&^unix.S_IFMT, &e)
	case tree.Symlink:
		var target []byte
		if target, err = was.Readlink(); err == nil {
			n, err = now.Symlink(r.who, name, string(target), &e)
		}
	default:
		n, err = now.Mknod(r.who, name, src.Mode, src.Rdev, &e)
	}
	return seen{n, e.Attr}, err
}

// dir makes a directory of the view what one of the past was.
func (r *restoring) dir(was, now tree.Dir, at string) error {
	if r.untouched(was, now) {
		return nil
	}
	then, err := namesOf(was)
	if err != nil {
		return err
	}
	is, err := namesOf(now)
	if err != nil {
		return err
	}
	for name := range is {
		if then[name] {
			continue
		}
		if err := r.removeName(now, name); err != nil {
			return fmt.Errorf("%s: %w", path.Join(at, name), err)
		}
	}
	if err := r.unhideAll(was, now, at, then); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(then)) {
		src, free, err := look(was, name)
		if err == nil {
			err = r.object(src, now, at, name)
			free()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path.Join(at, name), err)
		}
	}
	return r.dress(was, now)
}

// untouched tells whether a directory is the base's in both, with all below it:
// whatever is changed has the directories above it recorded.
func (r *restoring) untouched(was, now tree.Dir) bool {
	a, b := was.(*dirNode), now.(*dirNode)
	return a.ino == b.ino && a.untouched() && b.untouched()
}

func (d *dirNode) untouched() bool {
	d.o.mu.RLock()
	defer d.o.mu.RUnlock()
	_, x := d.o.rec(d.ino)
	return x == nil
}
