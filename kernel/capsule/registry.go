package capsule

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"astrid/kernel/fault"
)

// State is what a capsule is doing.
type State string

// The states.
const (
	Loading  State = "loading"
	Ready    State = "ready"
	Failed   State = "failed" // and is tried again, as long as that makes sense
	Disabled State = "disabled"
	// Untrusted is one that nobody has agreed to, as it is.
	Untrusted State = "untrusted"
)

// Unit is a capsule that runs. Its methods may be called from any goroutine.
type Unit interface {
	// Ready is closed when the capsule says that it is ready, at once for one
	// that has nothing to say.
	Ready() <-chan struct{}
	// Alive is nil as long as the capsule works.
	Alive() error
	// Close ends it, and all that it has begun, before ctx does.
	Close(ctx context.Context) error
}

// Toolbox is a Unit that serves tools which its manifest does not name. Tools
// must not call the Registry.
type Toolbox interface{ Tools() []Tool }

// Engine makes a Unit of a capsule.
type Engine interface {
	Start(ctx context.Context, f Found) (Unit, error)
}

// Config is what a Registry works with. Roots and Engine must be there.
type Config struct {
	Roots  []string
	Engine Engine
	// More are capsules that are in no root, and come last; nil: there are none.
	More func() ([]Found, []Problem)
	// Permit narrows a capsule to what it may do; an error keeps it from being
	// loaded, and is why. nil: each may do what it asks for.
	Permit func(Found) (Found, error)
	// Off tells whether a person has switched a capsule off.
	Off func(ID) bool
	// Changed hears that a capsule became ready, failed or went; it must not block.
	Changed func(Status)
	Log     *slog.Logger
	// Jitter is added to each pause before a restart, up to that much.
	Jitter func(time.Duration) time.Duration
}

// Status describes one capsule.
type Status struct {
	Found
	State    State
	Why      string // of a failure
	Since    time.Time
	Restarts int
}

// Registry holds the capsules that are loaded. Its methods may be called from
// any goroutine.
type Registry struct {
	config Config

	loading sync.Mutex // one Load at a time

	mu       sync.Mutex
	entries  []*entry // in the order of loading; guarded by mu
	problems []Problem
	closed   bool
}

// entry is one capsule. Its fields are guarded by Registry.mu.
type entry struct {
	Status
	unit     Unit
	restarts []time.Time   // within the window
	pause    time.Duration // before the next restart
	due      time.Time     // of the next restart; zero: none is planned
}

// readiness is how long a load waits for capsules to say that they are ready;
// those that take longer become ready later.
const readiness = 500 * time.Millisecond

// NewRegistry makes a Registry that holds nothing yet.
func NewRegistry(c Config) *Registry {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Changed == nil {
		c.Changed = func(Status) {}
	}
	if c.Permit == nil {
		c.Permit = func(f Found) (Found, error) { return f, nil }
	}
	if c.Off == nil {
		c.Off = func(ID) bool { return false }
	}
	if c.Jitter == nil {
		c.Jitter = func(time.Duration) time.Duration { return 0 }
	}
	return &Registry{config: c}
}

// Report is what a Load did.
type Report struct {
	Loaded []ID // anew, whether they came up or not
	Kept   []ID // as they were
	Ended  []ID // and not loaded again
}

// Changed tells whether it did anything.
func (r Report) Changed() bool { return len(r.Loaded)+len(r.Ended) > 0 }

// Load makes what is loaded agree with the disk: new capsules are loaded,
// changed ones replaced, those that are gone ended, and all others left alone. A
// capsule that failed is tried again.
func (r *Registry) Load(ctx context.Context) (did Report, err error) {
	r.loading.Lock()
	defer r.loading.Unlock()
	found, problems := r.discover()
	found, more := Order(found)
	problems = append(problems, more...)
	for _, p := range problems {
		r.config.Log.Warn("capsule", "dir", p.Dir, "text", p.Text)
	}
	refused := r.permit(found)
	ended, err := r.retire(ctx, found, refused)
	if err != nil {
		return did, err
	}
	entries := make([]*entry, 0, len(found))
	for _, f := range found {
		e := r.adopt(f, refused[f.Package.Name])
		entries = append(entries, e)
		switch id := f.Package.Name; {
		case r.running(e):
			did.Kept = append(did.Kept, id)
		case !r.untrusted(e) && !r.config.Off(id):
			did.Loaded = append(did.Loaded, id)
			ended = slices.DeleteFunc(ended, func(gone ID) bool { return gone == id })
		}
	}
	did.Ended = ended
	r.mu.Lock()
	r.entries, r.problems = entries, problems
	r.mu.Unlock()
	for _, uplink := range []bool{true, false} {
		r.start(ctx, uplink)
	}
	return did, nil
}

// discover finds what is in the roots, and the others.
func (r *Registry) discover() (found []Found, problems []Problem) {
	found, problems = Discover(r.config.Roots...)
	if r.config.More == nil {
		return found, problems
	}
	more, wrong := r.config.More()
	problems = append(problems, wrong...)
	for _, f := range more {
		if slices.ContainsFunc(found, func(one Found) bool { return one.Package.Name == f.Package.Name }) {
			problems = append(problems, Problem{"", "the server " + string(f.Package.Name) + " of " + ServersName + " has the id of a capsule, which comes before it"})
			continue
		}
		found = append(found, f)
	}
	return found, problems
}

// permit narrows all to what they may do, and returns why some are not loaded.
func (r *Registry) permit(found []Found) map[ID]error {
	refused := map[ID]error{}
	for i, f := range found {
		may, err := r.config.Permit(f)
		if err != nil {
			refused[f.Package.Name] = err
			r.config.Log.Warn("a capsule is not loaded", "capsule", f.Package.Name, "err", err)
			continue
		}
		found[i] = may
	}
	return refused
}

// retire ends what is no longer on the disk as it was loaded, and refuses to go
// on after Close.
func (r *Registry) retire(ctx context.Context, found []Found, refused map[ID]error) (ended []ID, err error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, fault.New(fault.Unavailable, "the kernel is stopping")
	}
	entries := slices.Clone(r.entries)
	r.mu.Unlock()
	for _, e := range entries {
		same := slices.ContainsFunc(found, e.same)
		if (!same || refused[e.Package.Name] != nil || r.config.Off(e.Package.Name)) && r.end(ctx, e) {
			ended = append(ended, e.Package.Name)
		}
	}
	return ended, nil
}

// same tells whether a capsule on the disk is the one that was loaded.
func (e *entry) same(f Found) bool {
	return f.Package.Name == e.Package.Name && f.Source == e.Source && f.Settings == e.Settings
}

// adopt returns the entry of a capsule: the one that there is, if it is the same.
func (r *Registry) adopt(f Found, refused error) *entry {
	if refused != nil {
		return &entry{Status: Status{Found: f, State: Untrusted, Why: refused.Error(), Since: time.Now()}}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.same(f) && e.unit != nil {
			return e
		}
	}
	for _, w := range f.Warnings {
		r.config.Log.Warn("capsule", "capsule", f.Package.Name, "text", w)
	}
	return &entry{Status: Status{Found: f, State: Loading, Since: time.Now()}}
}

// start loads those that are not, uplinks or the others, and waits for them to
// be ready, all at once.
func (r *Registry) start(ctx context.Context, uplink bool) {
	r.mu.Lock()
	entries := slices.Clone(r.entries)
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, time.Hour) // of nothing but the waiting below
	defer cancel()
	var waiting []*entry
	for _, e := range entries {
		if e.Capabilities.Uplink != uplink || r.running(e) || r.untrusted(e) {
			continue
		}
		if r.config.Off(e.Package.Name) {
			r.set(e, Disabled, "")
			continue
		}
		if r.load(ctx, e) {
			waiting = append(waiting, e)
		}
	}
	patience := time.NewTimer(readiness)
	defer patience.Stop()
	for _, e := range waiting {
		select {
		case <-e.unit.Ready():
		case <-patience.C:
			r.config.Log.Warn("a capsule takes long to get ready", "capsule", e.Package.Name)
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *Registry) running(e *entry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return e.unit != nil
}

func (r *Registry) untrusted(e *entry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return e.State == Untrusted
}

// load starts one capsule and tells whether it runs.
func (r *Registry) load(ctx context.Context, e *entry) bool {
	unit, err := r.config.Engine.Start(ctx, e.Found)
	if err != nil {
		r.fail(e, err)
		return false
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		_ = unit.Close(ctx)
		return false
	}
	e.unit, e.due = unit, time.Time{}
	r.mu.Unlock()
	r.set(e, Ready, "")
	return true
}

func (r *Registry) set(e *entry, s State, why string) {
	r.mu.Lock()
	if e.State != s {
		e.Since = time.Now()
	}
	e.State, e.Why = s, why
	status := e.Status
	r.mu.Unlock()
	r.config.Changed(status)
}

// end ends a capsule, and tells whether it ran.
func (r *Registry) end(ctx context.Context, e *entry) bool {
	r.mu.Lock()
	unit := e.unit
	e.unit = nil
	r.mu.Unlock()
	if unit == nil {
		return false
	}
	if err := unit.Close(ctx); err != nil {
		r.config.Log.Warn("a capsule did not end cleanly", "capsule", e.Package.Name, "err", err)
	}
	return true
}

// List describes all capsules, in the order of loading.
func (r *Registry) List() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Status, 0, len(r.entries))
	for _, e := range r.entries {
		list = append(list, e.status())
	}
	return list
}

// status is the entry with all tools that it serves. Registry.mu is held.
func (e *entry) status() Status {
	s := e.Status
	if box, ok := e.unit.(Toolbox); ok {
		s.Tools = slices.Concat(s.Tools, box.Tools())
	}
	return s
}

// Problems are what the last Load found wrong.
func (r *Registry) Problems() []Problem {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.problems)
}

// Each calls f for every capsule that runs, in the order of loading, until it
// returns false. f must not call the Registry.
func (r *Registry) Each(f func(Status, Unit) bool) {
	r.mu.Lock()
	running := make([]*entry, 0, len(r.entries))
	units := make([]Unit, 0, len(r.entries))
	statuses := make([]Status, 0, len(r.entries))
	for _, e := range r.entries {
		if e.unit != nil {
			running, units, statuses = append(running, e), append(units, e.unit), append(statuses, e.status())
		}
	}
	r.mu.Unlock()
	for i := range running {
		if !f(statuses[i], units[i]) {
			return
		}
	}
}

// Close ends all capsules side by side before ctx does, and refuses to load any
// more.
func (r *Registry) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	entries := r.entries
	r.mu.Unlock()
	var all sync.WaitGroup
	for _, e := range entries {
		all.Go(func() { r.end(ctx, e) })
	}
	all.Wait()
	return ctx.Err()
}

// Restarts of a capsule that fails.
const (
	CheckEvery   = 10 * time.Second
	firstPause   = 2 * time.Second
	longestPause = 120 * time.Second
	maxRestarts  = 5
	window       = 15 * time.Minute
)

// Supervise looks at the capsules every CheckEvery until ctx ends, and starts
// those again that failed: after a pause that doubles from 2 to 120 s, and no
// more than five times in a quarter of an hour, whether they came up in between
// or not. After that they wait for a Load.
func (r *Registry) Supervise(ctx context.Context) {
	ticker := time.NewTicker(CheckEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			r.check(ctx, now)
		case <-ctx.Done():
			return
		}
	}
}

func (r *Registry) check(ctx context.Context, now time.Time) {
	r.loading.Lock()
	defer r.loading.Unlock()
	r.mu.Lock()
	entries := slices.Clone(r.entries)
	r.mu.Unlock()
	for _, e := range entries {
		r.mu.Lock()
		unit, due := e.unit, e.due
		r.mu.Unlock()
		switch {
		case unit != nil:
			if err := unit.Alive(); err != nil {
				r.end(ctx, e)
				r.fail(e, err)
			}
		case !due.IsZero() && !now.Before(due):
			r.mu.Lock()
			e.restarts = append(e.restarts, now)
			e.Restarts++
			e.due = time.Time{}
			r.mu.Unlock()
			r.load(ctx, e)
		}
	}
}

// fail records a failure and plans a restart, if there may be one.
func (r *Registry) fail(e *entry, err error) {
	now := time.Now()
	r.mu.Lock()
	e.restarts = slices.DeleteFunc(e.restarts, func(at time.Time) bool { return now.Sub(at) > window })
	why := err.Error()
	if len(e.restarts) >= maxRestarts || permanent(err) {
		e.due = time.Time{}
	} else {
		if len(e.restarts) == 0 {
			e.pause = 0
		}
		e.pause = min(cmp.Or(2*e.pause, firstPause), longestPause)
		e.due = now.Add(e.pause + r.config.Jitter(e.pause/4))
	}
	r.mu.Unlock()
	r.config.Log.Warn("a capsule failed", "capsule", e.Package.Name, "err", err)
	r.set(e, Failed, why)
}

// permanent tells whether trying again cannot help until something is changed.
func permanent(err error) bool {
	return fault.Is(err, fault.Usage) || fault.Is(err, fault.Denied) || fault.Is(err, fault.Unsupported) || errors.Is(err, context.Canceled)
}
