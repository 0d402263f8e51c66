package overlaytest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"astrid/fs"
	"astrid/fs/tree"
	"astrid/overlay"
	"astrid/overlay/check"
)

// In the tests of edits in the base, names that begin with o are changed through
// the view only, names that begin with t in the base only, and directories that
// begin with s are there from the start, have both in them and stay.

func oNames() []string  { return []string{"o0", "o1", "o2", "o3"} }
func tNames() []string  { return []string{"t0", "t1", "t2", "t3"} }
func shared() []string  { return []string{"s1", "s1/s2", "s3"} }
func letters() []string { return []string{"o", "t"} }

// outsideCase is a case whose base is edited.
type outsideCase struct {
	*Case
	rt   *rapid.T
	base *Posix
}

func newOutsideCase(t *rapid.T) *outsideCase {
	c := NewCase(t, 0, Limits{})
	base, err := NewPosix(c.Base)
	c.must(err)
	t.Cleanup(func() { base.Close() })
	o := &outsideCase{c, t, base}
	for _, dir := range shared() {
		o.both(&Op{Kind: Mkdir, Path: dir, Mode: 0o755})
	}
	for range 40 {
		letter := pick(&gen{t: t}, "letter", letters())
		o.both(o.draw(letter))
	}
	c.Rule.Skip = map[string]bool{"": true}
	for _, dir := range shared() {
		c.Rule.Skip[dir] = true
	}
	return o
}

// both does the same to the base and to the plain directory.
func (o *outsideCase) both(op *Op) {
	o.T.Helper()
	if op == nil {
		return
	}
	op.At, op.ToAt = NoSlot, NoSlot
	p, err := o.Plain.Do(op)
	o.must(err)
	b, err := o.base.Do(op)
	o.must(err)
	o.T.Logf("in the base: %s: %s", op, errnoName(p.Errno))
	o.Agree(op, &p, &b)
}

// draw returns an operation on names with a letter; nil when it would be one on
// a directory that is everybody's.
func (o *outsideCase) draw(letter string) *Op {
	l := Limits{Names: oNames()}
	if letter == "t" {
		l.Names = tNames()
	}
	k := o.Known()
	mine := func(p string) bool {
		for _, part := range components(p) {
			if part[:1] != letter && part[:1] != "s" {
				return true
			}
		}
		return false
	}
	k.Dirs, k.Files, k.Others = slices.DeleteFunc(k.Dirs, mine), slices.DeleteFunc(k.Files, mine), slices.DeleteFunc(k.Others, mine)
	op := Draw(o.rt, k, l)
	everybodys := func(p string) bool { return p == "" || slices.Contains(shared(), p) }
	switch op.Kind {
	case Link, Rename, Copy:
		if everybodys(op.To) {
			return nil
		}
	case Forget, Fsync:
		return nil
	}
	if everybodys(op.Path) {
		return nil
	}
	return op
}

// settled waits until the view shows what the plain directory shows: edits are
// seen at once where they are heard of, but not before they are. changed tells
// that something may be new.
func (o *outsideCase) settled(changed <-chan struct{}) {
	o.T.Helper()
	late := time.After(10 * time.Second)
	for {
		plain, err := o.Plain.Image()
		o.must(err)
		view, err := o.View.Image()
		diff := []string{}
		if err != nil {
			diff = append(diff, err.Error()) // an entry was there and is not
		} else {
			diff = o.Rule.Diff(plain, view)
		}
		if len(diff) == 0 {
			return
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		case <-late:
			o.T.Fatalf("the view is not the plain directory:\n%s", strings.Join(diff, "\n"))
		}
	}
}

// run edits both sides.
func (o *outsideCase) run(changed <-chan struct{}) {
	for i := range perCase {
		if rapid.IntRange(0, 2).Draw(o.rt, "where") == 0 {
			o.both(o.draw("t"))
		} else if op := o.draw("o"); op != nil {
			o.Step(op)
		}
		if i%10 == 9 {
			o.settled(changed)
		}
	}
	o.settled(changed)
}

// TestOutside edits the base below an overlay in this process.
func TestOutside(t *testing.T) {
	cases(t, 10)
	rapid.Check(t, func(t *rapid.T) {
		o := newOutsideCase(t)
		p, err := NewInProcess(overlay.Config{Base: o.Base, Dir: o.Dir})
		o.must(err)
		defer p.Close()
		o.View = p
		changed := make(chan struct{}, 1)
		p.Overlay.Watch(func(tree.Change) {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
		o.settled(changed)
		o.run(changed)
		p.Overlay.Watch(nil)
		o.must(p.Reopen())
		o.settled(nil)
		o.must(p.Close())
		check.Test(t, o.Dir)
	})
}

// TestOutsideView edits the base below a view that is mounted, whose kernel
// caches what it is not told to forget.
func TestOutsideView(t *testing.T) { outsideView(t, "") }

// TestOutsideViewWriteback does with a kernel that owns sizes and times.
func TestOutsideViewWriteback(t *testing.T) { outsideView(t, writeback) }

func outsideView(t *testing.T, mode string) {
	if err := fs.Preflight(); err != nil {
		t.Skipf("no FUSE mounts here: %v", err)
	}
	cases(t, 5)
	rapid.Check(t, func(t *rapid.T) {
		o := newOutsideCase(t)
		m, err := newMounted(o.Base, o.Dir, filepath.Join(o.root, "mnt"), mode)
		o.must(err)
		o.View = m
		closed := false
		defer func() {
			if !closed {
				m.kill()
			}
		}()
		o.settled(nil)
		o.run(nil)
		closed = true
		o.must(m.Close())
		check.Test(t, o.Dir)
	})
}
