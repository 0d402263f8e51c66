package mcp

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"astrid/kernel/fault"
)

const (
	// protocol is the newest version that is spoken.
	protocol = "2025-11-25"
	// heedTime is how long a program may take to end after its input was closed.
	heedTime = 2 * time.Second
	// drainTime is how long output is read after the program ended: another
	// process may hold it open.
	drainTime = time.Second
)

// child is one program of a server.
type child struct {
	s       *Server
	session string
	started time.Time
	ctx     context.Context // ends when the program is to end
	cancel  context.CancelFunc

	in, out, errs *os.File // our ends of its pipes
	exited        chan struct{}
	exit          error         // what Launch returned; valid once exited is closed
	told          chan struct{} // its standard error was read to the end
	lastLine      string        // of its standard error; valid once told is closed

	conn   *sdk.ClientSession // valid once ready is closed
	rooted chan struct{}      // it has asked for the roots
	ready  chan struct{}
	broken chan struct{} // the connection cannot be used any more
	over   chan struct{} // why it ended is known
	done   chan struct{} // it has ended, and all that belongs to it
	why    error         // valid once over is closed; nil when it was ended on purpose

	silent atomic.Int32 // calls in a row without an answer
	asking atomic.Bool  // people are being asked

	// Guarded by Server.mu.
	calls  int
	unask  context.CancelFunc // withdraws the question that people are asked
	used   time.Time
	idle   *time.Timer
	ending bool

	mu      sync.Mutex
	cause   error  // why the connection broke; guarded by mu
	unasked window // guarded by mu
	bytes   window // guarded by mu
}

func (s *Server) newChild(session string) *child {
	c := &child{
		s: s, session: session, started: s.config.Now(),
		exited: make(chan struct{}), told: make(chan struct{}), ready: make(chan struct{}), rooted: make(chan struct{}),
		broken: make(chan struct{}), over: make(chan struct{}), done: make(chan struct{}),
		unasked: window{max: MaxUnasked}, bytes: window{max: MaxUnaskedBytes},
	}
	c.ctx, c.cancel = context.WithCancel(s.life)
	c.idle = time.AfterFunc(s.config.Idle, func() { s.expire(c) })
	return c
}

// stopLocked has the program ended.
//
// Preconditions: Server.mu is held.
func (c *child) stopLocked() {
	c.ending = true
	c.idle.Stop()
	c.cancel()
}

// run is the life of a program.
func (c *child) run() {
	running, kill := context.WithCancel(context.Background())
	defer kill()
	client, err := c.client()
	if err != nil { // no fault of the program
		c.why = err
		c.s.noteEnd(c, nil)
	} else {
		c.why = c.live(running, client)
		c.s.noteEnd(c, c.why)
	}
	close(c.over)
	if c.in != nil {
		c.tearDown(kill)
	}
	c.s.forget(c)
	if c.conn != nil && c.s.config.Disconnected != nil {
		c.s.config.Disconnected(c.session, c.why)
	}
	close(c.done)
}

// launch starts the program, which ends with running.
func (c *child) launch(running context.Context) error {
	theirs, err := c.pipes()
	if err != nil {
		return c.s.errorf(fault.KindOf(err), "cannot be started: %w", err)
	}
	go c.listen()
	go func() {
		c.exit = c.s.config.Launch(running, c.session, theirs[0], theirs[1], theirs[2])
		deadline := time.Now().Add(drainTime)
		_ = c.out.SetReadDeadline(deadline)
		_ = c.errs.SetReadDeadline(deadline)
		close(c.exited)
		closeAll(theirs)
	}()
	return nil
}

// pipes makes our ends of three pipes and returns the program's.
func (c *child) pipes() (theirs []*os.File, err error) {
	var all []*os.File
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, r, w)
	}
	c.in, c.out, c.errs = all[1], all[2], all[4]
	return []*os.File{all[0], all[3], all[5]}, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// live starts the program and returns why it is to end: nil when that is wanted.
func (c *child) live(running context.Context, client *sdk.Client) error {
	if err := c.launch(running); err != nil {
		return err
	}
	conn, err := c.connect(client)
	if err != nil {
		return c.refusal(err)
	}
	c.conn = conn
	c.s.noteWell()
	if c.s.config.Connected != nil {
		c.s.config.Connected(c.session, conn.InitializeResult().ProtocolVersion)
	}
	c.settle()
	close(c.ready)
	select {
	case <-c.ctx.Done():
		return nil
	case <-c.broken:
		return c.breakdown()
	}
}

const (
	rootsTime = 2 * time.Second        // for a program to ask for the roots, if it is one that does
	placeTime = 100 * time.Millisecond // to do something about the answer
)

// settle lets a program learn where the workspace is before it is called, if
// programs of its server have asked for that: they do so on their own time, and
// refuse every path until they know.
func (c *child) settle() {
	if c.session == "" || !c.s.asksRoots() {
		return
	}
	timer := time.NewTimer(rootsTime)
	defer timer.Stop()
	select {
	case <-c.rooted:
		timer.Reset(placeTime)
	case <-timer.C:
		return
	case <-c.ctx.Done():
		return
	case <-c.broken:
		return
	}
	select {
	case <-timer.C:
	case <-c.ctx.Done():
	case <-c.broken:
	}
}

// hear notes that the program has asked for the roots and got its answer.
func (c *child) hear(next sdk.MethodHandler) sdk.MethodHandler {
	told := sync.OnceFunc(func() { close(c.rooted) })
	return func(ctx context.Context, method string, req sdk.Request) (sdk.Result, error) {
		result, err := next(ctx, method, req)
		if method == "roots/list" {
			c.s.noteRoots()
			told()
		}
		return result, err
	}
}

func (c *child) connect(client *sdk.Client) (*sdk.ClientSession, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.s.config.ConnectTimeout)
	defer cancel()
	return client.Connect(ctx, transport{c}, &sdk.ClientSessionOptions{ProtocolVersion: protocol})
}

// client is our side of the connection, with the workspace of the session.
func (c *child) client() (*sdk.Client, error) {
	client := sdk.NewClient(&sdk.Implementation{Name: "astrid", Version: "0.2"}, c.options())
	client.AddReceivingMiddleware(c.hear)
	if c.s.config.Root == nil || c.session == "" {
		return client, nil
	}
	path, err := c.s.config.Root(c.session)
	if err != nil {
		return nil, c.s.errorf(fault.KindOf(err), "is not started for the session %s: %w", c.session, err)
	}
	uri := url.URL{Scheme: "file", Path: path}
	//lint:ignore SA1019 roots are how programs of today find the workspace; the protocol keeps them for a year at least
	client.AddRoots(&sdk.Root{Name: "workspace", URI: uri.String()})
	return client, nil
}

// options are what the program is offered.
func (c *child) options() *sdk.ClientOptions {
	return &sdk.ClientOptions{
		Capabilities: &sdk.ClientCapabilities{
			//lint:ignore SA1019 see client
			RootsV2:     &sdk.RootCapabilities{},
			Elicitation: &sdk.ElicitationCapabilities{Form: &sdk.FormElicitationCapabilities{}},
		},
		ElicitationHandler:         c.elicit,
		ToolListChangedHandler:     func(context.Context, *sdk.ToolListChangedRequest) { c.s.changed() },
		PromptListChangedHandler:   func(context.Context, *sdk.PromptListChangedRequest) { c.s.changed() },
		ResourceListChangedHandler: func(context.Context, *sdk.ResourceListChangedRequest) { c.s.changed() },
	}
}

// refusal is why the program could not be connected to; nil when it is to end
// anyway.
func (c *child) refusal(err error) error {
	if c.ctx.Err() != nil {
		return nil
	}
	switch cause := c.offence(); {
	case cause != nil:
		return cause
	case c.hasExited():
		return c.farewell()
	case errors.Is(err, context.DeadlineExceeded):
		return c.s.errorf(fault.Unavailable, "did not answer within %v of its start, and was ended", c.s.config.ConnectTimeout)
	}
	return c.s.errorf(fault.Unavailable, "could not be connected to: %s", clip(err.Error(), maxErrorText))
}

// breakdown is why the connection broke.
//
// Preconditions: broken is closed.
func (c *child) breakdown() error {
	switch cause := c.offence(); {
	case cause != nil:
		return cause
	case c.hasExited():
		return c.farewell()
	}
	return c.s.errorf(fault.Unavailable, "closed its input or output, and was ended")
}

// offence is how the program broke the protocol; nil when it did not.
func (c *child) offence() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func (c *child) hasExited() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// farewell is how the program ended by itself.
//
// Preconditions: exited is closed.
func (c *child) farewell() error {
	<-c.told
	said := ""
	if c.lastLine != "" {
		said = "; the last that it said was: " + c.lastLine
	}
	if c.exit == nil {
		return c.s.errorf(fault.Unavailable, "ended by itself%s", said)
	}
	return c.s.errorf(fault.Unavailable, "ended by itself: %w%s", c.exit, said)
}

// breakOff notes that the connection is of no use any more. Only the first cause
// counts; nil: the program closed it.
func (c *child) breakOff(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.broken:
	default:
		c.cause = cause
		close(c.broken)
	}
}

// reason is why a call finds no program.
//
// Preconditions: over is closed.
func (c *child) reason() error {
	if c.why != nil {
		return c.why
	}
	return c.s.errorf(fault.Unavailable, "was ended before it answered: try again")
}

// tearDown ends the program, if need be by kill, and all goroutines of it.
func (c *child) tearDown(kill context.CancelFunc) {
	c.in.Close()
	heed := time.NewTimer(heedTime)
	defer heed.Stop()
	if c.why == nil {
		select {
		case <-c.exited:
		case <-heed.C:
		}
	}
	kill()
	<-c.exited
	c.out.Close()
	if c.conn != nil {
		if err := c.conn.Close(); err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.EOF) {
			c.s.config.Log.Debug("an MCP connection was not closed well", "session", c.session, "err", err)
		}
	}
	<-c.told
	c.errs.Close()
}
