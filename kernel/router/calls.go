package router

import (
	"context"
	"time"

	"astrid/kernel/bus"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// LongestCall is how long a tool may take, a person's answers included.
const LongestCall = time.Hour

// MaxCalls is how many tool calls may wait for their results.
const MaxCalls = 4096

// callKey names a call that has no result yet.
type callKey struct {
	topic bus.Topic
	id    string
}

// pending is a tool call that has no result yet. Its cancel, cancelled and settled
// are guarded by Router.mu.
type pending struct {
	call
	message   *bus.Message
	began     time.Time
	wait      chan wire.ToolResult // of Call; nil: whoever called listens to the bus
	cancel    context.CancelFunc   // nil: it does not run yet
	cancelled bool
	settled   bool
	done      func(wire.ToolResult) // hears of its end
}

func (p *pending) key() callKey { return callKey{p.message.Topic, p.ID} }

// end cancels the call, or sees to it that it is when it begins.
func (p *pending) end() {
	if p.cancelled = true; p.cancel != nil {
		p.cancel()
	}
}

// Call calls a tool by a message, as everybody does, and waits for its result;
// about says for whom. A caller that goes away cancels the call.
func (r *Router) Call(ctx context.Context, about bus.Message, tool string, arguments wire.Raw) (result wire.ToolResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, LongestCall)
	defer cancel()
	id := wire.NewUUID()
	about.Topic = bus.Topic("tool.v1.execute." + tool)
	if _, ok := cutTool(about.Topic); !ok {
		return result, fault.New(fault.Usage, "%.64q is no name of a tool: a name does not end with result", tool)
	}
	if about.Payload, err = wire.NewPayload(wire.TypeToolExecuteRequest, map[string]any{"call_id": id, "tool_name": tool, "arguments": arguments}); err != nil {
		return result, err
	}
	seq, wait, err := r.ask(about)
	if err != nil {
		return result, err
	}
	defer r.forget(seq, callKey{about.Topic, id})
	select {
	case result, ok := <-wait:
		if !ok {
			return result, fault.New(fault.Unavailable, "there are more messages than the kernel routes, and the call of %.64q was lost: try again", tool)
		}
		return result, nil
	case <-r.ended:
		return result, fault.New(fault.Unavailable, "the kernel is stopping")
	case <-ctx.Done():
		r.withdraw(id)
		return result, fault.Wrap(fault.KindOf(ctx.Err()), ctx.Err(), "wait for the tool %.64q", tool)
	}
}

// ask publishes a call. Its result reaches whoever asked and not whoever knows
// the call's id: another call with that id is another message.
func (r *Router) ask(m bus.Message) (seq uint64, wait chan wire.ToolResult, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq, err = r.config.Bus.Publish(m); err != nil {
		return 0, nil, err
	}
	wait = make(chan wire.ToolResult, 1)
	r.waits[seq] = wait
	return seq, wait, nil
}

// forget lets go of a call that nobody waits for any more, unless its tool runs
// still.
func (r *Router) forget(seq uint64, key callKey) {
	r.mu.Lock()
	delete(r.waits, seq)
	p := r.calls[key]
	if p != nil && p.cancel == nil {
		delete(r.calls, key)
	} else {
		p = nil
	}
	r.mu.Unlock()
	if p != nil {
		p.done(wire.ToolResult{Content: "nobody waits for its result any more", IsError: true})
	}
}

// withdraw cancels a call by a message, since capsules may have handed it on.
func (r *Router) withdraw(id string) {
	payload, err := wire.NewPayload(wire.TypeToolCancelRequest, map[string]any{"call_ids": []string{id}})
	if err == nil {
		r.mu.Lock()
		for _, p := range r.calls {
			if p.ID == id {
				p.end()
			}
		}
		r.mu.Unlock()
		_, err = r.config.Bus.Publish(bus.Message{Topic: "tool.v1.request.cancel", Payload: payload})
	}
	if err != nil && !fault.Is(err, fault.NotRunning) {
		r.config.Log.Warn("a tool call is not cancelled", "call", id, "err", err)
	}
}

// abandon gives up the calls of Call that were lost on their way here: those of
// messages before seq that did not come.
func (r *Router) abandon(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, wait := range r.waits {
		if at < seq {
			delete(r.waits, at)
			close(wait)
		}
	}
}

// begin counts a call in. It is false for one that is not made: with the id of
// one that has no result yet, whose results could be taken for each other.
func (r *Router) begin(m *bus.Message, c call) (p *pending, ok bool) {
	r.mu.Lock()
	wait := r.waits[m.Seq]
	delete(r.waits, m.Seq)
	r.mu.Unlock()
	tool, _ := cutTool(m.Topic)
	p = &pending{call: c, message: m, began: time.Now(), wait: wait}
	p.done = r.config.Called(Called{Message: m, Tool: tool, Arguments: c.Arguments, Direct: wait != nil})
	if c.ID == "" {
		return p, true
	}
	r.sweep()
	r.mu.Lock()
	twice, full := r.calls[p.key()] != nil, len(r.calls) >= MaxCalls
	if !twice && !full {
		r.calls[p.key()] = p
	}
	r.mu.Unlock()
	switch {
	case twice:
		r.config.Log.Warn("a tool call with the id of one that is not done yet is not made", "topic", m.Topic, "source", m.Source)
		p.done(wire.ToolResult{Content: "it has the id of a call that is not done yet, and was not made", IsError: true})
	case full:
		r.settle(p, "", "too many tool calls wait for their results: try again later", true)
	}
	return p, !twice && !full
}

// sweep forgets calls that were never answered, when there are many.
func (r *Router) sweep() {
	var old []*pending
	r.mu.Lock()
	if len(r.calls) >= MaxCalls {
		for key, p := range r.calls {
			if time.Since(p.began) > LongestCall {
				delete(r.calls, key)
				old = append(old, p)
			}
		}
	}
	r.mu.Unlock()
	for _, p := range old {
		p.done(wire.ToolResult{Content: "it was never answered", IsError: true})
	}
}

// track lets a call that begins to run be cancelled.
func (r *Router) track(p *pending, cancel context.CancelFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.cancel = cancel; p.cancelled {
		cancel()
	}
}
