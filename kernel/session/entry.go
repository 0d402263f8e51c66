package session

import (
	"context"
	"sync"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// States of a session, as wire.Session.State says them.
const (
	starting   = "starting"
	running    = "running"
	restarting = "restarting"
	stopping   = "stopping"
	failed     = "failed"
	stopped    = "stopped"
)

// entry is one session of the table.
type entry struct {
	t    *Table
	name string
	life chan struct{} // a semaphore of one; see the lock order

	mu       sync.Mutex
	record   wire.SessionRecord
	state    string
	since    time.Time
	note     string
	foreign  string // why a running view server cannot be talked to; empty when it can
	proc     *process
	crashes  int
	pardoned bool          // the next crash is the first one that counts
	ending   bool          // somebody asked for the end: a death is no crash
	changed  chan struct{} // closed and replaced at each change of state
	halt     context.CancelFunc
	halted   chan struct{} // closed when the supervisor has ended; nil when there was none
}

func newEntry(t *Table, record wire.SessionRecord) *entry {
	return &entry{
		t: t, name: record.Name, record: record, life: make(chan struct{}, 1),
		state: stopped, since: time.Now(), changed: make(chan struct{}),
	}
}

// set changes the state and tells those who wait for it.
func (e *entry) set(state, note string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.setLocked(state, note)
}

// setLocked needs e.mu.
func (e *entry) setLocked(state, note string) {
	if e.state != state {
		e.since = time.Now()
	}
	e.state, e.note = state, note
	close(e.changed)
	e.changed = make(chan struct{})
}

// look returns the state and a channel that is closed when it changes.
func (e *entry) look() (state, note string, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state, e.note, e.changed
}

func (e *entry) describe() wire.Session {
	h := e.t.cfg.Home
	e.mu.Lock()
	defer e.mu.Unlock()
	s := wire.Session{
		Name: e.name, Base: e.record.Dir, Workspace: h.Workspace(e.name),
		State: e.state, Created: e.record.Created, Since: e.since.UTC(), Restarts: e.crashes, Note: e.note,
		Parent: e.record.Parent,
		Modes:  e.record.Modes,
	}
	if e.proc != nil {
		s.PID = e.proc.pid
	}
	return s
}

// want records on disk whether the session is to be up, before it is made true.
func (e *entry) want(want string) error {
	e.mu.Lock()
	record := e.record
	e.mu.Unlock()
	if record.Want == want {
		return nil
	}
	record.Want = want
	if err := saveRecord(e.t.cfg.Home, record); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "record that session %s is to be %s", e.name, want)
	}
	e.mu.Lock()
	e.record.Want = want
	e.mu.Unlock()
	return nil
}

// choose records the modes that req asks for. The caller holds life.
func (e *entry) choose(req wire.Up) error {
	e.mu.Lock()
	record, state := e.record, e.state
	e.mu.Unlock()
	modes := record.Modes.Asked(req)
	switch {
	case modes == record.Modes:
		return nil
	case state != stopped && state != failed:
		return fault.New(fault.Busy, "session %s is up, and its modes change only while it is down; run astrid down --session %s, then astrid up again", e.name, e.name)
	}
	record.Modes = modes
	if err := saveRecord(e.t.cfg.Home, record); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "record how session %s is to be brought up", e.name)
	}
	e.mu.Lock()
	e.record.Modes = modes
	e.mu.Unlock()
	return nil
}

// lock takes the life of the session; the returned function gives it back.
func (e *entry) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case e.life <- struct{}{}:
		return func() { <-e.life }, nil
	case <-ctx.Done():
		return nil, fault.Wrap(fault.KindOf(ctx.Err()), ctx.Err(), "session %s is being brought up or down by somebody else", e.name)
	}
}

// settle sets the state of a session that is down from what its last view
// server left.
func (e *entry) settle() {
	switch exit := readExit(e.t.cfg.Home, e.name); {
	case exit == nil:
		e.set(stopped, "")
	case exit.Error != nil:
		e.set(failed, exit.Error.Text)
	default:
		e.set(stopped, keptBy(exit))
	}
}

// await waits until the session is in one of the states that good tells, for
// at most patience; it returns the state that it saw last.
func (e *entry) await(ctx context.Context, patience time.Duration, good func(state string) bool) (state, note string, err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		state, note, changed := e.look()
		if good(state) {
			return state, note, nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return state, note, fault.New(fault.Unavailable, "the view of session %s is %s; try again in a moment, or look at %s",
				e.name, state, e.t.cfg.Home.ViewLog(e.name))
		case <-ctx.Done():
			return state, note, ctx.Err()
		}
	}
}
