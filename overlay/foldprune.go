package overlay

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

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
		switch was := f.isDir(path.Join(p, name)); {
		case e.Kind == unix.S_IFDIR && !was:
			n++
		case e.Kind != unix.S_IFDIR && was:
			n--
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
