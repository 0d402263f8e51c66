package op

import (
	"context"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Config is what a Table is made of. Sessions and Kernel must be there.
type Config struct {
	Sessions Sessions
	Kernel   Kernel
	Log      *slog.Logger     // default: discarded
	Now      func() time.Time // default: time.Now
	// Audit receives the record of each audited operation after it ended, from
	// the goroutine that ran it. nil: Log takes it.
	Audit func(Record)
	// Booting makes the table refuse everything until Open is called.
	Booting bool
	// Ended is told of every operation that ended, audited or not; it must not
	// block. May be nil.
	Ended func(method string, err error)
}

// Record says who did what, and what came of it.
type Record struct {
	Method  string
	Session string // empty when the operation is not about one
	Caller  Caller
	Began   time.Time
	Took    time.Duration
	Err     error
}

// Result is what a door says to its caller when an operation succeeded.
type Result struct {
	Status string // wire.Status…
	Data   any
}

// Table holds the operations. Its methods may be called from any goroutine.
type Table struct {
	config  Config
	entries map[string]*Entry

	done, failed atomic.Uint64

	mu      sync.Mutex
	closed  string // why; empty while open. Guarded by mu
	started uint64 // operations begun. Guarded by mu
	running int    // operations under way. Guarded by mu
}

// New makes the table.
func New(c Config) *Table {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	t := &Table{config: c, entries: map[string]*Entry{}}
	if c.Booting {
		t.closed = booting
	}
	for _, e := range entries(c.Sessions, c.Kernel) {
		if _, twice := t.entries[e.Method]; twice {
			panic("op: the operation " + e.Method + " is in the table twice")
		}
		t.entries[e.Method] = e
	}
	return t
}

// Entries returns the operations ordered by name. They must not be changed.
func (t *Table) Entries() []*Entry {
	all := make([]*Entry, 0, len(t.entries))
	for _, e := range t.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *Entry) int { return strings.Compare(a.Method, b.Method) })
	return all
}

// Counts tells how many operations succeeded and failed so far.
func (t *Table) Counts() (done, failed uint64) { return t.done.Load(), t.failed.Load() }

// Do runs an operation whose params are JSON, absent when nil. out receives the
// bytes of one that streams and may be nil for the others.
func (t *Table) Do(ctx context.Context, method string, params wire.Raw, out io.Writer) (Result, error) {
	return t.do(ctx, method, out, func(into any) error {
		if params == nil {
			params = wire.Raw("{}")
		}
		return wire.Decode(params, into)
	})
}

// Run is Do for callers in this process, with the params and reply types of the
// entry; other types are an error of Kind Internal.
func Run[P, R any](ctx context.Context, t *Table, method string, params P, out io.Writer) (R, error) {
	var none R
	result, err := t.do(ctx, method, out, func(into any) error {
		p, ok := into.(*P)
		if !ok {
			return fault.New(fault.Internal, "%q does not take a %T", method, params)
		}
		*p = params
		return nil
	})
	if err != nil {
		return none, err
	}
	reply, ok := result.Data.(R)
	if !ok {
		return none, fault.New(fault.Internal, "%q replies %T, not %T", method, result.Data, none)
	}
	return reply, nil
}

func (t *Table) do(ctx context.Context, method string, out io.Writer, params decoder) (Result, error) {
	if err := t.begin(); err != nil {
		return Result{}, err
	}
	rec := Record{Method: method, Caller: CallerOf(ctx), Began: t.config.Now()}
	e, data, err := t.guarded(ctx, &rec, params, out)
	rec.Took, rec.Err = t.config.Now().Sub(rec.Began), err
	t.end(e, rec)
	if err != nil {
		return Result{}, err
	}
	return Result{Status: e.Status, Data: data}, nil
}

// guarded finds, checks and runs the operation.
func (t *Table) guarded(ctx context.Context, rec *Record, params decoder, out io.Writer) (e *Entry, data any, err error) {
	e = t.entries[rec.Method]
	if e == nil {
		return nil, nil, fault.New(fault.Unsupported, "this kernel knows no operation %q", clip(rec.Method))
	}
	if err := permit(rec.Caller, e.Need, e.Method); err != nil {
		return e, nil, err
	}
	if err := e.rate.admit(rec.Began, e.Method); err != nil {
		return e, nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			t.config.Log.Error("an operation panicked", "op", e.Method, "panic", p, "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, "%q ran into a defect of Astrid; the kernel's log has it", e.Method)
		}
	}()
	data, err = e.run(ctx, func(into any) error {
		err := params(into)
		rec.Session = sessionOf(into)
		return err
	}, out)
	if up, ok := data.(wire.Session); ok {
		rec.Session = up.Name // which may have been derived just now
	}
	return e, data, err
}

// sessionOf is the session that params, a pointer, name.
func sessionOf(params any) string {
	switch p := params.(type) {
	case *wire.Up:
		return clip(p.Session)
	case addressed:
		return clip(p.SessionName())
	}
	return ""
}

// clip bounds what a stranger can put into a log line or an error.
func clip(text string) string { return text[:min(len(text), 64)] }

func (t *Table) begin() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.closed {
	case "":
	case booting:
		return fault.New(fault.Unavailable, "the kernel is booting: try again")
	default:
		return fault.New(fault.Unavailable, "the kernel is stopping: %s", t.closed)
	}
	t.started++
	t.running++
	return nil
}

func (t *Table) end(e *Entry, rec Record) {
	if rec.Err == nil {
		t.done.Add(1)
	} else {
		t.failed.Add(1)
	}
	if e != nil && e.Audited {
		t.audit(rec)
	}
	t.mu.Lock()
	t.running--
	t.mu.Unlock()
	if t.config.Ended != nil {
		t.config.Ended(rec.Method, rec.Err)
	}
}

func (t *Table) audit(rec Record) {
	if t.config.Audit != nil {
		t.config.Audit(rec)
		return
	}
	result := "done"
	if rec.Err != nil {
		result = fault.KindOf(rec.Err).Code()
	}
	t.config.Log.Info("operation", "op", rec.Method, "session", rec.Session, "door", rec.Caller.Door,
		"uid", rec.Caller.UID, "pid", rec.Caller.PID, "took", rec.Took, "result", result)
}

// booting is the reason of being closed that Open takes away.
const booting = "booting"

// Open lets operations begin in a table made with Config.Booting. What was
// written before it is seen by every operation.
func (t *Table) Open() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed == booting {
		t.closed = ""
	}
}

// Started is a count of the operations begun, for CloseIfIdle.
func (t *Table) Started() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.started
}

// CloseIfIdle closes the table if nothing runs and nothing has begun since
// Started returned seen; it tells whether it did.
func (t *Table) CloseIfIdle(seen uint64, why string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.started != seen || t.running != 0 || t.closed != "" {
		return false
	}
	t.closed = why
	return true
}

// Close refuses every operation from now on with Kind Unavailable; those under
// way end by themselves. The first reason given is the one that is told.
func (t *Table) Close(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed == "" || t.closed == booting {
		t.closed = why
	}
}

// Closed returns why the table is closed, empty while it is open.
func (t *Table) Closed() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}
