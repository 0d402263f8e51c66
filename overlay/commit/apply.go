package commit

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// applier makes the steps of a plan, or takes them back. Every step is checked
// before and after; each is one rename.
type applier struct {
	d    *disk
	p    *plan
	kill func(string)
	// left names what was found in a state that no step explains.
	left []string
}

// mismatch says that a path is not as a step must find it.
type mismatch struct{ path, why string }

func (m *mismatch) Error() string { return change.Quote(m.path) + ": " + m.why }

// forward makes the steps from number first on, and everything after them.
func (a *applier) forward(first int) error {
	for i := range a.p.Open {
		if err := a.set(string(a.p.Open[i].Base), &a.p.Open[i], &a.p.Open[i].After); err != nil && first == 0 {
			return err
		}
	}
	a.kill("apply: opened up")
	for i := first; i < len(a.p.Steps); i++ {
		a.kill("apply: before a " + a.p.Steps[i].Do)
		if err := a.do(&a.p.Steps[i]); err != nil {
			return err
		}
		a.kill("apply: after a " + a.p.Steps[i].Do)
	}
	for i := range a.p.Meta {
		m := &a.p.Meta[i]
		if err := a.set(string(m.Path), m, &m.After); err != nil {
			return err
		}
		a.kill("apply: after attributes")
	}
	a.times()
	a.kill("apply: after times")
	return a.sync()
}

func (a *applier) do(s *step) error {
	switch s.Do {
	case doLink:
		return a.link(s)
	case doMove:
		return a.move(s)
	case doSwap:
		return a.swap(s)
	}
	return fmt.Errorf("step %q is unknown", s.Do)
}

func (a *applier) has(p Path, id ident) (bool, error) {
	st, err := a.d.stat(string(p))
	return err == nil && id.is(st), err
}

// hasKey is has without regard to size and time.
func (a *applier) hasKey(p Path, id ident) (bool, error) {
	st, err := a.d.stat(string(p))
	return err == nil && st != nil && sameInode(st.Key, id.Key), err
}

func (a *applier) empty(p Path) (bool, error) {
	st, err := a.d.stat(string(p))
	return err == nil && st == nil, err
}

func (a *applier) expect(p Path, id ident) error {
	ok, err := a.has(p, id)
	if err == nil && !ok {
		return &mismatch{string(p), "it was changed in the workspace just now"}
	}
	return err
}

func (a *applier) link(s *step) error {
	if err := a.expect(s.From, s.Obj); err != nil {
		return err
	}
	if err := a.d.link(string(s.From), string(s.To)); err != nil {
		return fmt.Errorf("link %s: %w", change.Quote(string(s.From)), err)
	}
	ok, err := a.hasKey(s.To, s.Obj)
	if err == nil && !ok {
		err = errors.Join(&mismatch{string(s.From), "it was replaced in the workspace just now"}, a.unlink(s.To))
	}
	return err
}

func (a *applier) unlink(p Path) error {
	fd, err := a.d.at(change.Parent(string(p)))
	if err != nil {
		return err
	}
	return unix.Unlinkat(fd, change.Base(string(p)), 0)
}

func (a *applier) move(s *step) error {
	if err := a.expect(s.From, s.Obj); err != nil {
		return err
	}
	err := a.d.rename(string(s.From), string(s.To))
	if errors.Is(err, unix.EEXIST) {
		return &mismatch{string(s.To), "something appeared there in the workspace just now"}
	}
	if err != nil {
		return fmt.Errorf("move %s to %s: %w", change.Quote(string(s.From)), change.Quote(string(s.To)), err)
	}
	why, err := a.check(s.To, s.Obj, s.Tree)
	if why == "" && err == nil {
		return nil
	}
	if back := a.d.rename(string(s.To), string(s.From)); back != nil {
		a.left = append(a.left, fmt.Sprintf("%s is kept at %s", change.Quote(string(s.From)), change.Quote(string(s.To))))
		err = errors.Join(err, back)
	}
	if why != "" {
		err = errors.Join(&mismatch{string(s.From), why}, err)
	}
	return err
}

// check tells why what a step brought to p is not what it should be.
func (a *applier) check(p Path, id ident, tree string) (why string, err error) {
	ok, err := a.has(p, id)
	if err != nil {
		return "", err
	}
	if !ok {
		return "it was changed in the workspace just now", nil
	}
	if tree == "" {
		return "", nil
	}
	now, err := treeDigest(a.d, string(p), nil)
	if err == nil && now != tree {
		why = "something in it was changed in the workspace just now"
	}
	return why, err
}

func (a *applier) swap(s *step) error {
	if err := a.expect(s.From, s.Obj); err != nil {
		return err
	}
	if err := a.expect(s.To, *s.Pre); err != nil {
		return err
	}
	if err := a.d.exchange(string(s.From), string(s.To)); err != nil {
		return fmt.Errorf("replace %s: %w", change.Quote(string(s.To)), err)
	}
	why, err := a.check(s.From, *s.Pre, s.Tree)
	if why == "" && err == nil {
		return nil
	}
	if back := a.d.exchange(string(s.From), string(s.To)); back != nil {
		a.left = append(a.left, fmt.Sprintf("%s is kept at %s", change.Quote(string(s.To)), change.Quote(string(s.From))))
		err = errors.Join(err, back)
	}
	if why != "" {
		err = errors.Join(&mismatch{string(s.To), why}, err)
	}
	return err
}

// set gives the object of m at p its attributes. One that is not there is a
// mismatch.
func (a *applier) set(p string, m *metaStep, to *attrs) error {
	fd, err := a.d.open(p, unix.O_PATH)
	if missing(err) {
		return &mismatch{p, "it was removed in the workspace just now"}
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st layer.Stat
	if err := layer.Statx(fd, "", &st); err != nil {
		return err
	}
	if !sameInode(st.Key, m.Key) {
		return &mismatch{p, "it was replaced in the workspace just now"}
	}
	if err := setAttrs(fd, m, to); err != nil {
		return fmt.Errorf("%s: %w", change.Quote(p), err)
	}
	return nil
}

func setAttrs(fd int, m *metaStep, to *attrs) error {
	if m.Perm {
		if err := setPerm(fd, m.Kind, *to); err != nil {
			return err
		}
	}
	if m.Xattrs {
		if err := setXattrs(fd, plain(to.Xattrs)); err != nil {
			return err
		}
	}
	if m.Times {
		return layer.Utimes(fd, layer.Omit, to.Mtime)
	}
	return nil
}

// times gives directories their times. One that is not there any more has none.
func (a *applier) times() {
	for _, t := range a.p.Times {
		if t.Path != "" && !t.Free {
			a.setTime(string(t.Path), t.Key, t.After)
		}
	}
}

func (a *applier) setTime(p string, key layer.Key, mtime int64) {
	st, err := a.d.stat(p)
	if err != nil || st == nil || !sameInode(st.Key, key) || st.Mtime == mtime {
		return
	}
	fd, err := a.d.open(p, unix.O_PATH)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = layer.Utimes(fd, layer.Omit, mtime)
}

// sync makes the steps survive a power cut.
func (a *applier) sync() error {
	if len(a.p.Times) > syncEach {
		fd, err := a.d.open(change.Root, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Syncfs(fd)
	}
	for _, t := range a.p.Times {
		if t.Path == "" {
			continue
		}
		if err := a.d.sync(string(t.Path)); err != nil && !missing(err) && !errors.Is(err, unix.EACCES) {
			return err
		}
	}
	return a.d.sync(string(a.p.Stage))
}
