package overlay

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// past is what a checkpoint says against the base as it is now.
type past struct {
	*meta.Draft
	moved []map[string]string // where operations since took what was in the base, in order
	logs  []*meta.Layer       // to be closed when the Draft is not needed any more
}

func (p *past) close() { meta.CloseStack(p.logs) }

// now is the path in the base of now of what was at a path of then.
func (p *past) now(at string) string {
	for _, m := range p.moved {
		at = carried(m, at)
	}
	return at
}

func carried(moved map[string]string, at string) string {
	for q := at; q != "" && q != "."; q = path.Dir(q) {
		if to, ok := moved[q]; ok {
			return to + strings.TrimPrefix(at, q)
		}
	}
	return at
}

// recall reads what a checkpoint says: its own log and, beneath, what each operation
// since, of the folded ones, replaced. Preconditions: no operation is under way.
func (o *Overlay) recall(c Checkpoint, folded uint64) (*past, error) {
	top, err := meta.LoadAt(o.dir, c.Epoch, c.End)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", c.Name, err)
	}
	p := &past{Draft: meta.Sum(top), logs: []*meta.Layer{top}}
	touched, replaced := map[uint64]bool{}, map[uint64]bool{}
	numbers, err := meta.Pres(o.dir)
	slices.Sort(numbers)
	for _, n := range numbers {
		if err != nil || n <= c.Folded || n > folded {
			continue
		}
		var pre *meta.Layer
		if pre, err = meta.LoadPre(o.dir, n); err == nil {
			p.under(pre, replaced)
			for dir := range pre.Dirs {
				touched[dir] = true
			}
		}
	}
	if err == nil {
		p.sweep(replaced, top.Recs)
		maps.Copy(touched, replaced)
		err = p.recount(o, touched)
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("read checkpoint %s: %w", c.Name, err)
	}
	p.LastFold = folded
	return p, nil
}

// sweep drops of what was replaced that of which the checkpoint shows no name. A file
// of the base that the view had changed may have names there alone.
func (p *past) sweep(replaced map[uint64]bool, changed map[uint64]*meta.Rec) {
	names := map[uint64]int{}
	for _, d := range p.Dirs {
		for _, e := range d.Own {
			names[e.Ino]++
		}
	}
	var drop func(ino uint64)
	drop = func(ino uint64) {
		x := p.Recs[ino].Rec
		if !replaced[ino] || names[ino] > 0 || x == nil || x.Base != nil && (x.Base.Path == "" || changed[ino] != nil) {
			return
		}
		delete(p.Recs, ino)
		maps.DeleteFunc(p.Aliases, func(_ layer.Key, is uint64) bool { return is == ino && x.Base == nil })
		d := p.Dirs[ino]
		delete(p.Dirs, ino)
		if d == nil {
			return
		}
		for _, e := range d.Own {
			names[e.Ino]--
			drop(e.Ino)
		}
	}
	for ino := range replaced {
		drop(ino)
	}
}

// under puts what an operation replaced beneath what is there, and notes of what it
// was.
func (p *past) under(pre *meta.Layer, replaced map[uint64]bool) {
	p.logs = append(p.logs, pre)
	p.moved = append(p.moved, pre.Moved)
	upper, low := p.Draft, meta.Sum(pre)
	renumber(low, numbers(upper))
	p.Draft = &meta.Draft{Recs: map[uint64]meta.Source{}, Dirs: map[uint64]*meta.Delta{}, Aliases: map[layer.Key]uint64{}}
	maps.Copy(p.Recs, low.Recs)
	for ino := range low.Recs {
		replaced[ino] = true
	}
	for ino, x := range upper.Recs {
		if x.Base != nil {
			x.Base = &meta.Base{Path: carried(pre.Moved, x.Base.Path), Key: x.Base.Key}
		}
		if was, ok := low.Recs[ino]; ok {
			x = settled(x, was)
		}
		p.Recs[ino] = x
	}
	p.deltas(low, upper)
	maps.Copy(p.Aliases, low.Aliases)
	maps.Copy(p.Aliases, upper.Aliases)
	maps.DeleteFunc(p.Aliases, func(_ layer.Key, ino uint64) bool { r := p.Recs[ino].Rec; return r != nil && r.Base == nil })
	p.NextIno, p.NextData = max(low.NextIno, upper.NextIno), max(low.NextData, upper.NextData)
	p.Birth, p.Sealed = max(low.Birth, upper.Birth), max(low.Sealed, upper.Sealed)
	p.Keep(p.logs...)
}

// numbers says by which numbers a draft calls base objects.
func numbers(d *meta.Draft) map[layer.Key]uint64 {
	m := maps.Clone(d.Aliases)
	for ino, x := range d.Recs {
		if x.Base != nil {
			m[x.Base.Key] = ino
		}
	}
	return m
}

// renumber makes a draft of what was replaced call base objects by other numbers: the
// view may have come to call them by others since the checkpoint.
func renumber(d *meta.Draft, by map[layer.Key]uint64) {
	to := map[uint64]uint64{}
	for key, ino := range numbers(d) {
		if other, ok := by[key]; ok && other != ino {
			to[ino] = other
			if _, aliased := d.Aliases[key]; aliased {
				d.Aliases[key] = other
			}
		}
	}
	if len(to) == 0 {
		return
	}
	recs, dirs := map[uint64]meta.Source{}, map[uint64]*meta.Delta{}
	number := func(ino uint64) uint64 {
		if other, ok := to[ino]; ok {
			return other
		}
		return ino
	}
	for ino, x := range d.Recs {
		x.Ino = number(ino)
		recs[x.Ino] = x
	}
	for ino, delta := range d.Dirs {
		for name, e := range delta.Own {
			e.Ino = number(e.Ino)
			delta.Own[name] = e
		}
		dirs[number(ino)] = delta
	}
	d.Recs, d.Dirs = recs, dirs
}

// settled is a record of the upper layer for an object of which the operation
// replaced, moved or changed what the base had.
func settled(x, was meta.Source) meta.Source {
	own := x.Own
	if own&meta.OwnPerm == 0 && was.Own&meta.OwnPerm != 0 {
		x.Mode, x.UID, x.GID = was.Mode, was.UID, was.GID
	}
	if own&meta.OwnTimes == 0 && was.Own&meta.OwnTimes != 0 {
		x.Atime, x.Mtime, x.Ctime = was.Atime, was.Mtime, was.Ctime
	}
	if own&meta.OwnXattrs == 0 && was.Own&meta.OwnXattrs != 0 {
		x.Rec.Xattrs = was.Rec.Xattrs
	}
	if was.Base != nil {
		x.Own |= was.Own
		if x.Base != nil {
			x.Base = was.Base
		}
		return x
	}
	if x.Base == nil {
		return x
	}
	if x.Kind == unix.S_IFREG && x.Where == meta.Below {
		x.Where, x.DataID, x.Epoch = was.Where, was.DataID, was.Epoch
		x.Size, x.Bytes, x.Slice, x.In = was.Size, was.Bytes, was.Slice, was.In
	}
	if own&meta.OwnContent == 0 {
		x.Target, x.Rdev = was.Target, was.Rdev
	}
	x.Base, x.Copied, x.HasHash = nil, false, false
	x.Own = meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs | meta.OwnContent
	return x
}

// deltas adds those of the upper layer to those of what was replaced. Of a name that
// something new has in the base, the whiteout is that of the new.
func (p *past) deltas(low, upper *meta.Draft) {
	for dir, d := range low.Dirs {
		p.Dirs[dir] = d
	}
	for dir, d := range upper.Dirs {
		under := p.Delta(dir)
		fresh := maps.Clone(under.Gone)
		under.Add(d)
		maps.Copy(under.Gone, fresh)
		if len(under.Own) == 0 && len(under.Gone) == 0 {
			delete(p.Dirs, dir)
		}
	}
	for dir, d := range p.Dirs {
		if x := p.Recs[dir].Rec; x != nil && x.Base == nil {
			clear(d.Gone)
		}
	}
}

// recount counts the links of directories anew.
func (p *past) recount(o *Overlay, dirs map[uint64]bool) error {
	for ino := range dirs {
		x, d := p.Recs[ino].Rec, p.Dirs[ino]
		if x == nil || !x.IsDir() {
			continue
		}
		if d == nil {
			d = &meta.Delta{}
		}
		if x.Base == nil {
			x.Nlink = 2
			for _, e := range d.Own {
				if e.Kind == unix.S_IFDIR {
					x.Nlink++
				}
			}
			continue
		}
		n, err := o.moreLinks(x.Base.Path, d)
		if err != nil {
			return err
		}
		x.Nlink = n
	}
	return nil
}

// moreLinks is how many more directories a directory of the base has in the view
// than there.
func (o *Overlay) moreLinks(at string, d *meta.Delta) (n int32, err error) {
	isDir := func(name string) (bool, error) {
		var st layer.Stat
		err := o.statPath(path.Join(at, name), &st)
		return err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR, absent(err)
	}
	for name, e := range d.Own {
		was, err := isDir(name)
		if err != nil {
			return 0, err
		}
		switch is := e.Kind == unix.S_IFDIR; {
		case is && !was:
			n++
		case !is && was:
			n--
		}
	}
	for name := range d.Gone {
		if _, own := d.Own[name]; own {
			continue
		}
		was, err := isDir(name)
		if err != nil {
			return 0, err
		}
		if was {
			n--
		}
	}
	return n, nil
}
