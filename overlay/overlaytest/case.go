package overlaytest

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// Case is one base with a plain copy of it and a view over it.
type Case struct {
	T     T
	Base  string
	Dir   string // of the view's changes
	Rule  Rule
	Plain *Posix
	View  Driver

	root   string
	before Image // of the base
	ino    map[object]uint64
	used   map[uint64]object
}

// object is the identity of an object of the plain directory: its number alone
// may be another's after it is gone.
type object struct {
	ino   uint64
	btime int64
	gen   uint32
}

// T is what a case needs of a test, a rapid one or another.
type T interface {
	rapid.TB
	Context() context.Context
	Cleanup(func())
}

// NewCase grows a base and copies it. The caller sets View, then calls Begin.
func NewCase(t *rapid.T, steps int, l Limits) *Case {
	t.Helper()
	return NewCaseOver(t, func(base string) error { return Grow(t, base, steps, l) })
}

// NewCaseOver is NewCase with a base that make fills.
func NewCaseOver(t T, make func(base string) error) *Case {
	t.Helper()
	root, err := os.MkdirTemp("", "overlaytest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	c := &Case{
		T: t, root: root, Base: filepath.Join(root, "base"), Dir: filepath.Join(root, "changes"),
		ino: map[object]uint64{}, used: map[uint64]object{},
	}
	plain := filepath.Join(root, "plain")
	for _, dir := range []string{c.Base, plain} {
		c.must(os.Mkdir(dir, 0o755))
	}
	c.must(make(c.Base))
	c.must(CopyTree(c.Base, plain))
	c.before = c.readBase()
	c.Plain, err = NewPosix(plain)
	c.must(err)
	t.Cleanup(func() { c.Plain.Close() })
	c.Rule = Rule{Times: true, DirTimes: true, DirLinks: c.before[""].Nlink >= 2}
	return c
}

func (c *Case) must(err error) {
	c.T.Helper()
	if err != nil {
		c.T.Fatal(err)
	}
}

func (c *Case) readBase() Image {
	c.T.Helper()
	b, err := NewPosix(c.Base)
	c.must(err)
	defer b.Close()
	m, err := b.Image()
	c.must(err)
	return m
}

// Begin compares the untouched view with the base: numbers are the base's.
func (c *Case) Begin() {
	c.T.Helper()
	for p, e := range c.Compare() {
		if b := c.before[p]; b.Ino != e.Ino {
			c.T.Fatalf("%q: number %d, in the base %d", p, e.Ino, b.Ino)
		}
	}
}

// Known lists what is there.
func (c *Case) Known() *Known {
	c.T.Helper()
	k, err := c.Plain.Known()
	c.must(err)
	return k
}

// Step applies an operation to both and compares the answers.
func (c *Case) Step(op *Op) {
	c.T.Helper()
	p := c.step(op)
	if !p.Skip {
		c.T.Logf("%s: %v", op, errnoName(p.Errno))
	}
}

func (c *Case) step(op *Op) Result {
	c.T.Helper()
	p, err := c.Plain.Do(op)
	c.must(err)
	v, err := c.View.Do(op)
	if err != nil {
		c.T.Fatalf("%s: %v", op, err)
	}
	c.Agree(op, &p, &v)
	return p
}

func errnoName(e error) string {
	if no, ok := e.(unix.Errno); ok {
		if no == 0 {
			return "ok"
		}
		return unix.ErrnoName(no)
	}
	return fmt.Sprint(e)
}

// Agree compares the answers to an operation.
func (c *Case) Agree(op *Op, p, v *Result) {
	c.T.Helper()
	switch {
	case p.Errno != v.Errno || p.Skip != v.Skip:
		c.T.Fatalf("%s: plain %s, view %s", op, errnoName(p.Errno), errnoName(v.Errno))
	case string(p.Data) != string(v.Data):
		c.T.Fatalf("%s: plain %s, view %s", op, about(p.Data, v.Data), about(v.Data, p.Data))
	case !slices.Equal(p.Names, v.Names):
		c.T.Fatalf("%s: plain %q, view %q", op, p.Names, v.Names)
	case p.Entry == nil || v.Entry == nil:
		return
	}
	if op.Kind == Utimes && op.Atime != math.MinInt64 && p.Entry.Atime != v.Entry.Atime {
		c.T.Fatalf("%s: atime: plain %s, view %s", op, ns(p.Entry.Atime), ns(v.Entry.Atime))
	}
	for _, d := range c.Rule.diff("", p.Entry, v.Entry) {
		c.T.Fatalf("%s: %s", op, d)
	}
}

// Compare compares the whole trees, and the numbers with those of before. It
// returns what the view looks like.
func (c *Case) Compare() Image {
	c.T.Helper()
	plain, err := c.Plain.Image()
	c.must(err)
	view, err := c.View.Image()
	if err != nil {
		c.T.Fatalf("read the view: %v", err)
	}
	c.Same(plain, view)
	c.numbers(plain, view)
	return view
}

// Same fails unless two images agree.
func (c *Case) Same(plain, view Image) {
	c.T.Helper()
	if diff := c.Rule.Diff(plain, view); len(diff) > 0 {
		c.T.Fatalf("the view is not the plain directory:\n%s", strings.Join(diff, "\n"))
	}
}

// numbers checks that an object keeps its number, and that none is given twice.
func (c *Case) numbers(plain, view Image) {
	c.T.Helper()
	for _, p := range plain.Paths() {
		e, n := plain[p], view[p].Ino
		id := object{e.Ino, e.Btime, e.Gen}
		if was, ok := c.ino[id]; ok && was != n {
			c.T.Fatalf("%q had number %d and has %d", p, was, n)
		}
		if other, ok := c.used[n]; ok && other != id {
			c.T.Fatalf("%q has number %d, which was another object's", p, n)
		}
		c.ino[id], c.used[n] = n, id
	}
}

// CloseSlots closes what is open, in both.
func (c *Case) CloseSlots() {
	c.T.Helper()
	for slot := range Slots {
		c.step(&Op{Kind: Close, At: NoSlot, ToAt: NoSlot, Slot: slot})
	}
}

// Slots compares what is open: attributes and bytes.
func (c *Case) Slots() {
	c.T.Helper()
	for slot := range Slots {
		c.step(&Op{Kind: Stat, At: slot, ToAt: NoSlot})
		c.step(&Op{Kind: Read, At: slot, ToAt: NoSlot, Len: 1 << 20})
		c.step(&Op{Kind: Readdir, At: slot, ToAt: NoSlot})
	}
}

// BaseIsUntouched fails if the base is not what it was, to the last ctime.
func (c *Case) BaseIsUntouched() {
	c.T.Helper()
	now := c.readBase()
	strict := Rule{Exact: true, Times: true, DirTimes: true, DirLinks: true}
	for _, d := range strict.Diff(c.before, now) {
		c.T.Errorf("the base was changed: %s", d)
	}
	for p, e := range now {
		if b := c.before[p]; b != nil && (b.Ctime != e.Ctime || b.Ino != e.Ino) {
			c.T.Errorf("the base was changed: %q: ctime %s, was %s", p, ns(e.Ctime), ns(b.Ctime))
		}
	}
}
