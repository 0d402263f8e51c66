package overlaytest

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"astrid/overlay"
	"astrid/overlay/check"
)

// growSteps is how many operations make a base.
const growSteps = 45

// TestModel drives the overlay in process: restarts, frozen layers, forgetting.
func TestModel(t *testing.T) { driveModel(t, 50, false) }

// TestModelPinned does with files of the base that are copied when they are first
// spoken of.
func TestModelPinned(t *testing.T) { driveModel(t, 10, true) }

func driveModel(t *testing.T, percent int, pin bool) {
	cases(t, percent)
	rapid.Check(t, func(t *rapid.T) {
		c := NewCase(t, growSteps, Limits{})
		p, err := NewInProcess(overlay.Config{Base: c.Base, Dir: c.Dir, Pin: pin})
		c.must(err)
		c.View = p
		closed := false
		defer func() {
			if !closed {
				p.Close()
			}
		}()
		c.Begin()
		m := &modelCase{Case: c, rt: t, p: p}
		for i := range perCase {
			m.step()
			if i%10 == 9 {
				m.compare()
			}
		}
		m.compare()
		c.CloseSlots()
		closed = true
		c.must(p.Close())
		check.Test(t, c.Dir)
		c.BaseIsUntouched()
	})
}

// modelCase adds to a case what only the process itself can do.
type modelCase struct {
	*Case
	rt     *rapid.T // nil: nothing is random
	p      *InProcess
	frozen *frozen
}

// frozen is a snapshot and what it has to show for ever.
type frozen struct {
	s     *overlay.Snapshot
	image Image
}

func (m *modelCase) step() {
	switch turn := rapid.IntRange(0, 62).Draw(m.rt, "turn"); {
	case turn == 0: // what a failing case is shrunk to
	case turn <= 59:
		m.Step(Draw(m.rt, m.Known(), Limits{Slots: true}))
	case turn == 60:
		m.freeze()
	case turn == 61:
		m.thaw()
	default:
		m.reopen()
	}
}

func (m *modelCase) reopen() {
	m.T.Logf("reopen")
	m.CloseSlots()
	m.must(m.p.Reopen())
	if s := m.p.Overlay.Frozen(); (s != nil) != (m.frozen != nil) {
		m.T.Fatalf("frozen before: %v, now: %v", m.frozen != nil, s != nil)
	} else if s != nil {
		m.frozen.s = s
	}
	m.compare()
}

func (m *modelCase) freeze() {
	m.T.Logf("freeze")
	s, err := m.p.Overlay.Freeze()
	if m.frozen != nil {
		if !errors.Is(err, unix.EBUSY) {
			m.T.Fatalf("a second freeze: %v", err)
		}
		return
	}
	m.must(err)
	image, err := m.Plain.Image()
	m.must(err)
	m.frozen = &frozen{s, image}
	m.compare()
}

func (m *modelCase) thaw() {
	m.T.Logf("thaw")
	var s *overlay.Snapshot
	if m.frozen != nil {
		s = m.frozen.s
	}
	m.must(m.p.Overlay.Thaw(s))
	m.frozen = nil
	m.compare()
}

// compare compares the view, the live snapshot and every frozen one.
func (m *modelCase) compare() {
	m.T.Helper()
	view := m.Compare()
	m.Slots()
	live, err := Look(m.p.Overlay.Live())
	m.must(err)
	rule := Rule{Exact: true, Times: true, DirTimes: true, DirLinks: true}
	if diff := rule.Diff(view, live); len(diff) > 0 {
		m.T.Fatalf("the tree (plain) and its live snapshot (view):\n%s", strings.Join(diff, "\n"))
	}
	if m.frozen != nil {
		image, err := Look(m.frozen.s)
		m.must(err)
		m.Same(m.frozen.image, image)
	}
}
