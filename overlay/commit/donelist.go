package commit

import (
	"slices"

	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// done lists what the base has after the steps, one entry a path.
func (b *builder) done() {
	at := map[string]doneRec{}
	for _, it := range b.l.taken {
		c := it.c
		if c.Op == change.Deleted || c.Op == change.Renamed {
			b.absent(at, c)
		}
	}
	for _, it := range b.s.items {
		if it.v == taken && it.c.Op != change.Deleted {
			r := leftBy(it.c, b.keyOf(it.c))
			if j := b.l.byPath[it.c.Path]; j != nil && j.c == it.c {
				r.Staged = staged(b.d, it.c.Path, j.slot)
			}
			at[it.c.Path] = r
			if it.part != nil {
				at[it.c.Path] = leftInPart(it.c, &b.l.byPath[it.c.Path].st)
			}
		}
	}
	for _, c := range b.s.same {
		if c.Base != nil && b.sameTaken(c) {
			at[c.Path] = doneRec{Path: Path(c.Path), Ino: c.Object.Ino, Key: c.Base.Key}.with(c.Base)
		}
	}
	for _, r := range at {
		if r.Path == change.Root {
			r.Path = ""
		}
		b.p.Done = append(b.p.Done, r)
	}
	slices.SortFunc(b.p.Done, func(x, y doneRec) int { return change.Compare(string(x.Path), string(y.Path)) })
}

// absent notes that a base path has nothing any more, unless something comes
// there; what was in a directory that goes away as one goes with it.
func (b *builder) absent(at map[string]doneRec, c *change.Change) {
	up, stays := b.final(change.Parent(c.BasePath))
	if !stays {
		return
	}
	p := change.Join(up, change.Base(c.BasePath))
	at[p] = doneRec{Path: Path(p)}
}

func (b *builder) keyOf(c *change.Change) layer.Key {
	if j := b.l.byPath[c.Path]; j != nil && j.c == c {
		return j.st.Key
	}
	if b.l.links[c.Path] != "" {
		return b.linked[c.Path].Key
	}
	if c.Base != nil {
		return c.Base.Key
	}
	return layer.Key{}
}

// sameTaken tells whether an object that equals the base's is settled by this
// commit: when everything was asked for, or it was.
func (b *builder) sameTaken(c *change.Change) bool {
	up := b.s.above(c)
	return b.s.asks(c) && (up == nil || up.v == taken)
}

func overlayDone(l []doneRec) []overlay.Done {
	out := make([]overlay.Done, len(l))
	for i, r := range l {
		out[i] = overlay.Done{Path: string(r.Path), Ino: r.Ino, Key: r.Key, Part: r.Part}
	}
	return out
}

// leftBy is what a change leaves at its path: the object with the view's
// attributes.
func leftBy(c *change.Change, key layer.Key) doneRec {
	a := &c.Attr
	return doneRec{
		Path: Path(c.Path), Ino: c.Object.Ino, Key: key,
		Mode: a.Mode, UID: a.UID, GID: a.GID, Size: int64(a.Size), Mtime: a.Mtime.UnixNano(),
	}
}

// leftInPart is what a change leaves of which some hunks were taken: the view goes on
// with the rest.
func leftInPart(c *change.Change, st *layer.Stat) doneRec {
	r := doneRec{Path: Path(c.Path), Ino: c.Object.Ino, Key: st.Key, Part: true}
	return r.with(st)
}

// with is r with the attributes of st.
func (r doneRec) with(st *layer.Stat) doneRec {
	r.Mode, r.UID, r.GID, r.Size, r.Mtime = st.Mode, st.UID, st.GID, st.Size, st.Mtime
	return r
}
