package commit

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// verify returns what in the workspace would be lost, or stands in the way.
func (r *reversal) verify() ([]Conflict, error) {
	for i := range r.old.Steps {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		s := &r.old.Steps[i]
		var err error
		switch {
		case s.Do == doLink:
		case !r.staged(s.To):
			err = r.verifyThere(r.now[i], s.Obj, r.passing[i])
		default:
			err = r.verifyRoom(s)
		}
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", change.Quote(string(s.To)), err)
		}
	}
	for _, m := range r.metas {
		if err := r.verifyMeta(m); err != nil {
			return nil, fmt.Errorf("look at %s: %w", change.Quote(string(m.Path)), err)
		}
	}
	slices.SortFunc(r.list, func(a, b Conflict) int { return change.Compare(a.Path, b.Path) })
	return slices.CompactFunc(r.list, func(a, b Conflict) bool { return a.Path == b.Path }), nil
}

// after is what the old operation left of an object that a step brought to a place.
func (r *reversal) after(id ident) ident {
	if m := r.metas[id.Key]; m != nil && m.Times {
		id.Mtime = m.After.Mtime
	}
	return id
}

// verifyThere looks at what the old step brought, which is to leave: for good, or
// with all that is in it by now to the place that it came from.
func (r *reversal) verifyThere(p Path, obj ident, passing bool) error {
	st, err := r.d.stat(string(p))
	if err != nil {
		return err
	}
	switch rec, known := r.done[p]; {
	case st == nil:
		r.conflict(p, "it was removed from the workspace since")
	case r.restaged(p, st):
	case !r.after(obj).is(st), known && !rec.stands(st):
		r.conflict(p, "it was changed in the workspace since")
	case isDir(st) && !passing:
		return r.verifyTree(string(p))
	}
	return nil
}

// verifyTree looks at everything in a directory that is to leave as one.
func (r *reversal) verifyTree(dir string) error {
	return r.d.walk(dir, func(p string, st *layer.Stat) (bool, error) {
		if r.leaving[p] {
			return true, nil // looked at by itself
		}
		switch rec, known := r.done[Path(p)]; {
		case !known || rec.Ino == 0:
			r.conflict(Path(p), "it was made in the workspace since")
			return true, nil
		case !rec.stands(st) && !r.restaged(Path(p), st):
			r.conflict(Path(p), "it was changed in the workspace since")
			return true, nil
		}
		return false, r.ctx.Err()
	})
}

// verifyRoom looks whether what the old step took away can have its place again.
func (r *reversal) verifyRoom(s *step) error {
	dir, key, known := r.placeOf(Path(change.Parent(string(s.From))))
	if !known {
		return nil // it comes back with the directory that it was in
	}
	up, err := r.d.stat(string(dir))
	if err != nil {
		return err
	}
	if up == nil || !isDir(up) || !sameInode(up.Key, key) {
		r.conflict(s.From, "its directory was removed or replaced in the workspace since")
		return nil
	}
	p := change.Join(string(dir), change.Base(string(s.From)))
	st, err := r.d.stat(p)
	if err == nil && st != nil && !r.leaving[p] {
		r.conflict(Path(p), "something appeared there in the workspace since")
	}
	return err
}

// placeOf is where a directory is now that was at a path before the old
// operation; false when it is not in the workspace.
func (r *reversal) placeOf(before Path) (Path, layer.Key, bool) {
	for _, t := range r.old.Times {
		if t.Base == before {
			return t.Path, t.Key, t.Path != ""
		}
	}
	return "", layer.Key{}, false
}

// verifyMeta looks whether an object has the attributes that it was given.
func (r *reversal) verifyMeta(m *metaStep) error {
	fd, err := r.d.open(string(m.Path), unix.O_PATH)
	if missing(err) {
		r.conflict(m.Path, "it was removed from the workspace since")
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st layer.Stat
	if err := layer.Statx(fd, "", &st); err != nil {
		return err
	}
	same := sameInode(st.Key, m.Key) && (!m.Times || st.Mtime == m.After.Mtime)
	if m.Perm && (st.Mode&^unix.S_IFMT != m.After.Mode || st.UID != m.After.UID || st.GID != m.After.GID) {
		same = false
	}
	if same && m.Xattrs {
		have, err := layer.Xattrs(fd, "")
		if err != nil {
			return err
		}
		same = equalXattrs(have, m.After.Xattrs)
	}
	if !same {
		r.conflict(m.Path, "it was changed in the workspace since")
	}
	return nil
}

func equalXattrs(have map[string][]byte, want map[Path][]byte) bool {
	if len(have) != len(want) {
		return false
	}
	for k, v := range want {
		if h, ok := have[string(k)]; !ok || string(h) != string(v) {
			return false
		}
	}
	return true
}
