package commit

import (
	"fmt"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// back takes the steps before number end back, the last first. Only what is
// found exactly as the step left it is touched; the rest is left, named in
// a.left, with the other version where the staging directory has it.
func (a *applier) back(end int) {
	a.reopen()
	for i := end - 1; i >= 0; i-- {
		a.kill("back: before a " + a.p.Steps[i].Do)
		if why := a.undo(&a.p.Steps[i]); why != "" {
			a.left = append(a.left, why)
		}
		a.kill("back: after a " + a.p.Steps[i].Do)
	}
	for i := range a.p.Meta {
		a.unset(&a.p.Meta[i])
	}
	for i := range a.p.Open {
		a.unset(&a.p.Open[i])
	}
	for _, t := range a.p.Times {
		if t.Base != "" {
			a.setTime(string(t.Base), t.Key, t.Before)
		}
	}
}

// reopen opens directories up again that may have been closed at the end.
func (a *applier) reopen() {
	if unix.Geteuid() == 0 {
		return
	}
	for _, l := range [][]metaStep{a.p.Open, a.p.Meta} {
		for i := range l {
			m := &l[i]
			if m.Kind != unix.S_IFDIR || !m.Perm {
				continue
			}
			for _, p := range []Path{m.Path, m.Base} {
				a.openOne(string(p), m)
			}
		}
	}
}

func (a *applier) openOne(p string, m *metaStep) {
	st, err := a.d.stat(p)
	if p == "" || err != nil || st == nil || !sameInode(st.Key, m.Key) {
		return
	}
	if fd, err := a.d.open(p, unix.O_PATH); err == nil {
		_ = unix.Chmod(procFd(fd), st.Mode&0o7777|0o700)
		unix.Close(fd)
	}
}

// undo takes one step back and says why it could not.
func (a *applier) undo(s *step) string {
	switch s.Do {
	case doLink:
		if ok, err := a.hasKey(s.To, s.Obj); err != nil || !ok {
			return kept(s.From, s.To, err)
		}
		if err := a.unlink(s.To); err != nil {
			return kept(s.From, s.To, err)
		}
	case doMove:
		return a.undoMove(s)
	case doSwap:
		return a.undoSwap(s)
	}
	return ""
}

// undoMove brings an object back. What comes out of the staging directory is the
// owner's own object and goes back whatever it looks like; what goes into it is
// ours and must be untouched.
func (a *applier) undoMove(s *step) string {
	at := a.has
	if change.Below(string(s.To), string(a.p.Stage)) {
		at = a.hasKey
	}
	if ok, err := at(s.To, s.Obj); err != nil || !ok {
		return kept(s.To, s.From, err)
	}
	if err := a.d.rename(string(s.To), string(s.From)); err != nil {
		return kept(s.From, s.To, err)
	}
	return ""
}

func (a *applier) undoSwap(s *step) string {
	if ok, err := a.has(s.To, s.Obj); err != nil || !ok {
		return kept(s.To, s.From, err)
	}
	if ok, err := a.hasKey(s.From, *s.Pre); err != nil || !ok {
		return kept(s.To, s.From, err)
	}
	if err := a.d.exchange(string(s.From), string(s.To)); err != nil {
		return kept(s.To, s.From, err)
	}
	return ""
}

func kept(path, other Path, err error) string {
	s := fmt.Sprintf("%s was changed meanwhile and is left as it is; the other version is %s",
		change.Quote(string(path)), change.Quote(string(other)))
	if err != nil {
		s += " (" + err.Error() + ")"
	}
	return s
}

// unset gives an object the attributes back that it had, if it has those that
// the commit gave it.
func (a *applier) unset(m *metaStep) {
	if m.Base == "" {
		return
	}
	fd, err := a.d.open(string(m.Base), unix.O_PATH)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var st layer.Stat
	if layer.Statx(fd, "", &st) != nil || !sameInode(st.Key, m.Key) {
		return
	}
	if m.Perm && st.Mode&0o7777&^0o700 != m.After.Mode&0o7777&^0o700 {
		return
	}
	_ = setAttrs(fd, m, &m.Before)
}
