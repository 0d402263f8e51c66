package overlay

import (
	"path"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// findSplit finds the files of which the commit took some names and not all, or
// of which the base still has a name that the view removed. The view has still
// to say how many names there are. The path is the one that stays bound.
func (f *fold) findSplit() error {
	left, err := f.namesLeft()
	if err != nil {
		return err
	}
	f.split = map[uint64]string{}
	more := map[layer.Key]uint64{}
	for _, x := range f.at {
		r := f.d.Recs[x.Ino].Rec
		if x.Ino == 0 || r == nil || r.IsDir() {
			continue
		}
		if left[x.Ino] > 0 {
			f.splitAt(x, r)
		}
		var st layer.Stat
		if r.Base != nil && f.o.statPath(x.Path, &st) == nil && int32(st.Nlink) != r.Nlink {
			more[f.o.key(st.Key)] = x.Ino
		}
	}
	return f.namesInBase(more)
}

// splitAt chooses the path that stays bound: the one of before, else the first.
func (f *fold) splitAt(x Done, r *meta.Rec) {
	home := f.split[x.Ino]
	was := r.Base != nil && r.Own&meta.Moved == 0 && r.Base.Path == x.Path
	if home == "" || was || x.Path < home && !(r.Base != nil && r.Base.Path == home) {
		f.split[x.Ino] = x.Path
	}
}

// namesLeft counts the names that the layers give each object and the commit did
// not take.
func (f *fold) namesLeft() (map[uint64]int, error) {
	left := map[uint64]int{}
	for _, d := range f.d.Dirs {
		for _, e := range d.Own {
			left[e.Ino]++
		}
	}
	for _, x := range f.at {
		if x.Ino == 0 {
			continue
		}
		dir, err := f.dir(path.Dir(x.Path))
		if err != nil {
			return nil, err
		}
		if d := f.d.Dirs[dir]; d != nil && d.Own[path.Base(x.Path)].Ino == x.Ino {
			left[x.Ino]--
		}
	}
	return left, nil
}

// namesInBase finds which of the files have a name in the base that the view
// hides and the commit left there. Pre-images are names too, but not there.
func (f *fold) namesInBase(more map[layer.Key]uint64) error {
	if len(more) == 0 {
		return nil
	}
	for dir, d := range f.d.Dirs {
		at := ""
		if dir != f.o.root.ino {
			r := f.d.Recs[dir].Rec
			if r == nil || r.Base == nil {
				continue
			}
			at = r.Base.Path
		}
		for name := range d.Gone {
			p := path.Join(at, name)
			var st layer.Stat
			if _, done := f.at[p]; done || f.o.statPath(p, &st) != nil {
				continue
			}
			if ino := more[f.o.key(st.Key)]; ino != 0 {
				f.splitAll(ino)
			}
		}
	}
	return nil
}

// splitAll makes an object one that is split.
func (f *fold) splitAll(ino uint64) {
	for _, x := range f.at {
		if x.Ino == ino {
			f.splitAt(x, f.d.Recs[ino].Rec)
		}
	}
}
