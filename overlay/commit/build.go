package commit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// builder turns what is staged into the steps of a plan.
type builder struct {
	d    *disk
	l    *layout
	s    *selection
	snap *overlay.Snapshot
	p    *plan
	euid int

	known  map[string]bool // base paths that the changes take away
	metas  map[layer.Key]bool
	linked map[string]ident // path of the view → the base object that gets this name too
}

// build fills in Steps, Meta, Times, Open and Done.
func (b *builder) build() error {
	b.known, b.metas, b.linked = map[string]bool{}, map[layer.Key]bool{}, map[string]ident{}
	for _, it := range b.l.taken {
		if it.c.Op == change.Deleted {
			b.known[it.c.BasePath] = true
		}
	}
	if err := b.links(); err != nil {
		return err
	}
	if err := b.departures(); err != nil {
		return err
	}
	if err := b.arrivals(); err != nil {
		return err
	}
	if err := b.inPlace(); err != nil {
		return err
	}
	if err := b.touched(); err != nil {
		return err
	}
	b.shut()
	b.done()
	return nil
}

// base returns what is at a base path now, which must be there.
func (b *builder) base(p string) (*layer.Stat, error) {
	st, err := b.d.stat(p)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", change.Quote(p), err)
	}
	if st == nil {
		return nil, &ConflictError{[]Conflict{{p, "it was removed in the workspace"}}}
	}
	return st, nil
}

// links makes additional names of base objects, before anything moves.
func (b *builder) links() error {
	for _, it := range b.l.taken {
		slot, ok := b.l.links[it.c.Path]
		if !ok {
			continue
		}
		o, _ := it.c.Origin()
		from := o.Path
		st, err := b.base(from)
		if err != nil {
			return err
		}
		if !sameInode(st.Key, o.Key) {
			return &ConflictError{[]Conflict{{it.c.Path, "what it is a link to was replaced in the workspace"}}}
		}
		b.linked[it.c.Path] = identOf(st)
		b.p.Steps = append(b.p.Steps, step{Do: doLink, From: Path(from), To: Path(slot), Obj: identOf(st)})
	}
	return nil
}

// departures takes away what leaves its place, deepest first, so that every path
// is the one that it was.
func (b *builder) departures() error {
	all := maps.Clone(b.l.outs)
	maps.Copy(all, b.l.moves)
	paths := slices.SortedFunc(maps.Keys(all), func(x, y string) int { return change.Compare(y, x) })
	for _, p := range paths {
		st, err := b.base(p)
		if err != nil {
			return err
		}
		s := step{Do: doMove, From: Path(p), To: Path(all[p]), Obj: identOf(st)}
		if _, out := b.l.outs[p]; out && isDir(st) {
			if s.Tree, err = b.tree(p); err != nil {
				return err
			}
		}
		b.p.Steps = append(b.p.Steps, s)
	}
	return nil
}

func (b *builder) tree(p string) (string, error) {
	return expected(b.d, p, b.known, func(q string) bool { return b.l.leaves[q] })
}

// arrivals brings everything to its place, parents first and repositories last.
func (b *builder) arrivals() error {
	var git []step
	for _, it := range b.l.taken {
		s, ok, err := b.arrival(it.c)
		if err != nil {
			return err
		}
		switch {
		case !ok:
		case it.unit != nil:
			git = append(git, s)
		default:
			b.p.Steps = append(b.p.Steps, s)
		}
	}
	b.p.Steps = append(b.p.Steps, git...)
	return nil
}

func (b *builder) arrival(c *change.Change) (s step, ok bool, err error) {
	s = step{Do: doMove, To: Path(c.Path)}
	j := b.l.byPath[c.Path]
	switch {
	case c.Op == change.Deleted:
		return s, false, nil
	case j != nil && j.c == c:
		if b.l.inner(c) {
			return s, false, nil
		}
		s.From, s.Obj = Path(j.slot), identOf(&j.st)
	case b.l.links[c.Path] != "":
		s.From = Path(b.l.links[c.Path])
		s.Obj = b.linked[c.Path]
	case c.Op == change.Renamed:
		s.From, s.Obj = Path(b.l.moves[c.BasePath]), identOf(c.Base)
	default:
		return s, false, nil
	}
	over := c.Base
	if c.Op == change.Renamed {
		over = c.Over
	}
	if over == nil {
		return s, true, nil
	}
	s.Do = doSwap
	pre := identOf(over)
	s.Pre = &pre
	if isDir(over) {
		s.Tree, err = b.tree(c.Place)
	}
	return s, true, err
}

// inPlace collects the changes of attributes of objects that stay themselves.
func (b *builder) inPlace() error {
	for _, it := range b.l.taken {
		c := it.c
		if !c.Perm && !c.Times && !c.Xattrs || b.l.byPath[c.Path] != nil || c.Base == nil {
			continue
		}
		if c.Op != change.Meta && c.Op != change.Renamed || b.metas[c.Base.Key] {
			continue
		}
		m, err := b.meta(c)
		if err != nil {
			return fmt.Errorf("look at %s: %w", change.Quote(c.Path), err)
		}
		b.metas[c.Base.Key] = true
		b.p.Meta = append(b.p.Meta, m)
	}
	return nil
}

func (b *builder) meta(c *change.Change) (metaStep, error) {
	m := metaStep{
		Base: Path(c.BasePath), Path: Path(c.Path), Key: c.Base.Key, Kind: uint32(c.Kind),
		Perm: c.Perm, Times: c.Times || c.Perm || c.Xattrs, Xattrs: c.Xattrs,
		Before: attrs{Mode: c.Base.Mode &^ unix.S_IFMT, UID: c.Base.UID, GID: c.Base.GID, Mtime: c.Base.Mtime},
		After:  attrs{Mode: c.Attr.Mode &^ tree.KindMask, UID: c.Attr.UID, GID: c.Attr.GID, Mtime: c.Attr.Mtime.UnixNano()},
	}
	m.Times = m.Times && !c.IsDir()
	if !c.Xattrs {
		return m, nil
	}
	after, err := c.Object.Xattrs()
	if err != nil {
		return m, err
	}
	fd, err := b.d.open(c.BasePath, unix.O_PATH)
	if err != nil {
		return m, err
	}
	defer unix.Close(fd)
	before, err := layer.Xattrs(fd, "")
	m.Before.Xattrs, m.After.Xattrs = journaled(before), journaled(after)
	return m, err
}

func journaled(m map[string][]byte) map[Path][]byte {
	out := make(map[Path][]byte, len(m))
	for k, v := range m {
		out[Path(k)] = v
	}
	return out
}

func plain(m map[Path][]byte) map[string][]byte {
	out := make(map[string][]byte, len(m))
	for k, v := range m {
		out[string(k)] = v
	}
	return out
}

// final returns where the base directory at p is after the steps; false when it
// is not there any more.
func (b *builder) final(p string) (string, bool) {
	for q := p; q != change.Root; q = change.Parent(q) {
		if b.l.leaves[q] {
			return b.s.from[q].c.Path + p[len(q):], true
		}
		if b.l.whole[q] {
			return "", false
		}
	}
	return p, true
}

// touched finds the directories in which names come and go: they are opened up
// where they must, and get their times back at the end.
func (b *builder) touched() error {
	seen := map[string]bool{}
	base := func(p string) error {
		if seen["<"+p] || strings.HasPrefix(p, stageRoot+"/") {
			return nil
		}
		seen["<"+p] = true
		return b.touchBase(p)
	}
	if err := base(change.Root); err != nil {
		return err
	}
	for _, s := range b.p.Steps {
		if s.Do == doLink {
			continue
		}
		if from := string(s.From); !change.Below(from, b.l.stage) {
			if err := base(change.Parent(from)); err != nil {
				return err
			}
			if s.Obj.Kind == unix.S_IFDIR {
				to, stays := b.final(from)
				if !stays {
					to = string(s.To)
				}
				if err := b.openUp(from, to); err != nil {
					return err
				}
			}
		}
		to := string(s.To)
		if change.Below(to, b.l.stage) || seen[">"+change.Parent(to)] {
			continue
		}
		seen[">"+change.Parent(to)] = true
		if err := b.touchFinal(change.Parent(to), base); err != nil {
			return err
		}
	}
	return nil
}

// touchFinal is for a directory by the path that it has after the steps.
func (b *builder) touchFinal(p string, base func(string) error) error {
	if j := b.l.byPath[p]; j != nil && j.c.IsDir() {
		b.p.Times = append(b.p.Times, timeStep{Path: Path(p), Key: j.st.Key, After: j.c.Attr.Mtime.UnixNano()})
		return nil
	}
	return base(b.original(p))
}

// original is the base path of a directory that has the path p after the steps.
func (b *builder) original(p string) string {
	for q := p; q != change.Root; q = change.Parent(q) {
		if it := b.s.at[q]; it != nil && it.v == taken && it.c.Op == change.Renamed {
			return it.c.From + p[len(q):]
		}
	}
	return p
}

// touchBase is for a directory of the base, by its path there.
func (b *builder) touchBase(p string) error {
	st, err := b.base(p)
	if err != nil {
		return err
	}
	to, stays := b.final(p)
	t := timeStep{Base: Path(p), Path: Path(to), Key: st.Key, Before: st.Mtime, After: st.Mtime}
	if mtime, ok := b.viewTime(to); stays && ok {
		t.After = mtime
	}
	b.p.Times = append(b.p.Times, t)
	return b.openUp(p, to)
}

// shut plans to close staged directories that were kept open.
func (b *builder) shut() {
	for _, j := range b.l.jobs {
		if !j.shut() {
			continue
		}
		a := attrs{Mode: j.c.Attr.Mode &^ tree.KindMask, UID: j.c.Attr.UID, GID: j.c.Attr.GID}
		open := a
		open.Mode |= 0o700
		b.p.Meta = append(b.p.Meta, metaStep{
			Path: Path(j.c.Path), Key: j.st.Key, Kind: unix.S_IFDIR, Perm: true, Before: open, After: a,
		})
	}
}

// viewTime returns the mtime that the view shows of a directory.
func (b *builder) viewTime(p string) (int64, bool) {
	x := b.snap.Root()
	if p != change.Root {
		for name := range strings.SplitSeq(p, "/") {
			next, ok, err := x.Lookup(name)
			if err != nil || !ok {
				return 0, false
			}
			x = next
		}
	}
	a, err := x.Attr()
	if err != nil || a.Kind() != tree.KindDir {
		return 0, false
	}
	return a.Mtime.UnixNano(), true
}

// openUp plans to give ourselves the right to change names in a directory, and
// to take it away again: afterwards it is at the path to.
func (b *builder) openUp(p, to string) error {
	const need = 0o300
	if b.euid == 0 {
		return nil
	}
	st, err := b.base(p)
	if err != nil || st.Mode&need == need || int(st.UID) != b.euid {
		return err
	}
	for _, m := range b.p.Open {
		if m.Key == st.Key {
			return nil
		}
	}
	mode := st.Mode &^ unix.S_IFMT
	open := metaStep{
		Base: Path(p), Path: Path(to), Key: st.Key, Kind: unix.S_IFDIR, Perm: true,
		Before: attrs{Mode: mode, UID: st.UID, GID: st.GID},
		After:  attrs{Mode: mode | 0o700, UID: st.UID, GID: st.GID},
	}
	b.p.Open = append(b.p.Open, open)
	if !b.metas[st.Key] && to != "" {
		closing := open
		closing.Before, closing.After = open.After, open.Before
		b.p.Meta = append(b.p.Meta, closing)
	}
	return nil
}
