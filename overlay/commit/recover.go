package commit

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/change"
)

// Report is what recovery found and did.
type Report struct {
	Actions []string
	// Left names paths that were found in a state that no step explains: both
	// versions are kept.
	Left []string
}

// Recover finishes or takes back what an interrupted commit left, and ends a
// freeze that nobody needs any more. It is called after overlay.Open, before the
// view is served, and does nothing when there is nothing to do.
func Recover(ctx context.Context, o *overlay.Overlay, cfg Config) (Report, error) {
	cfg = cfg.withDefaults()
	w, err := enter(o, cfg)
	if err != nil {
		return Report{}, err
	}
	defer w.close()
	r := &recovery{w: w, o: o, cfg: cfg}
	numbers, err := numbered(w.journal, journalPrefix)
	if err != nil {
		return Report{}, err
	}
	for _, n := range numbers {
		if err := ctx.Err(); err != nil {
			return r.Report, err
		}
		if err := r.one(n); err != nil {
			return r.Report, fmt.Errorf("recover commit %d: %w", n, err)
		}
	}
	if s := o.Frozen(); s != nil {
		if err := o.Thaw(s); err != nil {
			return r.Report, err
		}
		r.say("the changes of a commit that had not begun are back in the view")
	}
	resumed, err := o.Resume()
	if err != nil {
		return r.Report, err
	}
	if resumed {
		r.say("what a rollback of paths had begun is done")
	}
	return r.Report, Prune(o, cfg)
}

type recovery struct {
	Report
	w   *workspace
	o   *overlay.Overlay
	cfg Config
}

func (r *recovery) say(format string, args ...any) {
	r.Actions = append(r.Actions, fmt.Sprintf(format, args...))
	r.cfg.Log.Info("recovered", "what", r.Actions[len(r.Actions)-1])
}

// one deals with one journal.
func (r *recovery) one(n uint64) error {
	name := journalName(journalPrefix, n)
	s, err := readJournal(r.w.journal, name)
	if err != nil {
		return err
	}
	j, err := openJournal(r.w.journal, name)
	if err != nil {
		return err
	}
	defer j.close()
	switch {
	case s.plan == nil:
		return r.notBegun(n, s, j)
	case s.back:
		r.say("commit %d had been taken back", n)
		return r.w.undone(r.o, r.cfg, j, s.plan, nil)
	}
	c := &closing{w: r.w, o: r.o, cfg: r.cfg, j: j, p: s.plan}
	if !s.applied {
		ok, err := r.finish(j, s.plan)
		if err != nil || !ok {
			return err
		}
		if err := j.record(recApplied, nil); err != nil {
			return err
		}
	}
	if err := c.fold(r.o.Frozen()); err != nil {
		return err
	}
	r.say("commit %d is complete", n)
	return c.store()
}

// notBegun cleans up after a commit that made nothing visible.
func (r *recovery) notBegun(n uint64, s state, j *journal) error {
	if s.begin != nil {
		if err := r.w.notBegun(r.cfg, s.begin); err != nil {
			return err
		}
	}
	if err := r.o.Spare(n); err != nil {
		return err
	}
	r.say("commit %d had not begun", n)
	return j.drop()
}

// finish makes the rest of the steps, or takes back those that were made. It
// tells whether the commit is whole now.
func (r *recovery) finish(j *journal, p *plan) (bool, error) {
	if err := r.sameBase(p); err != nil {
		return false, err
	}
	a := &applier{d: r.w.d, p: p, kill: r.cfg.Kill}
	next, ready, err := a.survey()
	if err != nil {
		return false, err
	}
	if ready {
		err := a.forward(next)
		if err == nil {
			return true, nil
		}
		var m *mismatch
		if !errors.As(err, &m) {
			return false, err
		}
		r.Left = append(r.Left, m.Error())
		if next, _, err = a.survey(); err != nil {
			return false, err
		}
	} else {
		r.Left = append(r.Left, fmt.Sprintf("%s is neither as the commit found it nor as it would leave it",
			change.Quote(string(p.Steps[next].To))))
	}
	a.back(next)
	r.Left = append(r.Left, a.left...)
	if err := j.record(recBack, nil); err != nil {
		return false, err
	}
	r.say("commit %d was taken back", p.Number)
	return false, r.w.undone(r.o, r.cfg, j, p, a.left)
}

// sameBase refuses to touch another directory than the one that the plan is for.
func (r *recovery) sameBase(p *plan) error {
	st, err := r.w.d.stat(change.Root)
	if err != nil {
		return err
	}
	if st == nil || !sameInode(st.Key, p.Base) {
		return fmt.Errorf("the workspace is not the directory that the commit was made for: %w", unix.ESTALE)
	}
	return nil
}

// survey finds out how many steps were made: those up to the last one that is
// found done, for they are made in order. ready tells whether the one after it
// is found exactly as it must be before it is made.
func (a *applier) survey() (next int, ready bool, err error) {
	for next = len(a.p.Steps); next > 0; next-- {
		done, err := a.made(&a.p.Steps[next-1])
		if err != nil {
			return 0, false, err
		}
		if done {
			break
		}
	}
	if next == len(a.p.Steps) {
		return next, true, nil
	}
	ready, err = a.unmade(&a.p.Steps[next])
	return next, ready, err
}

// made tells whether a step is found done.
func (a *applier) made(s *step) (bool, error) {
	there, err := a.hasKey(s.To, s.Obj)
	if err != nil || !there || s.Do == doLink {
		return there, err
	}
	if s.Do == doSwap {
		return a.hasKey(s.From, *s.Pre)
	}
	still, err := a.hasKey(s.From, s.Obj)
	return !still, err
}

// unmade tells whether a step is found not done, and everything ready for it.
func (a *applier) unmade(s *step) (bool, error) {
	ready, err := a.has(s.From, s.Obj)
	if err != nil || !ready {
		return false, err
	}
	if s.Do == doSwap {
		return a.has(s.To, *s.Pre)
	}
	return a.empty(s.To)
}
