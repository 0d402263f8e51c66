package overlay

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// otherNames finds another place for base files whose recorded name the commit
// took away and that have more names. It walks the base if there are any.
func (f *fold) otherNames() error {
	lost := map[uint64]*meta.Rec{}
	for _, x := range f.d.Recs {
		r := x.Rec
		if r == nil || r.IsDir() || r.Base == nil || !f.taken(r.Base.Path) || f.still(r.Base, r.Base.Key) {
			continue
		}
		lost[r.Base.Key.Ino] = r
	}
	if len(lost) == 0 {
		return nil
	}
	return f.search(f.o.root.loc.Load(), lost)
}

// taken tells whether the commit may have taken away what a path of the base had.
func (f *fold) taken(p string) bool {
	for ; p != "" && p != "."; p = path.Dir(p) {
		if _, ok := f.at[p]; ok {
			return true
		}
	}
	return false
}

func (f *fold) search(dir *loc, lost map[uint64]*meta.Rec) error {
	var dirs []*loc
	err := f.o.baseNames(dir, func(name string, ino uint64, kind uint32) bool {
		switch r := lost[ino]; {
		case kind == unix.S_IFDIR:
			dirs = append(dirs, &loc{up: dir, name: strings.Clone(name)})
		case r != nil:
			b := &meta.Base{Path: path.Join(dir.path(), name), Key: r.Base.Key}
			if f.still(b, b.Key) {
				r.Base = b
				delete(lost, ino)
			}
		}
		return len(lost) > 0
	})
	if absent(err) != nil {
		return err
	}
	for _, d := range dirs {
		if len(lost) == 0 {
			return nil
		}
		if err := f.search(d, lost); err != nil {
			return err
		}
		f.o.fds.drop(fdKey{dir: d})
	}
	return nil
}

// still tells whether a base object is at its place: a path of the commit is
// then only one more name of it.
func (f *fold) still(b *meta.Base, key layer.Key) bool {
	var st layer.Stat
	return f.o.statPath(b.Path, &st) == nil && f.o.key(st.Key).Same(key)
}
