package host

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"astrid/kernel/approve"
	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/identity"
	"astrid/kernel/question"
	"astrid/kernel/wire"
)

// Config is what a Host works with.
type Config struct {
	Capsule capsule.Found
	KV      Values // capsule:ID
	Secrets Values // what has_secret tells of and kv_get does not read
	Env     map[string]string
	Bus     *bus.Bus
	// Identity may be nil: then the capsule has no identity functions.
	Identity *identity.Store
	// Workspace is where the view of a session is mounted, and which directory
	// it is a view of.
	Workspace func(session string) (mount, base string, err error)
	Shared    string // root of global://; empty: there is none
	// Approve asks people.
	Approve func(ctx context.Context, r approve.Request) (approve.Answer, error)
	// Elicit asks people for values; nil: the capsule may not.
	Elicit func(ctx context.Context, q question.Question) (question.Answer, error)
	// Result takes what the capsule says that a tool returned; nil: anybody may
	// say so.
	Result func(m bus.Message) error
	// Trigger asks all other capsules whose interceptors match a topic.
	Trigger func(ctx context.Context, by capsule.ID, topic string, payload wire.Raw) []wire.Raw
	// Capability tells whether the capsule of a source has one of the
	// capabilities that others may ask for.
	Capability func(source, capability string) bool
	// Schedule plans action at times; Cancel forgets a plan.
	Schedule func(name, schedule, action string) error
	Cancel   func(name string) error
	// Refused hears that a call of a function was refused; nil: nobody does.
	Refused func(ctx context.Context, function string, err error)
	// Run runs a program in a session's sandbox.
	Run Runner
	Log *slog.Logger
	Now func() time.Time
}

// Runner runs programs of the machine in a session's sandbox.
type Runner interface {
	// Run runs argv and returns its exit status, -1 when a signal ended it. It
	// ends with ctx. Output goes to the writers as it comes.
	Run(ctx context.Context, session string, argv []string, stdout, stderr io.Writer) (int, error)
}

// Host serves one capsule. Its methods may be called from any goroutine.
type Host struct {
	Config

	ready     chan struct{} // closed by signal_ready
	guard     func(network, address string, c syscall.RawConn) error
	published meter
	end       context.CancelFunc
	life      context.Context
	work      sync.WaitGroup // processes in the background

	mu        sync.Mutex
	isReady   bool
	subs      map[uint64]*subscription
	lastSub   uint64
	uplinks   map[string]uplink // by id
	processes map[uint64]*process
	lastProc  uint64
	running   map[*foreground]struct{}
}

// New makes a Host. Close ends it.
func New(c Config) *Host {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	h := &Host{
		Config: c, guard: guard, ready: make(chan struct{}), subs: map[uint64]*subscription{}, uplinks: map[string]uplink{},
		processes: map[uint64]*process{}, running: map[*foreground]struct{}{},
	}
	h.life, h.end = context.WithCancel(context.Background())
	return h
}

// Ready is closed when the capsule has said that it is ready.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// Close ends what the capsule began and wakes every function that waits. It
// returns after the last process.
func (h *Host) Close() {
	h.end()
	h.mu.Lock()
	for _, s := range h.subs {
		s.Close()
	}
	h.mu.Unlock()
	h.work.Wait()
}

// Caller is for whom a call of a capsule is.
type Caller struct {
	Session   string    // empty: about none
	Principal string    // id of a user; empty: the kernel's own
	Source    string    // UUID of who published what the call is about
	Topic     string    // of that message
	At        time.Time // of that message
	CallID    string    // of the tool call that it is, if it is one
}

type callerKey struct{}

// WithCaller returns a context that carries c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns the caller that ctx carries.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Clock is the clock of a call, which stands still while a person thinks.
type Clock interface {
	Pause() (resume func())
}

// encode is JSON as guests read it: they know nothing of exactness.
func encode(v any) ([]byte, error) { return json.Marshal(v) }
