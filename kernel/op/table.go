package op

import (
	"context"
	"crypto/sha256"
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

// Config is what a Table is made of. Services must be there.
type Config struct {
	Services
	Rights Rights           // of callers that are not the owner; nil: they have none
	Log    *slog.Logger     // default: discarded
	Now    func() time.Time // default: time.Now
	// Record receives what is to be known of each operation after it ended, from
	// the goroutine that ran it, before the caller is answered: those that are
	// audited, and every one that was denied. When it fails, so does the
	// operation, which then has been done and says so. nil: Log takes it.
	Record func(context.Context, Record) error
	// Writable says, before an audited operation begins, whether it could be
	// recorded. nil: it can.
	Writable func() error
	// Booting makes the table refuse everything until Open is called.
	Booting bool
	// Ended is told of every operation that ended, audited or not; it must not
	// block. May be nil.
	Ended func(method string, err error)
}

// Record says who did what, and what came of it.
type Record struct {
	Method  string
	Need    Capability
	Audited bool
	Session string   // empty when the operation is not about one
	Params  [32]byte // SHA-256 of the params' JSON
	Subject string   // what else it is about, as the params name it: a capsule, a tool
	Reply   any      // of an operation that succeeded
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
	for _, e := range t.build(c.Services) {
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

// Entry is the operation of that name, nil when there is none. It must not be
// changed.
func (t *Table) Entry(method string) *Entry { return t.entries[method] }

// Counts tells how many operations succeeded and failed so far.
func (t *Table) Counts() (done, failed uint64) { return t.done.Load(), t.failed.Load() }

// Do runs an operation whose params are JSON, absent when nil. out receives the
// bytes of one that streams and may be nil for the others.
func (t *Table) Do(ctx context.Context, method string, params wire.Raw, out io.Writer) (Result, error) {
	return t.DoOnce(ctx, method, params, out, func() {})
}

// DoOnce is Do that calls understood when the params are needed no more, unless
// it ends before.
func (t *Table) DoOnce(ctx context.Context, method string, params wire.Raw, out io.Writer, understood func()) (Result, error) {
	return t.do(ctx, method, out, func(into any) error {
		defer understood()
		text := params
		if params = nil; text == nil { // an operation may last: it must not hold its text
			text = wire.Raw("{}")
		}
		return wire.Decode(text, into)
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
	rec.Took, rec.Reply, rec.Err = t.config.Now().Sub(rec.Began), data, err
	err = t.end(ctx, rec)
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
	rec.Need, rec.Audited = e.Need, e.Audited
	if !rec.Caller.known() {
		_, err := t.permit(rec.Caller, e.Need, "", e.Method)
		return e, nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			t.config.Log.Error("an operation panicked", "op", e.Method, "panic", p, "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, "%q ran into a defect of Astrid; the kernel's log has it", e.Method)
		}
	}()
	data, err = e.run(ctx, call{decode: params, out: out, admit: func(p any) error { return t.admit(e, rec, p) }})
	if up, ok := data.(wire.Session); ok {
		rec.Session = up.Name // which may have been derived just now
	}
	return e, data, err
}

// admit decides, once the params are known, whether an operation may begin.
func (t *Table) admit(e *Entry, rec *Record, params any) error {
	rec.Session = clip(sessionOf(params))
	if e.about != nil {
		rec.Session = e.about(params)
	}
	if e.Audited {
		rec.Params = digest(params)
		if s, ok := params.(interface{ Subject() string }); ok {
			rec.Subject = clip(s.Subject())
		}
	}
	spend, err := t.entitle(e, rec)
	if err != nil {
		return err
	}
	if e.Audited && e.Need != KernelShutdown && t.config.Writable != nil { // a kernel that cannot record can be stopped
		if err := t.config.Writable(); err != nil {
			return err
		}
	}
	if err := e.rate.admit(rec.Began, e.Method); err != nil || spend == nil {
		return err
	}
	return spend()
}

// entitle checks the caller's right, unless the handler does.
func (t *Table) entitle(e *Entry, rec *Record) (spend func() error, err error) {
	if e.judges {
		return nil, inside(rec.Caller, e.Need, rec.Session)
	}
	return t.permit(rec.Caller, e.Need, rec.Session, e.Method)
}

// digest identifies params in a record without repeating them.
// Of what holds secrets it is of the rest, Public: a digest of a short text can be
// found by trying.
func digest(params any) [32]byte {
	if p, ok := params.(interface{ Public() any }); ok {
		params = p.Public()
	}
	data, err := wire.Encode(params)
	if err != nil {
		return [32]byte{}
	}
	return sha256.Sum256(data)
}

// sessionOf is the session that params name.
func sessionOf(params any) string {
	switch p := params.(type) {
	case addressed:
		return p.SessionName()
	case mayAddress:
		return p.SessionIfAny()
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

// end counts and records an operation; what it returns is what the caller gets.
func (t *Table) end(ctx context.Context, rec Record) error {
	err := rec.Err
	if rec.Audited || fault.Is(err, fault.Denied) {
		err = t.record(ctx, rec)
	}
	if err == nil {
		t.done.Add(1)
	} else {
		t.failed.Add(1)
	}
	t.mu.Lock()
	t.running--
	t.mu.Unlock()
	if t.config.Ended != nil {
		t.config.Ended(rec.Method, rec.Err)
	}
	return err
}

func (t *Table) record(ctx context.Context, rec Record) error {
	if t.config.Record != nil {
		err := t.config.Record(context.WithoutCancel(ctx), rec)
		if err != nil && rec.Err == nil {
			return fault.Wrap(fault.Internal, err, "%q was done and could not be recorded", rec.Method)
		}
		return rec.Err
	}
	result := "done"
	if rec.Err != nil {
		result = fault.KindOf(rec.Err).Code()
	}
	t.config.Log.Info("operation", "op", rec.Method, "session", rec.Session, "door", rec.Caller.Door,
		"uid", rec.Caller.UID, "pid", rec.Caller.PID, "took", rec.Took, "result", result)
	return rec.Err
}

// Running is how many operations are under way.
func (t *Table) Running() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.running
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
