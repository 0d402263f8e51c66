package commit

import (
	"fmt"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// preserve keeps for the checkpoints what the steps are about to replace.
func (r *run) preserve(p *plan) error {
	if err := r.o.Preserve(p.Number, p.fate()); err != nil {
		return fmt.Errorf("%w; without checkpoints it needs not be kept (astrid checkpoints --drop)", err)
	}
	r.cfg.Kill("preserved")
	return nil
}

// fate tells the view what the steps are about to do to the base, for the
// checkpoints, which are not to see it.
func (p *plan) fate() overlay.Fate {
	f := overlay.Fate{Goes: map[string]string{}, Comes: map[string]layer.Fingerprint{}, Inside: map[string]layer.Fingerprint{}}
	left := map[string]doneRec{}
	for _, d := range p.Done {
		if d.Ino != 0 {
			left[string(d.Path)] = d
		}
	}
	t := p.trace()
	for at, x := range t.at {
		switch { // to go to the path of before is to go where another directory has its name
		case x.from != "" && t.staged(at):
			f.Goes[x.from] = ""
		case x.from != "":
			f.Goes[x.from] = at
		}
		if t.staged(at) {
			continue
		}
		f.Comes[at] = fingerOf(x.is)
		if d, ok := left[at]; ok {
			f.Comes[at] = d.finger()
		}
	}
	for at, d := range left {
		if _, itself := f.Comes[at]; !itself && arrives(f.Comes, at) {
			f.Inside[at] = d.finger()
		}
	}
	for i := range p.Meta {
		if m := &p.Meta[i]; m.Base != "" {
			f.Changes = append(f.Changes, rooted(m.Base))
		}
	}
	for _, t := range p.Times {
		if t.Base != "" && t.Path != "" {
			f.Times = append(f.Times, rooted(t.Base))
		}
	}
	return f
}

// trace follows what the steps move.
type trace struct {
	stage string
	at    map[string]traced // by where it is so far
}

// traced is an object that a step has moved.
type traced struct {
	from string // its path before all steps; "" of what was not in the workspace then
	is   ident
}

func (p *plan) trace() *trace {
	t := &trace{stage: string(p.Stage), at: map[string]traced{}}
	for i := range p.Steps {
		s := &p.Steps[i]
		from, to := string(s.From), string(s.To)
		if s.Do == doLink {
			t.at[to] = traced{is: s.Obj}
			continue
		}
		obj := t.take(from, s.Obj)
		if s.Do == doSwap {
			pre := t.take(to, *s.Pre)
			inObj, inPre := t.lift(from, s.Obj), t.lift(to, *s.Pre)
			t.put(from, pre, inPre)
			t.put(to, obj, inObj)
			continue
		}
		t.put(to, obj, t.lift(from, s.Obj))
	}
	return t
}

func (t *trace) staged(p string) bool { return change.Below(p, t.stage) }

// take takes what is at a path away from there.
func (t *trace) take(p string, is ident) traced {
	x, ok := t.at[p]
	if !ok {
		x = traced{from: t.origin(p)}
	}
	delete(t.at, p)
	x.is = is
	return x
}

// origin is the path before all steps of what has moved, if at all, with a directory
// that it is in.
func (t *trace) origin(p string) string {
	for q := change.Parent(p); q != change.Root; q = change.Parent(q) {
		if x, ok := t.at[q]; ok {
			if x.from == "" {
				return ""
			}
			return x.from + p[len(q):]
		}
	}
	if t.staged(p) {
		return ""
	}
	return p
}

// lift takes away what was moved into a directory, by its path in there.
func (t *trace) lift(dir string, is ident) map[string]traced {
	if is.Kind != unix.S_IFDIR {
		return nil
	}
	in := map[string]traced{}
	for p, x := range t.at {
		if p != dir && change.Below(p, dir) {
			in[p[len(dir):]] = x
			delete(t.at, p)
		}
	}
	return in
}

func (t *trace) put(p string, x traced, in map[string]traced) {
	t.at[p] = x
	for rest, y := range in {
		t.at[p+rest] = y
	}
}

// arrives tells whether a directory above a path is among what comes.
func arrives(comes map[string]layer.Fingerprint, at string) bool {
	for q := change.Parent(at); q != change.Root; q = change.Parent(q) {
		if _, ok := comes[q]; ok {
			return true
		}
	}
	return false
}

// rooted is a path as the overlay has it: that of the root is empty.
func rooted(p Path) string {
	if p == change.Root {
		return ""
	}
	return string(p)
}

func fingerOf(id ident) layer.Fingerprint {
	return layer.Fingerprint{Key: id.Key, Mode: id.Kind, Size: id.Size, Mtime: id.Mtime}
}

func (r doneRec) finger() layer.Fingerprint {
	f := layer.Fingerprint{Key: r.Key, Mode: r.Mode, Size: r.Size, Mtime: r.Mtime}
	if f.Mode&unix.S_IFMT == unix.S_IFDIR {
		f.Size, f.Mtime = 0, 0
	}
	return f
}
