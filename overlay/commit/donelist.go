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
			at[it.c.Path] = doneRec{Path(it.c.Path), it.c.Object.Ino, b.keyOf(it.c)}
		}
	}
	for _, c := range b.s.same {
		if c.Base != nil && b.sameTaken(c) {
			at[c.Path] = doneRec{Path(c.Path), c.Object.Ino, c.Base.Key}
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
	return (len(b.s.req.Paths) == 0 || b.s.asked.Change(c)) && (up == nil || up.v == taken)
}

func overlayDone(l []doneRec) []overlay.Done {
	out := make([]overlay.Done, len(l))
	for i, r := range l {
		out[i] = overlay.Done{Path: string(r.Path), Ino: r.Ino, Key: r.Key}
	}
	return out
}
