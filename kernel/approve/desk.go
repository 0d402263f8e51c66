package approve

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// Bounds of a Desk.
const (
	MaxWaiting  = 256
	MaxDeferred = 1000
	DeferredFor = 24 * time.Hour
)

// Memory is what had been allowed.
type Memory interface {
	// Allowed uses up and tells whether a request had been allowed.
	Allowed(r Request) (bool, error)
	// Allow remembers an approval: for the session with Session, for good with
	// Always, for one request within DeferredFor with Once.
	Allow(r Request, decision string) error
}

// Config is what a Desk works with. All but Log and Now must be there.
type Config struct {
	Store  *store.Store
	Memory Memory
	// Timeout is how long a request about a session waits.
	Timeout func(session string) time.Duration
	// Announce tells clients of a request, or of the answer to it.
	Announce func(r Request, a *Answer)
	// Record puts into the audit log that a request was made, or, with an
	// answer, what came of it.
	Record func(ctx context.Context, r Request, a *Answer) error
	Log    *slog.Logger
	Now    func() time.Time
}

// Desk is where requests wait. Its methods may be called from any goroutine.
type Desk struct {
	config   Config
	deferred *store.Space

	closing chan struct{} // closed by Close

	mu      sync.Mutex
	closed  string              // why; empty while open. Guarded by mu
	waiting map[string]*waiting // guarded by mu
}

// waiting is one request that somebody waits for.
type waiting struct {
	Request
	answer chan Answer // capacity 1
}

// New makes a Desk.
func New(c Config) (*Desk, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	space, err := c.Store.Space(store.Deferred, store.SpaceOptions{Sync: true})
	if err != nil {
		return nil, err
	}
	return &Desk{config: c, deferred: space, closing: make(chan struct{}), waiting: map[string]*waiting{}}, nil
}

// Close withdraws every request that waits, and refuses others, with Kind
// Unavailable: nobody could be waited for any more. What is kept stays. The
// first reason given is the one that is told.
func (d *Desk) Close(why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed == "" {
		d.closed = why
		close(d.closing)
	}
}

// errClosed says why nobody is asked.
func (d *Desk) errClosed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return stopping(d.closed)
}

func stopping(why string) error {
	return fault.New(fault.Unavailable, "nobody is asked for approval: the kernel is stopping (%s); ask again when it is back", why)
}

// Ask asks and waits. timeout 0 is what is configured. The time that a person
// needs is bounded by timeout alone: ctx is for giving up.
func (d *Desk) Ask(ctx context.Context, r Request, timeout time.Duration) (Answer, error) {
	r, err := d.begin(r)
	if err != nil {
		return Answer{}, err
	}
	if a, done, err := d.remembered(ctx, r); done || err != nil {
		return a, err
	}
	if timeout <= 0 {
		timeout = d.config.Timeout(r.Session)
	}
	r.Expires = r.Asked.Add(timeout)
	w, err := d.enter(r)
	if err != nil {
		return Answer{}, err
	}
	if err := d.config.Record(ctx, r, nil); err != nil {
		d.leave(r.ID)
		return Answer{}, err
	}
	d.config.Announce(r, nil)
	return d.wait(ctx, w, timeout)
}

// Defer asks and does not wait: the answer allows the next such request.
func (d *Desk) Defer(ctx context.Context, r Request) (Answer, error) {
	r, err := d.begin(r)
	if err != nil {
		return Answer{}, err
	}
	if a, done, err := d.remembered(ctx, r); done || err != nil {
		return a, err
	}
	if err := d.keep(&r); err != nil {
		return Answer{}, err
	}
	if err := d.config.Record(ctx, r, nil); err != nil {
		return Answer{}, err
	}
	d.config.Announce(r, nil)
	return Answer{ID: r.ID, Decision: Deferred}, nil
}

func (d *Desk) begin(r Request) (Request, error) {
	r, err := r.cleaned()
	r.ID, r.Asked, r.Deferred = wire.NewUUID(), d.config.Now().UTC(), false
	return r, err
}

// remembered answers what had been allowed.
func (d *Desk) remembered(ctx context.Context, r Request) (Answer, bool, error) {
	allowed, err := d.config.Memory.Allowed(r)
	if err != nil || !allowed {
		return Answer{}, false, err
	}
	a := Answer{ID: r.ID, Approved: true, Decision: Allowance}
	return a, true, d.config.Record(ctx, r, &a)
}

func (d *Desk) enter(r Request) (*waiting, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed != "" {
		return nil, stopping(d.closed)
	}
	if len(d.waiting) >= MaxWaiting {
		return nil, fault.New(fault.Limit, "%d requests wait for approval already", len(d.waiting))
	}
	w := &waiting{Request: r, answer: make(chan Answer, 1)}
	d.waiting[r.ID] = w
	return w, nil
}

// leave takes a request from those that wait; nil when it was answered.
func (d *Desk) leave(id string) *waiting {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.waiting[id]
	delete(d.waiting, id)
	return w
}

func (d *Desk) wait(ctx context.Context, w *waiting, timeout time.Duration) (Answer, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	gone := "" // why the asker cannot be answered
	select {
	case a := <-w.answer:
		return a, nil
	case <-timer.C:
	case <-d.closing:
		gone = "the kernel is stopping"
	case <-ctx.Done():
		gone = "the asker is gone"
	}
	switch {
	case d.leave(w.ID) == nil: // answered in this very moment
		return <-w.answer, nil
	case gone == "":
		return d.unanswered(ctx, w.Request)
	}
	return d.withdrawn(ctx, w.Request, gone)
}

// withdrawn ends a request that no answer could reach.
func (d *Desk) withdrawn(ctx context.Context, r Request, gone string) (Answer, error) {
	a := Answer{ID: r.ID, Decision: Deny, Reason: gone}
	d.config.Announce(r, &a)
	if err := d.config.Record(context.WithoutCancel(ctx), r, &a); err != nil {
		return Answer{}, err
	}
	if err := ctx.Err(); err != nil {
		return Answer{}, fault.Wrap(fault.Interrupted, err, "the request for approval was withdrawn")
	}
	return Answer{}, d.errClosed()
}

// unanswered denies a request, and keeps it for a late answer.
func (d *Desk) unanswered(ctx context.Context, r Request) (Answer, error) {
	a := Answer{ID: r.ID, Decision: Deny, Reason: "nobody answered in time"}
	if err := d.keep(&r); err != nil {
		d.config.Log.Info("a request for approval is not kept for a late answer", "request", r.ID, "err", err)
		d.config.Announce(r, &a)
	}
	return a, d.config.Record(ctx, r, &a)
}

// Answer answers a request that waits or is kept: Kind NotFound when there is
// none of that id. by is the id of the user who answers.
func (d *Desk) Answer(ctx context.Context, id, decision, reason, by string) (Answer, error) {
	a := Answer{ID: id, Approved: approves(decision), Decision: cut(clean(decision), MaxRisk), By: by, Reason: cut(clean(reason), MaxReason)}
	w := d.leave(id)
	if w == nil {
		return d.answerKept(ctx, a)
	}
	err := d.config.Record(ctx, w.Request, &a)
	if err == nil && (decision == Session || decision == Always) {
		err = d.config.Memory.Allow(w.Request, decision)
	}
	if err != nil { // what cannot be recorded or remembered is not allowed
		a.Approved, a.Decision, a.Reason = false, Deny, "the answer could not be kept"
	}
	w.answer <- a
	d.config.Announce(w.Request, &a)
	return a, err
}

// Pending lists what waits or is kept, oldest first.
func (d *Desk) Pending() ([]Request, error) {
	list, err := d.kept()
	d.mu.Lock()
	for _, w := range d.waiting {
		list = append(list, w.Request)
	}
	d.mu.Unlock()
	slices.SortFunc(list, func(a, b Request) int { return a.Asked.Compare(b.Asked) })
	return list, err
}

// SessionOf is the session that a request is about, empty when it is about none
// or there is no such request.
func (d *Desk) SessionOf(id string) string {
	d.mu.Lock()
	w := d.waiting[id]
	d.mu.Unlock()
	if w != nil {
		return w.Session
	}
	r, err := d.find(id)
	if err != nil {
		return ""
	}
	return r.Session
}
