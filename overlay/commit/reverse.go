package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// reversal takes the steps of an earlier operation back, as an operation of its
// own: its plan is the other one read backwards. What that one left must be in
// the workspace exactly so.
type reversal struct {
	ctx context.Context
	d   *disk
	old *plan

	now     []Path                  // of each old step, where what it brought is
	metas   map[layer.Key]*metaStep // of objects that stay, by what the old operation did to them
	done    map[Path]doneRec
	leaving map[string]bool // paths of now that the steps take something from
	passing map[int]bool    // old steps that brought what came from another place of the workspace
	list    []Conflict
}

func newReversal(ctx context.Context, d *disk, old *plan) *reversal {
	r := &reversal{
		ctx: ctx, d: d, old: old, now: old.ends(), metas: map[layer.Key]*metaStep{}, done: map[Path]doneRec{},
		leaving: map[string]bool{}, passing: map[int]bool{},
	}
	for i := range old.Meta {
		if m := &old.Meta[i]; !r.closes(m) {
			r.metas[m.Key] = m
		}
	}
	for _, x := range old.Done {
		r.done[x.Path] = x
	}
	filled := map[Path]bool{} // slots with something of the workspace's
	for i, s := range old.Steps {
		if s.Do == doLink {
			continue
		}
		if !r.staged(s.To) {
			r.leaving[string(r.now[i])] = true
			r.passing[i] = filled[s.From]
		}
		filled[s.To], filled[s.From] = true, s.Do == doSwap
	}
	return r
}

func (r *reversal) staged(p Path) bool { return change.Below(string(p), string(r.old.Stage)) }

// closes tells whether m only ends the opening up of a directory.
func (r *reversal) closes(m *metaStep) bool {
	if m.Base == "" || m.Path == "" {
		return true
	}
	return slices.ContainsFunc(r.old.Open, func(o metaStep) bool {
		return o.Key == m.Key && m.Perm && !m.Times && !m.Xattrs && m.After.Mode == o.Before.Mode
	})
}

func (r *reversal) conflict(p Path, format string, args ...any) {
	r.list = append(r.list, Conflict{string(p), fmt.Sprintf(format, args...)})
}

// errStore says that the store has not what it should have.
var errStore = errors.New("what the commit replaced is not kept any more, or was changed where it is kept")

// build fills in a plan. The store is the staging directory p.Stage now, and
// verify has found nothing. rootTime is the time of the root before any of ours
// came there.
func (r *reversal) build(p *plan, rootTime int64, euid int) error {
	b := &reverser{reversal: r, p: p, at: map[Path]ident{}}
	for _, s := range r.old.Links {
		s.To = b.here(s.To)
		b.at[s.To] = s.Obj
		b.add(s)
	}
	for i, s := range slices.Backward(r.old.Steps) {
		if err := b.step(&s, r.now[i], r.passing[i]); err != nil {
			return fmt.Errorf("%s: %w", change.Quote(string(s.To)), err)
		}
	}
	b.meta()
	if err := b.times(rootTime); err != nil {
		return err
	}
	ways := waysOf(p)
	if err := b.openUp(ways, euid); err != nil {
		return err
	}
	return b.leaves(ways)
}

// reverser writes the plan of a reversal.
type reverser struct {
	*reversal
	p  *plan
	at map[Path]ident // what the steps so far have brought to a slot
}

// here is a path of the old plan in the new one: the staging directory has
// another name.
func (b *reverser) here(p Path) Path {
	if rest, ok := strings.CutPrefix(string(p), string(b.old.Stage)+"/"); ok {
		return b.p.Stage + "/" + Path(rest)
	}
	return p
}

// step reads one old step backwards. now is where what it brought is.
func (b *reverser) step(s *step, now Path, passing bool) error {
	switch s.Do {
	case doLink:
		b.p.Links = append(b.p.Links, step{Do: doLink, From: s.From, To: b.here(s.To), Obj: s.Obj})
		return nil
	case doMove:
		obj, err := b.object(s.To, now, s.Obj)
		if err != nil {
			return err
		}
		n := step{Do: doMove, From: b.here(s.To), To: b.here(s.From), Obj: obj}
		if !b.staged(s.To) {
			b.at[n.To] = obj
			if n.Tree, err = b.tree(now, obj, passing); err != nil {
				return err
			}
		}
		b.add(n)
		return nil
	}
	pre, err := b.object(s.To, now, s.Obj)
	if err != nil {
		return err
	}
	obj, err := b.object(s.From, s.From, *s.Pre)
	if err != nil {
		return err
	}
	n := step{Do: doSwap, From: b.here(s.From), To: s.To, Obj: obj, Pre: &pre}
	if n.Same, err = b.same(&n, now, passing); err != nil {
		return err
	}
	if b.done[now].Part && !n.Same {
		return &ConflictError{[]Conflict{{string(now), "it was committed in part, and has got other names since"}}}
	}
	b.at[n.From] = pre
	if n.Tree, err = b.tree(now, pre, passing); err != nil {
		return err
	}
	b.add(n)
	return nil
}

// goesOn tells whether a change of the view is the rest of one that the old operation
// took in part. It stays, and builds on what comes back.
func (r *reversal) goesOn(c *change.Change) bool {
	rec := r.done[Path(c.Path)]
	if !rec.Part || c.Op != change.Modified && c.Op != change.Meta || c.BasePath != c.Path || c.Base == nil || c.Base.Nlink != 1 || !sameInode(c.Base.Key, rec.Key) {
		return false
	}
	t := r.touched()
	for p := change.Parent(c.Path); p != change.Root; p = change.Parent(p) {
		if t.at[p] {
			return false
		}
	}
	_, stands := standsFor(c)
	return stands
}

// same tells whether a swap replaces a file for good by one like it, so that the
// view can go on calling it by the number that it has.
func (b *reverser) same(s *step, now Path, passing bool) (bool, error) {
	if _, onTheWay := b.at[s.From]; onTheWay || passing || s.Obj.Kind != s.Pre.Kind || s.Obj.Kind == unix.S_IFDIR {
		return false, nil
	}
	for _, p := range []Path{s.From, now} {
		st, err := b.d.stat(string(p))
		if err != nil || st == nil || st.Nlink > 1 {
			return false, err
		}
	}
	return true, nil
}

func (b *reverser) add(s step) { b.p.Steps = append(b.p.Steps, s) }

// object is what the steps so far have brought to a path of the old plan, else what
// is there now: it must be as the old plan left it. A pre-image may have become a
// copy.
func (b *reverser) object(old, now Path, want ident) (ident, error) {
	if id, ok := b.at[b.here(old)]; ok {
		return id, nil
	}
	if b.staged(old) {
		now = b.here(old)
	}
	st, err := b.d.stat(string(now))
	if err != nil {
		return ident{}, err
	}
	after := b.after(want)
	switch {
	case !b.staged(old):
		switch {
		case after.is(st):
			return after, nil
		case b.restaged(now, st):
			return identOf(st), nil
		}
	case st == nil || !want.like(st) && !after.like(st): // it may have another name, which has changed
		return ident{}, errStore
	default:
		return identOf(st), nil
	}
	return ident{}, &ConflictError{[]Conflict{{string(now), "it was changed in the workspace just now"}}}
}

// tree is the digest of a directory that leaves for good, without what leaves it
// before.
func (b *reverser) tree(now Path, obj ident, passing bool) (string, error) {
	if obj.Kind != unix.S_IFDIR || passing {
		return "", nil
	}
	return treeDigest(b.d, string(now), func(p string) bool { return b.leaving[p] })
}

func (b *reverser) meta() {
	for i := range b.old.Meta {
		m := b.old.Meta[i]
		if b.closes(&m) {
			continue
		}
		m.Base, m.Path, m.Before, m.After = m.Path, m.Base, m.After, m.Before
		b.p.Meta = append(b.p.Meta, m)
	}
}

// times gives directories the times back that they had, unless somebody else has
// changed names in them since.
func (b *reverser) times(rootTime int64) error {
	for _, t := range b.old.Times {
		n := timeStep{Base: t.Path, Path: t.Base, Key: t.Key, Before: t.After, After: t.Before}
		if t.Path == "" { // it comes back
			b.p.Times = append(b.p.Times, n)
			continue
		}
		st, err := b.d.stat(string(t.Path))
		if err != nil {
			return err
		}
		if st == nil || !sameInode(st.Key, t.Key) {
			continue
		}
		n.Before = st.Mtime
		if t.Path == change.Root {
			n.Before = rootTime
		}
		n.Free = t.Free || n.Before != t.After
		b.p.Times = append(b.p.Times, n)
	}
	return nil
}

// openUp plans to give ourselves the right to change names in directories.
func (b *reverser) openUp(w *ways, euid int) error {
	if euid == 0 {
		return nil
	}
	o := &builder{d: b.d, p: b.p, euid: euid, metas: map[layer.Key]bool{}}
	for i := range b.p.Meta {
		o.metas[b.p.Meta[i].Key] = true
	}
	for _, s := range b.p.Steps {
		from, to := string(s.From), string(s.To)
		var open []string // paths of now
		if !w.staged(s.From) {
			open = append(open, change.Parent(from))
			if s.Obj.Kind == unix.S_IFDIR {
				open = append(open, from)
			}
		}
		if !w.staged(s.To) {
			open = append(open, w.comesFrom(change.Parent(to)))
		}
		for _, p := range open {
			if err := o.openUp(p, w.goesTo(p)); err != nil {
				return err
			}
		}
	}
	return nil
}

// leaves notes what the workspace has after the steps of what they touch.
func (b *reverser) leaves(w *ways) error {
	for i, to := range b.p.ends() {
		if to == "" {
			continue
		}
		from, to := w.comesFrom(string(b.p.Steps[i].To)), string(to)
		st, err := b.d.stat(from)
		if err != nil {
			return err
		}
		if st == nil {
			continue // a link, which is made on the way
		}
		back := w.staged(Path(from))
		b.note(to, from, st, back)
		if !isDir(st) || !back {
			continue
		}
		err = b.d.walk(from, func(p string, st *layer.Stat) (bool, error) {
			b.note(to+p[len(from):], p, st, true)
			return false, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// note notes one object, which is to be at p and is at from; back says that it comes
// back from the store.
func (b *reverser) note(p, from string, st *layer.Stat, back bool) {
	if back && st.Mode&unix.S_IFMT == unix.S_IFREG {
		b.p.Bytes += st.Size
	}
	r := doneRec{Path: Path(p), Ino: st.Ino, Key: st.Key, Part: b.done[Path(p)].Part}.with(st)
	r.Staged = staged(b.d, p, from)
	if m := b.metas[st.Key]; m != nil {
		if m.Perm {
			r.Mode, r.UID, r.GID = st.Mode&unix.S_IFMT|m.Before.Mode, m.Before.UID, m.Before.GID
		}
		if m.Times {
			r.Mtime = m.Before.Mtime
		}
	}
	b.p.Done = append(b.p.Done, r)
}
