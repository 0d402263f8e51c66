package mcp

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"astrid/kernel/fault"
)

// MaxPrograms is how many programs of one server run at a time.
const MaxPrograms = 8

// Values of Config that are zero.
const (
	DefaultCallTimeout    = time.Minute
	DefaultConnectTimeout = 10 * time.Second
	DefaultIdle           = 5 * time.Minute
)

// Launch runs the server's program for a session until it ends by itself, or
// until ctx does, soon after which it must return. The error tells how it ended;
// nil is an end in peace. The files may be closed by it, and are not used by
// anyone else.
type Launch func(ctx context.Context, session string, stdin, stdout, stderr *os.File) error

// Config is what a Server works with.
type Config struct {
	Capsule string // for errors and logs
	Server  string // the id of the [[mcp_server]]
	Launch  Launch
	// Root is where the program of a session finds the workspace. It is asked
	// before the program is started, which its error prevents without any blame on
	// the server. Nil: the program is offered none.
	Root func(session string) (path string, err error)
	// Approve asks people. Nil: everything is declined. It must return soon after
	// ctx ends.
	Approve func(ctx context.Context, e Elicitation) (Answer, error)
	// Changed hears that the tools, prompts or resources are others now, at most
	// once a second. It may ask for them.
	Changed func()
	// Connected and Disconnected hear of every program that spoke MCP. Both must
	// return soon. The reason is nil when the program was ended on purpose.
	Connected    func(session, protocol string)
	Disconnected func(session string, reason error)

	// MaxEnds is how often programs of the server may end by themselves before none
	// is started any more. 0: there is no bound.
	MaxEnds int

	CallTimeout    time.Duration // for one request; begins anew while people are asked
	ConnectTimeout time.Duration // from the start of a program to its greeting
	Idle           time.Duration // without a call, after which a program is ended
	Log            *slog.Logger
	Now            func() time.Time
}

// Server is an MCP server of a capsule. Close ends it.
type Server struct {
	config Config
	life   context.Context
	end    context.CancelFunc
	// work counts goroutines; it grows only under mu while the server is not closed.
	work sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	children  map[string]*child // by session; one stays until it has ended
	past      map[string]record // by session
	ends      int               // of programs by themselves
	failed    error             // how a program last ended by itself; nil once one is well again
	changing  bool              // Changed is about to be called
	roots     bool              // a program has asked for the roots
	questions window
}

// New makes a Server. No program is started before the first call.
func New(c Config) *Server {
	c.CallTimeout = or(c.CallTimeout, DefaultCallTimeout)
	c.ConnectTimeout = or(c.ConnectTimeout, DefaultConnectTimeout)
	c.Idle = or(c.Idle, DefaultIdle)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Log = c.Log.With("capsule", c.Capsule, "server", c.Server)
	s := &Server{config: c, children: map[string]*child{}, past: map[string]record{}, questions: window{max: MaxQuestions}}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// errorf makes an error that begins with the name of the server.
func (s *Server) errorf(k fault.Kind, format string, args ...any) error {
	return fault.New(k, "the MCP server %s of the capsule %s "+format, append([]any{s.config.Server, s.config.Capsule}, args...)...)
}

// asksRoots tells whether a program of the server has ever asked for the roots.
func (s *Server) asksRoots() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roots
}

func (s *Server) noteRoots() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roots = true
}

// Alive tells how a program of the server last ended by itself or why it could
// not be started, and nil once one is well again. A server that nobody has
// called yet is alive.
func (s *Server) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// EndSession ends the program of a session and returns when it has ended, or
// with an error when ctx ends first.
func (s *Server) EndSession(ctx context.Context, session string) error {
	s.mu.Lock()
	delete(s.past, session)
	c := s.children[session]
	if c != nil {
		c.stopLocked()
	}
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	return s.await(ctx, c.done)
}

// Close ends all programs, and returns when they have ended or, with an error,
// when ctx ends first. Later calls of any method fail.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for _, c := range s.children {
		c.stopLocked()
	}
	s.mu.Unlock()
	s.end()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	return s.await(ctx, done)
}

// await waits for the end of a program.
func (s *Server) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return s.errorf(fault.KindOf(ctx.Err()), "has not ended in time: %w", ctx.Err())
	}
}

// start runs f in a goroutine that Close waits for, unless the server is closed.
func (s *Server) start(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.work.Go(f)
	}
}
