package overlaytest

import (
	"testing"

	"pgregory.net/rapid"

	"astrid/overlay/check"
)

// TestKilled drives the overlay in a process that is killed again and again:
// what was answered is there after it, and of what was not, nothing or all.
func TestKilled(t *testing.T) {
	cases(t, 10)
	rapid.Check(t, func(t *rapid.T) {
		c := NewCase(t, growSteps, Limits{})
		r, err := NewRemote(c.Base, c.Dir)
		c.must(err)
		c.View = r
		defer func() { r.Kill() }()
		c.Begin()
		k := &killedCase{Case: c, rt: t, r: r}
		for left := perCase; left > 0; {
			left -= k.turn()
		}
		c.Compare()
		c.CloseSlots()
		c.must(r.Close())
		check.Test(t, c.Dir)
		c.BaseIsUntouched()
	})
}

type killedCase struct {
	*Case
	rt *rapid.T
	r  *Remote
}

// turn does something and returns how many operations it was.
func (k *killedCase) turn() int {
	switch turn := rapid.IntRange(0, 20).Draw(k.rt, "turn"); {
	case turn == 0:
		return 1
	case turn <= 14:
		k.Step(Draw(k.rt, k.Known(), Limits{Slots: true}))
		return 1
	case turn == 15:
		k.T.Logf("freeze")
		k.must(k.r.Freeze())
		return 1
	case turn == 16:
		k.T.Logf("thaw")
		k.must(k.r.Thaw())
		return 1
	case turn <= 18:
		k.T.Logf("kill")
		k.closePlain()
		k.r.Kill()
		check.Killed(k.T, k.Dir)
		k.must(k.r.Start())
		k.Compare()
		return 1
	}
	return k.amid()
}

// closePlain closes what is open in the plain directory: a killed process has
// nothing open any more.
func (k *killedCase) closePlain() {
	for slot := range Slots {
		_, err := k.Plain.Do(&Op{Kind: Close, At: NoSlot, ToAt: NoSlot, Slot: slot})
		k.must(err)
	}
}

// batch is how many operations are under way when the process is killed amid them.
const batch = 12

// amid kills the process while it works. It did the operations one after the
// other, so the view is what it was after the last that was answered, or after
// the one that was not.
func (k *killedCase) amid() int {
	known := k.Known()
	ops := make([]*Op, batch)
	for i := range ops {
		ops[i] = Draw(k.rt, known, Limits{Atomic: true})
	}
	k.closePlain()
	answers, err := k.r.KillAmid(ops, rapid.IntRange(0, batch-1).Draw(k.rt, "answered"))
	k.must(err)
	check.Killed(k.T, k.Dir)
	for i := range answers {
		p, err := k.Plain.Do(ops[i])
		k.must(err)
		k.T.Logf("%s: %s", ops[i], errnoName(p.Errno))
		k.Agree(ops[i], &p, &answers[i])
	}
	k.T.Logf("killed after %d answers", len(answers))
	k.must(k.r.Start())
	view, err := k.View.Image()
	k.must(err)
	before, err := k.Plain.Image()
	k.must(err)
	diff := k.Rule.Diff(before, view)
	if len(diff) == 0 || len(answers) == len(ops) {
		k.Same(before, view)
		return batch
	}
	next := ops[len(answers)]
	_, err = k.Plain.Do(next)
	k.must(err)
	after, err := k.Plain.Image()
	k.must(err)
	if more := k.Rule.Diff(after, view); len(more) > 0 {
		k.T.Fatalf("%s is half done:\nbefore it: %q\nafter it: %q", next, diff, more)
	}
	k.Compare()
	return batch
}
