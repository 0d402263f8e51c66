package commit

import (
	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/change"
)

// ways says where the steps of a plan bring what is at a path.
type ways struct {
	p   *plan
	out map[Path]int   // the step that takes something from a path of the workspace
	in  map[Path]int   // the step that brings something to one
	via map[Path][]int // the steps that use a slot, in order
}

func waysOf(p *plan) *ways {
	w := &ways{p: p, out: map[Path]int{}, in: map[Path]int{}, via: map[Path][]int{}}
	for i, s := range p.Steps {
		if s.Do == doLink {
			continue
		}
		for _, at := range []Path{s.From, s.To} {
			if w.staged(at) {
				w.via[at] = append(w.via[at], i)
			}
		}
		if !w.staged(s.From) {
			w.out[s.From] = i
		}
		if !w.staged(s.To) {
			w.in[s.To] = i
			if s.Do == doSwap {
				w.out[s.To] = i
			}
		}
	}
	return w
}

func (w *ways) staged(p Path) bool { return change.Below(string(p), string(w.p.Stage)) }

// goesTo is where what is at p before the steps is after them.
func (w *ways) goesTo(p string) string {
	for q := p; q != change.Root; q = change.Parent(q) {
		i, ok := w.out[Path(q)]
		if !ok {
			continue
		}
		slot := w.p.Steps[i].To
		if w.p.Steps[i].Do == doSwap {
			slot = w.p.Steps[i].From
		}
		for _, j := range w.via[slot] {
			if j > i {
				slot = w.p.Steps[j].To
				break
			}
		}
		return string(slot) + p[len(q):]
	}
	return p
}

// comesFrom is where what is at p after the steps is before them.
func (w *ways) comesFrom(p string) string {
	for q := p; q != change.Root; q = change.Parent(q) {
		i, ok := w.in[Path(q)]
		if !ok {
			continue
		}
		from := w.p.Steps[i].From
		l := w.via[from]
		for k := len(l) - 1; k >= 0; k-- {
			if l[k] >= i {
				continue
			}
			if s := w.p.Steps[l[k]]; s.Do == doSwap {
				from = s.To
			} else {
				from = s.From
			}
			break
		}
		return string(from) + p[len(q):]
	}
	return p
}

// ends returns, for each step, where what it brought to the workspace is after all
// of them: directories that it lies in may move later. "" of a step that brought
// nothing there.
func (p *plan) ends() []Path {
	w := &ways{p: p}
	l := make([]Path, len(p.Steps))
	var later []int // of directories, the last first
	for i := len(p.Steps) - 1; i >= 0; i-- {
		s := &p.Steps[i]
		if s.Do == doLink {
			continue
		}
		if !w.staged(s.To) {
			l[i] = s.To
			for k := len(later) - 1; k >= 0; k-- {
				l[i] = p.Steps[later[k]].carry(l[i])
			}
		}
		if s.Obj.Kind == unix.S_IFDIR || s.Pre != nil && s.Pre.Kind == unix.S_IFDIR {
			later = append(later, i)
		}
	}
	return l
}

// carry is where what was at p is after the step.
func (s *step) carry(p Path) Path {
	switch {
	case change.Below(string(p), string(s.From)):
		return s.To + p[len(s.From):]
	case s.Do == doSwap && change.Below(string(p), string(s.To)):
		return s.From + p[len(s.To):]
	}
	return p
}

// restoration tells the view of the steps of an undo or redo.
func (p *plan) restoration() overlay.Restoration {
	r, w, ends := overlay.Restoration{Moved: map[string]string{}}, waysOf(p), p.ends()
	for i, s := range p.Steps {
		r.Keys = append(r.Keys, s.Obj.Key)
		switch {
		case s.Do == doSwap:
			r.Keys = append(r.Keys, s.Pre.Key)
			if s.Same {
				r.Replaced = append(r.Replaced, overlay.Replaced{Path: string(ends[i]), Old: s.Pre.Key, New: s.Obj.Key})
			}
		case s.Do == doMove && s.Obj.Kind == unix.S_IFDIR && !w.staged(s.From):
			if to := w.goesTo(string(s.From)); !w.staged(Path(to)) {
				r.Moved[string(s.From)] = to
			}
		}
	}
	return r
}
