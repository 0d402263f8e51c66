package commit

import (
	"bytes"
	"strings"

	"astrid/fs/tree"
	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// repository is the changes at and below one .git directory. They are committed
// together or not at all.
type repository struct {
	path   string // of the .git directory, in the view
	items  []*item
	wanted bool
	// locked is a lock file of git in the view.
	locked string
	// first is when the earliest object of the view below it was made.
	first int64
	// staged says that the index of the workspace has the entries that it had when
	// the view began to change the repository, whatever its bytes are.
	staged bool
}

// repositories ties the changes of each repository together.
func (s *selection) repositories() {
	for _, it := range s.items {
		p := change.Repository(it.c.Path)
		if p == "" || p == it.c.Path && !it.c.IsDir() {
			continue
		}
		u := s.units[p]
		if u == nil {
			u = &repository{path: p}
			s.units[p] = u
		}
		u.add(it)
	}
	for _, it := range s.items {
		if from := change.Repository(it.c.BasePath); from != "" && it.c.Op == change.Renamed {
			s.movesOut(it, from)
		}
	}
}

// movesOut ties what is moved out of a repository to the removal of the
// repository.
func (s *selection) movesOut(it *item, from string) {
	for _, u := range s.units {
		for _, other := range u.items {
			if other.c.Op == change.Deleted && other.c.BasePath == from && other.unit != it.unit {
				other.needs = append(other.needs, it)
			}
		}
	}
}

func (u *repository) add(it *item) {
	it.unit = u
	if len(u.items) > 0 {
		first := u.items[0]
		it.needs = append(it.needs, first)
		first.needs = append(first.needs, it)
	}
	u.items = append(u.items, it)
	c := it.c
	if c.Op == change.Deleted {
		return
	}
	if c.Op == change.Added && c.Kind == tree.KindRegular && strings.HasSuffix(c.Path, ".lock") {
		u.locked = c.Path
	}
	if _, stands := c.Origin(); !stands && !c.Attr.Btime.IsZero() {
		if t := c.Attr.Btime.UnixNano(); u.first == 0 || t < u.first {
			u.first = t
		}
	}
}

// index is the path of the index of a repository.
func (u *repository) index(at string) string { return change.Join(at, "index") }

// compareIndex finds out whether the workspace stages what it did when the view
// began to change the repository.
func (s *selection) compareIndex(d *disk, u *repository) error {
	var dir *change.Change
	for _, c := range s.same {
		if c.Path == u.path {
			dir = c
		}
	}
	for _, it := range u.items {
		if it.c.Path == u.path {
			dir = it.c
		}
	}
	at := u.place()
	if dir == nil || at == "" {
		return nil
	}
	was, kept, err := dir.Object.Ancestor()
	if err != nil || !kept {
		return err
	}
	fd, err := d.at(at)
	if err != nil {
		return err
	}
	now, ok := overlay.Staged(fd, "index")
	u.staged = ok && bytes.Equal(was, now)
	return nil
}

// watched are the names in a .git directory which tell whether git did
// something in it.
func watched() []string {
	return []string{"HEAD", "index", "packed-refs", "ORIG_HEAD", "MERGE_HEAD", "refs"}
}

// moved returns what in the workspace's own copy of the repository says that
// git is at work there, or was since the view began to change it.
func (u *repository) moved(d *disk) ([]Conflict, error) {
	at := u.place()
	if at == "" {
		return nil, nil
	}
	var out []Conflict
	look := func(p string, st *layer.Stat) {
		switch {
		case strings.HasSuffix(p, ".lock"):
			out = append(out, Conflict{p, "git is at work in the workspace"})
		case u.staged && p == u.index(at):
		case u.first != 0 && st.Ctime > u.first && !isDir(st):
			out = append(out, Conflict{p, "git changed it in the workspace after the view changed the repository"})
		}
	}
	names, err := d.names(at)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if p := change.Join(at, name); strings.HasSuffix(name, ".lock") {
			look(p, &layer.Stat{})
		}
	}
	for _, name := range watched() {
		p := change.Join(at, name)
		st, err := d.stat(p)
		if err != nil {
			return nil, err
		}
		if st == nil {
			continue
		}
		look(p, st)
		if !isDir(st) {
			continue
		}
		err = d.walk(p, func(p string, st *layer.Stat) (bool, error) { look(p, st); return false, nil })
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// place is where the repository is in the workspace, "" when it is not there.
func (u *repository) place() string {
	for _, it := range u.items {
		c := it.c
		if c.Path == u.path && c.Op == change.Added {
			return ""
		}
		if c.Path == u.path && c.Op == change.Renamed {
			return c.From
		}
		if c.Place == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(c.Path, u.path); ok && strings.HasSuffix(c.Place, rest) {
			return strings.TrimSuffix(c.Place, rest)
		}
	}
	return ""
}
