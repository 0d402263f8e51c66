package router

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/wire"
)

// QueueLength is how many messages wait for one capsule.
const QueueLength = 256

// Target is a capsule that runs, as the router uses it. The context carries the
// host.Caller that a call is for. A target has its own deadlines.
type Target interface {
	capsule.Unit
	Hook(ctx context.Context, action string, payload []byte) ([]byte, error)
	Tool(ctx context.Context, name string, arguments []byte) ([]byte, error)
	Command(ctx context.Context, name string, payload []byte) ([]byte, error)
	// CancelCalls ends what the named tool calls wait for.
	CancelCalls(ids []string)
}

// Config is what a Router works with.
type Config struct {
	Bus      *bus.Bus
	Capsules *capsule.Registry
	// Denied records that a capsule has denied a message.
	Denied func(by capsule.ID, c host.Caller, reason string)
	// Concerns tells whether a capsule has to do with messages about a session;
	// nil: each has with all.
	Concerns func(s capsule.Status, session string) bool
	// Called hears of each tool call that begins, and what it returns, of its end.
	Called func(Called) (ended func(wire.ToolResult))
	Log    *slog.Logger
}

// Called is a tool call.
type Called struct {
	Message   *bus.Message
	Tool      string
	Arguments wire.Raw // as they were given
	Direct    bool     // by Call
}

// Router routes. Its methods may be called from any goroutine.
type Router struct {
	config Config
	lost   atomic.Uint64
	ended  chan struct{} // closed when Run is over

	mu     sync.Mutex
	life   context.Context      // of Run; nil before and after
	queues map[string]chan task // by source of the capsule, and " results"
	calls  map[callKey]*pending
	waits  map[uint64]chan wire.ToolResult // of Call, by number of the message
	untold uint64                          // lost since the last report
	told   time.Time                       // of the last report
	work   sync.WaitGroup
}

// task is a message on its way along its chain.
type task struct {
	message *bus.Message
	payload []byte // as capsules get it
	chain   []link
	at      int      // the link whose turn it is
	call    *pending // the tool call that the message is, or whose result it is; nil: none
	result  bool     // it is the result
}

// New makes a Router; Run must follow.
func New(c Config) *Router {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Denied == nil {
		c.Denied = func(capsule.ID, host.Caller, string) {}
	}
	if c.Concerns == nil {
		c.Concerns = func(capsule.Status, string) bool { return true }
	}
	if c.Called == nil {
		c.Called = func(Called) func(wire.ToolResult) { return func(wire.ToolResult) {} }
	}
	return &Router{config: c, ended: make(chan struct{}), queues: map[string]chan task{}, calls: map[callKey]*pending{}, waits: map[uint64]chan wire.ToolResult{}}
}

// Run routes until ctx ends or the bus closes, and returns after the last call.
func (r *Router) Run(ctx context.Context) error {
	patterns, err := bus.ParsePatterns([]string{"*", "*.*"})
	if err != nil {
		return err
	}
	sub, err := r.config.Bus.Subscribe(bus.Options{Name: "router", Patterns: patterns, Ordered: true, Messages: 4096})
	if err != nil {
		return err
	}
	defer sub.Close()
	ctx, cancel := context.WithCancel(ctx)
	r.live(ctx)
	defer close(r.ended)
	defer r.work.Wait()
	defer r.live(nil)
	defer cancel()
	for {
		m, loss, err := sub.Next(ctx)
		if loss.Messages > 0 {
			r.report(loss.Messages)
			r.abandon(m.Seq)
		}
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		r.take(ctx, &m)
	}
}

// live says with which context workers work; nil: none begins any more.
func (r *Router) live(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.life = ctx
}

// take begins the chain of a message, if anybody wants it.
func (r *Router) take(ctx context.Context, m *bus.Message) {
	if m.Settled {
		return
	}
	if m.Topic == "tool.v1.request.cancel" {
		r.cancel(m)
	}
	t := task{message: m}
	if c, ok := toolCall(m); ok {
		if t.call, ok = r.begin(m, c); !ok {
			return
		}
	}
	if t.chain = r.chain(m); len(t.chain) == 0 {
		return
	}
	t.payload = wire.GuestBytes(m.Payload)
	r.push(ctx, t)
}

// push hands a task to the capsule whose turn it is; what is nobody's is done
// here.
func (r *Router) push(ctx context.Context, t task) {
	l := t.chain[t.at]
	if l.target == nil {
		l.bridge(ctx, t)
		return
	}
	queue := r.queue(l, t.result)
	if queue == nil {
		return
	}
	select {
	case queue <- t:
	default:
		r.config.Log.Warn("a capsule does not keep up: a message is dropped", "capsule", l.id, "topic", t.message.Topic)
		r.report(1)
		r.drop(t, "the capsule "+string(l.id)+" does not keep up with its messages")
	}
}

// drop answers a call that goes no further, and lets no result pass that not
// everybody has seen who may refuse it.
func (r *Router) drop(t task, why string) {
	switch {
	case t.result:
		r.deliver(t, why, true)
	case t.call != nil:
		r.settle(t.call, "", why, true)
	}
}

// queue finds the queue of a capsule, or that of the results which it is to see:
// the worker begins with it and ends with Run, or when it has had nothing to do
// for a while. It is nil when Run is over.
func (r *Router) queue(l link, results bool) chan task {
	name := l.source
	if results {
		name += " results"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.queues[name]; q != nil || r.life == nil {
		return q
	}
	q, ctx := make(chan task, QueueLength), r.life
	r.queues[name] = q
	r.work.Go(func() { r.serve(ctx, name, q) })
	return q
}

// idle is how long a queue without messages is kept.
const idle = time.Minute

func (r *Router) serve(ctx context.Context, name string, q chan task) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		select {
		case t := <-q:
			r.step(ctx, t)
			timer.Reset(idle)
		case <-timer.C:
			r.mu.Lock()
			if len(q) == 0 {
				delete(r.queues, name)
				r.mu.Unlock()
				return
			}
			r.mu.Unlock()
			timer.Reset(idle)
		case <-ctx.Done():
			return
		}
	}
}

// step does one link of a chain and hands the message on.
func (r *Router) step(ctx context.Context, t task) {
	l := t.chain[t.at]
	ctx = host.WithCaller(ctx, callerOf(t.message))
	if l.bridge != nil {
		l.bridge(ctx, t)
		return
	}
	answer, err := l.target.Hook(ctx, l.action, t.payload)
	if err != nil {
		if ctx.Err() == nil {
			r.config.Log.Warn("an interceptor failed", "capsule", l.id, "action", l.action, "topic", t.message.Topic, "err", err)
		}
		answer = nil
	}
	v, rest := verdict(answer)
	switch {
	case v == deny:
		r.config.Denied(l.id, callerOf(t.message), string(rest))
		r.drop(t, "denied by the capsule "+string(l.id)+": "+string(rest))
		return
	case v == final && !t.result:
		if t.call != nil && !l.exact {
			r.drop(t, "the capsule "+string(l.id)+" has let the call go no further")
		}
		return
	case len(rest) > 0:
		t.payload = rest
	}
	if t.at++; v == final {
		t.at = len(t.chain) - 1 // a result goes to who waits for it
	}
	if t.at < len(t.chain) {
		r.push(ctx, t)
	}
}

// The verdicts of an interceptor.
const (
	proceed = iota
	final
	deny
)

// verdict reads an answer; what has no verdict proceeds and rewrites nothing.
func verdict(answer []byte) (v int, rest []byte) {
	if len(answer) == 0 || answer[0] > deny {
		return proceed, nil
	}
	return int(answer[0]), answer[1:]
}

func callerOf(m *bus.Message) host.Caller {
	c := host.Caller{Session: m.Session, Principal: m.Principal, Source: m.Source, Topic: string(m.Topic), At: m.At}
	if c.Source == "" {
		c.Source = wire.NilSource
	}
	if call, ok := toolCall(m); ok {
		c.CallID = call.ID
	}
	return c
}

// reportEvery is how far reports of losses are apart at least.
const reportEvery = 10 * time.Second

// report counts lost messages and tells of them, now or with a later one.
func (r *Router) report(n uint64) {
	r.lost.Add(n)
	r.mu.Lock()
	r.untold += n
	untold, due := r.untold, time.Since(r.told) >= reportEvery
	if due {
		r.untold, r.told = 0, time.Now()
	}
	r.mu.Unlock()
	if !due || untold == 0 {
		return
	}
	data, err := wire.Encode(map[string]uint64{"lagged_count": untold})
	if err == nil {
		_, err = r.config.Bus.Publish(bus.Message{Topic: "astrid.v1.event_bus.lagged", Payload: wire.Custom(data), Transient: true})
	}
	if err != nil {
		r.config.Log.Debug("a loss is not told", "err", err)
	}
}

// Lost counts the messages that capsules did not get.
func (r *Router) Lost() uint64 { return r.lost.Load() }

// Trigger asks the interceptors of all other capsules that match a topic, side
// by side, and returns what they answer in JSON, in the order of the chain.
func (r *Router) Trigger(ctx context.Context, by capsule.ID, topic string, payload wire.Raw) []wire.Raw {
	c := host.CallerOf(ctx)
	c.Topic = topic
	chain := r.interceptors(bus.Topic(topic), c.Session, by)
	answers := make([]wire.Raw, len(chain))
	var all sync.WaitGroup
	for i, l := range chain {
		all.Go(func() {
			answer, err := l.target.Hook(host.WithCaller(ctx, c), l.action, payload)
			if _, rest := verdict(answer); rest != nil {
				answer = rest
			}
			if err == nil && len(answer) > 0 && wire.Raw(answer).IsValid() {
				answers[i] = answer
			}
		})
	}
	all.Wait()
	results := []wire.Raw{}
	for _, a := range answers {
		if a != nil {
			results = append(results, a)
		}
	}
	return results
}

// cutTool is the tool that a topic calls.
func cutTool(t bus.Topic) (tool string, ok bool) {
	tool, ok = strings.CutPrefix(string(t), "tool.v1.execute.")
	return tool, ok && tool != "result" && !strings.HasSuffix(tool, ".result")
}
