package kernel

import (
	"context"
	"strconv"
	"sync"
	"time"

	"astrid/kernel/audit"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// committed is where the kernel keeps, by session, the number up to which every
// commit is in the audit log.
const committed store.Namespace = "system:commits"

const (
	// lookFor bounds how long a view is asked once for what it has committed.
	lookFor = 5 * time.Second
	// lookAgain is how long it is left alone then at first, and at most.
	lookAgain, lookAgainMax = time.Second, time.Minute
)

// missed finds commits that nobody recorded: those that a view finished while no
// kernel was there, and those whose outcome this one was not told. A view that
// does not answer is asked again and holds up nobody; a commit of a session waits
// until those before it are recorded.
type missed struct {
	k     *Kernel
	asked chan struct{} // capacity 1: there is something in wanted

	mu     sync.Mutex
	of     map[string]*account // by session; guarded by mu
	wanted map[string]bool     // sessions to look at; guarded by mu
}

// account is what is known of the commits of one session.
type account struct {
	turn chan struct{} // capacity 1; held by who asks the view

	// Guarded by missed.mu.
	loaded   bool
	recorded uint64          // every commit up to this one is in the log
	above    map[uint64]bool // so are these
	made     map[uint64]bool // made by an operation that is about to record it
	running  int             // operations that commit
	begun    uint64          // such operations so far
	settled  bool            // all that the view had committed is recorded or made
	looking  bool            // somebody asks the view until it answers
}

func newMissed(k *Kernel) *missed {
	return &missed{k: k, asked: make(chan struct{}, 1), of: map[string]*account{}, wanted: map[string]bool{}}
}

// account returns that of a session, with what the store knows.
func (m *missed) account(session string) (*account, error) {
	a, loaded := m.inMemory(session)
	if loaded {
		return a, nil
	}
	var recorded uint64
	data, err := m.k.commits.Get(session)
	if err == nil {
		recorded, err = strconv.ParseUint(string(data), 10, 64)
	} else if fault.Is(err, fault.NotFound) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !a.loaded {
		a.loaded, a.recorded = true, recorded
	}
	return a, nil
}

func (m *missed) inMemory(session string) (a *account, loaded bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a = m.of[session]
	if a == nil {
		a = &account{turn: make(chan struct{}, 1), above: map[uint64]bool{}, made: map[uint64]bool{}}
		m.of[session] = a
	}
	return a, a.loaded
}

// look has a session looked at soon; it may be up again or its view may have
// committed something that nobody heard of.
func (m *missed) look(session string) {
	m.mu.Lock()
	if a := m.of[session]; a != nil {
		a.settled = false
	}
	m.wanted[session] = true
	m.mu.Unlock()
	select {
	case m.asked <- struct{}{}:
	default:
	}
}

// run looks at sessions until ctx ends, at each by itself; first at all that are
// up.
func (m *missed) run(ctx context.Context) {
	if list, err := m.k.Sessions.List(ctx); err == nil {
		for _, s := range list {
			m.look(s.Name)
		}
	}
	var each sync.WaitGroup
	defer each.Wait()
	for {
		select {
		case <-m.asked:
		case <-ctx.Done():
			return
		}
		for _, session := range m.take() {
			each.Go(func() { m.pursue(ctx, session) })
		}
	}
}

// take returns the sessions to look at that nobody looks at.
func (m *missed) take() (sessions []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for session := range m.wanted {
		if a := m.of[session]; a == nil || !a.looking {
			sessions = append(sessions, session)
		}
		delete(m.wanted, session)
	}
	return sessions
}

// pursue asks the view of a session until it has answered, or is gone.
func (m *missed) pursue(ctx context.Context, session string) {
	a, err := m.account(session)
	if err != nil {
		m.k.config.Log.Error("commits that nobody recorded are not looked for", "session", session, "err", err)
		return
	}
	m.setLooking(a, true)
	defer m.setLooking(a, false)
	for pause := lookAgain; ; pause = min(2*pause, lookAgainMax) {
		once, cancel := context.WithTimeout(ctx, lookFor)
		err := m.settle(once, session)
		cancel()
		if err == nil || ctx.Err() != nil || gone(err) {
			return
		}
		m.k.config.Log.Warn("a view does not say what it has committed; it is asked again", "session", session, "in", pause, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// gone tells whether a view will not answer before its session is brought up.
func gone(err error) bool {
	return fault.Is(err, fault.NotRunning) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unsupported)
}

func (m *missed) setLooking(a *account, looking bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a.looking = looking
}

// settle records what the view of a session has committed and nobody recorded.
func (m *missed) settle(ctx context.Context, session string) error {
	a, err := m.account(session)
	if err != nil {
		return err
	}
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	m.mu.Lock()
	settled, begun := a.settled, a.begun
	m.mu.Unlock()
	if settled {
		return nil
	}
	status, err := m.k.Sessions.Status(ctx, session)
	switch {
	case err != nil:
		return err
	case status.Session.State != "running":
		return fault.New(fault.NotRunning, "the session %s is %s", session, status.Session.State)
	case status.Digest == "": // it was not asked
		return fault.New(fault.Unsupported, "the view of the session %s cannot be asked what it has committed: %s", session, status.Session.Note)
	}
	numbers, err := m.unrecorded(a, status.Commits, begun)
	for _, n := range numbers {
		if err := m.recordFound(ctx, session, n); err != nil {
			return err
		}
	}
	return err
}

// unrecorded are the commits up to last that are neither recorded nor about to
// be. The answer is of no use when an operation that commits was under way. A
// session that was begun anew counts from 1 again.
func (m *missed) unrecorded(a *account, last, begun uint64) (numbers []uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.running > 0 || a.begun != begun {
		return nil, fault.New(fault.Busy, "a commit is under way")
	}
	if last < a.recorded {
		a.recorded = 0
		clear(a.above)
	}
	for n := a.recorded + 1; n <= last; n++ {
		if !a.above[n] && !a.made[n] {
			numbers = append(numbers, n)
		}
	}
	a.settled = true
	return numbers, nil
}

func (m *missed) recordFound(ctx context.Context, session string, n uint64) error {
	err := m.k.Audit.Append(ctx, audit.Record{
		Session: session, Action: commitOf(session, n, ""), Outcome: audit.Outcome{Success: true, Text: "found in the view: nobody had recorded it"},
		Authorization: audit.Authorization{Type: audit.System, Fields: audit.Fields{"reason": "takeover"}},
	})
	if err != nil {
		m.look(session)
		return err
	}
	m.note(session, n)
	return nil
}

// begin counts an operation that commits in, once what came before is recorded.
// While another one runs that cannot be known; then it is found out after both.
func (m *missed) begin(ctx context.Context, session string) (*account, error) {
	if err := m.settle(ctx, session); err != nil && !fault.Is(err, fault.Busy) {
		return nil, err
	}
	a, err := m.account(session)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a.running++
	a.begun++
	return a, nil
}

// end counts it out. Unless the view said what came of it, somebody asks.
func (m *missed) end(session string, a *account, number uint64, err error) {
	m.mu.Lock()
	a.running--
	if err == nil && number > 0 {
		a.made[number] = true
	}
	unsettled := !a.settled
	m.mu.Unlock()
	if unsettled || unknown(err) {
		m.look(session)
	}
}

// unknown tells whether an operation that ended with err may have been done.
func unknown(err error) bool {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Interrupted, fault.Internal:
		return err != nil
	}
	return false
}

// note keeps that a commit is in the log. Commits of one session may be recorded
// in another order than they were made in: what is kept is how far none lacks.
func (m *missed) note(session string, n uint64) {
	a, err := m.account(session)
	if err == nil {
		err = m.k.commits.Update(func(tx *store.Tx) error { return m.advance(tx, session, a, n) })
	}
	if err != nil {
		m.k.config.Log.Warn("the number of a recorded commit was not kept: it may be recorded twice", "session", session, "err", err)
	}
}

func (m *missed) advance(tx *store.Tx, session string, a *account, n uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(a.made, n)
	if n <= a.recorded {
		return nil
	}
	a.above[n] = true
	for a.above[a.recorded+1] {
		a.recorded++
		delete(a.above, a.recorded)
	}
	return tx.Set(m.k.commits, session, strconv.AppendUint(nil, a.recorded, 10))
}

// forget drops what is known of a session that is gone, whose name may come again.
func (m *missed) forget(session string) {
	if _, err := m.k.commits.Delete(session); err != nil {
		m.k.config.Log.Warn("the commits of a session that is gone are still counted", "session", session, "err", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, session)
}

// accounted are sessions whose commits are all in the audit log.
type accounted struct {
	op.Sessions
	missed *missed
}

// Up implements op.Sessions. A view that starts finishes what was interrupted.
func (s accounted) Up(ctx context.Context, req wire.Up) (wire.Session, error) {
	up, err := s.Sessions.Up(ctx, req)
	if err == nil {
		s.missed.look(up.Name)
	}
	return up, err
}

// Recover implements op.Sessions.
func (s accounted) Recover(ctx context.Context, session string) (wire.RecoverReply, error) {
	defer s.missed.look(session)
	return s.Sessions.Recover(ctx, session)
}

// Remove implements op.Sessions.
func (s accounted) Remove(ctx context.Context, req wire.RemoveRequest) error {
	err := s.Sessions.Remove(ctx, req)
	if err == nil {
		s.missed.forget(req.Session)
	}
	return err
}

// Commit implements op.Sessions.
func (s accounted) Commit(ctx context.Context, session string, req wire.CommitRequest) (wire.CommitReply, error) {
	if req.DryRun {
		return s.Sessions.Commit(ctx, session, req)
	}
	a, err := s.missed.begin(ctx, session)
	if err != nil {
		return wire.CommitReply{}, err
	}
	reply, err := s.Sessions.Commit(ctx, session, req)
	s.missed.end(session, a, reply.Number, err)
	return reply, err
}

// Undo implements op.Sessions: what it does has a number among the commits.
func (s accounted) Undo(ctx context.Context, session string, req wire.UndoRequest) (wire.UndoReply, error) {
	if req.DryRun {
		return s.Sessions.Undo(ctx, session, req)
	}
	a, err := s.missed.begin(ctx, session)
	if err != nil {
		return wire.UndoReply{}, err
	}
	reply, err := s.Sessions.Undo(ctx, session, req)
	s.missed.end(session, a, reply.Number, err)
	return reply, err
}
