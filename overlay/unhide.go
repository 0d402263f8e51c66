package overlay

import (
	"path"
	"slices"
	"strings"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// unhide takes a whiteout away, with what the view put in its place, where that shows
// again what the past showed.
func (r *restoring) unhide(src seen, now tree.Dir, name, here string) error {
	if !r.hides(src, now.(*dirNode), name) {
		return nil
	}
	return r.show([]string{here})
}

// unhideAll is unhide for the names of a directory, in one step.
func (r *restoring) unhideAll(was, now tree.Dir, at string, names map[string]bool) error {
	var all []string
	for name := range names {
		if _, w := r.entry(now.(*dirNode), name); w != gone {
			continue
		}
		src, free, err := look(was, name)
		if err != nil {
			return err
		}
		if src.there() && r.hides(src, now.(*dirNode), name) {
			all = append(all, path.Join(at, name))
		}
		free()
	}
	if len(all) == 0 {
		return nil
	}
	return r.show(all)
}

// show drops what the view says of paths. A look at the view may have it frozen for a
// moment.
func (r *restoring) show(paths []string) error {
	r.o.still.Lock()
	defer r.o.still.Unlock()
	return r.o.Discard(paths)
}

func (r *restoring) entry(d *dirNode, name string) (meta.Entry, where) {
	r.o.mu.RLock()
	defer r.o.mu.RUnlock()
	return r.o.entry(d.ino, name)
}

// hides tells whether a whiteout hides what the past showed at a name, as the base has
// it, and nothing of it was moved elsewhere.
func (r *restoring) hides(src seen, d *dirNode, name string) bool {
	at := d.loc.Load()
	if at == nil {
		return false
	}
	place := path.Join(at.path(), name)
	if _, itself := slices.BinarySearch(r.moved, place); itself {
		return false
	}
	if i, _ := slices.BinarySearch(r.moved, place+"/"); i < len(r.moved) && strings.HasPrefix(r.moved[i], place+"/") {
		return false
	}
	var st layer.Stat
	if r.o.statPath(place, &st) != nil {
		return false
	}
	r.past.mu.RLock()
	_, x := r.past.rec(src.Ino)
	same := x == nil || x.Base != nil && x.Own&meta.Moved == 0 && x.Base.Path == place
	same = same && r.past.number(st.Key, &st) == src.Ino
	r.past.mu.RUnlock()
	_, w := r.entry(d, name)
	return same && w == gone
}
