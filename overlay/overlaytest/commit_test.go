package overlaytest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"astrid/overlay"
	"astrid/overlay/check"
	"astrid/overlay/commit"
)

// TestCommitted commits between operations: whatever of it arrives in the base,
// nobody who works in the view sees anything of that, by name or by number.
func TestCommitted(t *testing.T) {
	cases(t, 10)
	rapid.Check(t, func(t *rapid.T) {
		c := NewCase(t, growSteps, Limits{})
		cfg := commit.Config{Git: "-"}
		for name, dir := range map[string]*string{"journal": &cfg.Journal, "undo": &cfg.Undo} {
			*dir = filepath.Join(c.root, name)
			c.must(os.Mkdir(*dir, 0o700))
		}
		p, err := NewInProcess(overlay.Config{Base: c.Base, Dir: c.Dir})
		c.must(err)
		c.View = p
		closed := false
		defer func() {
			if !closed {
				p.Close()
			}
		}()
		c.Begin()
		c.Rule.Times = false // what is as in the base gets the times of the base
		m := &modelCase{Case: c, rt: t, p: p}
		for range perCase {
			switch turn := rapid.IntRange(0, 40).Draw(t, "turn"); {
			case turn == 0:
			case turn < 38:
				c.Step(Draw(t, c.Known(), Limits{Slots: true}))
			case turn == 38:
				m.reopen()
			default:
				m.commit(cfg)
			}
		}
		m.commit(cfg)
		c.CloseSlots()
		closed = true
		c.must(p.Close())
		check.Test(t, c.Dir)
		check.TestJournals(t, cfg.Journal)
	})
}

func (m *modelCase) commit(cfg commit.Config) {
	m.T.Helper()
	m.compare()
	r, err := commit.Commit(context.Background(), m.p.Overlay, cfg, commit.Request{})
	var conflict *commit.ConflictError
	if errors.As(err, &conflict) {
		m.T.Fatalf("nobody else was there: %v", conflict.List)
	}
	m.must(err)
	m.T.Logf("commit %d: %d applied, %d held back", r.Number, len(r.Applied), len(r.Held))
	m.compare()
}
