package router

import (
	"context"
	"time"

	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Result takes what a capsule says that a tool returned: that of the capsule
// which serves the tool counts, and any other is an error of Kind Denied. What
// answers no call is dropped.
func (r *Router) Result(m bus.Message) error {
	topic, ok := m.Topic.Call()
	if !ok {
		return fault.New(fault.Internal, "%.128q is no topic of results", m.Topic)
	}
	if !r.serves(m.Source, topic) {
		return fault.New(fault.Denied, "the capsule does not serve the tool of %.128q: a result comes from who serves it", topic)
	}
	if wire.PayloadType(m.Payload) != wire.TypeToolExecuteResult {
		_, err := r.config.Bus.Publish(m) // what else it says of a call
		return err
	}
	id, result, ok := readResult(m.Payload)
	if !ok {
		return fault.New(fault.Usage, "the result on %.128q has no content", m.Topic)
	}
	p := &pending{message: &bus.Message{Topic: topic, Session: m.Session, Principal: m.Principal}, done: func(wire.ToolResult) {}}
	if id != "" {
		r.mu.Lock()
		p = r.calls[callKey{topic, id}]
		r.mu.Unlock()
	}
	if p == nil {
		r.config.Log.Debug("a result answers no call", "topic", m.Topic, "source", m.Source)
		return nil
	}
	r.settle(p, m.Source, result.Content, result.IsError)
	return nil
}

// readResult reads a payload that is a result.
func readResult(payload wire.Raw) (id string, result wire.ToolResult, ok bool) {
	var in struct {
		ID     string `json:"call_id"`
		Result *struct {
			Content *string `json:"content"`
			IsError bool    `json:"is_error"`
		} `json:"result"`
	}
	if wire.Decode(payload, &in) != nil || in.Result == nil || in.Result.Content == nil {
		return "", result, false
	}
	return in.ID, wire.ToolResult{Content: *in.Result.Content, IsError: in.Result.IsError}, true
}

// serves tells whether the results of a tool are a capsule's to give: it is the
// first that declares the tool or, when none does, one with an interceptor of
// just the topic of its calls.
func (r *Router) serves(source string, topic bus.Topic) bool {
	tool, _ := cutTool(topic)
	declared, mine, exact := false, false, false
	r.config.Capsules.Each(func(s capsule.Status, _ capsule.Unit) bool {
		if hasTool(s, tool) {
			declared, mine = true, s.Source == source
			return false
		}
		for _, i := range s.Interceptors {
			exact = exact || s.Source == source && i.Event == string(topic)
		}
		return true
	})
	return mine || exact && !declared
}

// settle ends a call with a result, which interceptors may change or refuse
// before anybody gets it. What comes after the first result is dropped.
func (r *Router) settle(p *pending, source, content string, failed bool) {
	r.mu.Lock()
	if p.settled {
		r.mu.Unlock()
		return
	}
	p.settled = true
	if r.calls[p.key()] == p {
		delete(r.calls, p.key())
	}
	ctx := r.life
	r.mu.Unlock()
	payload, err := wire.NewPayload(wire.TypeToolExecuteResult, resultOf(p.ID, content, failed))
	if err != nil {
		r.config.Log.Warn("the result of a tool call is lost", "topic", p.message.Topic, "err", err)
		return
	}
	m := &bus.Message{
		Topic: p.message.Topic + ".result", Payload: payload, At: time.Now(), Source: source, Session: p.message.Session, Principal: p.message.Principal, Settled: true,
	}
	t := task{message: m, payload: payload, call: p, result: true}
	t.chain = append(r.interceptors(m.Topic, m.Session, ""), link{bridge: func(_ context.Context, t task) {
		if _, result, ok := readResult(t.payload); ok {
			r.deliver(t, result.Content, result.IsError)
			return
		}
		r.deliver(t, "an interceptor made of the result what is none", true)
	}})
	r.push(ctx, t)
}

func resultOf(id, content string, failed bool) map[string]any {
	return map[string]any{"call_id": id, "result": map[string]any{"call_id": id, "content": content, "is_error": failed}}
}

// deliver gives a result to whoever waits for it, and to everybody on the bus.
func (r *Router) deliver(t task, content string, failed bool) {
	m := *t.message
	var err error
	if m.Payload, err = wire.NewPayload(wire.TypeToolExecuteResult, resultOf(t.call.ID, content, failed)); err == nil {
		_, err = r.config.Bus.Publish(m)
	}
	if err != nil {
		r.config.Log.Warn("the result of a tool call is lost", "topic", m.Topic, "err", err)
	}
	t.call.done(wire.ToolResult{Content: content, IsError: failed})
	if t.call.wait != nil {
		t.call.wait <- wire.ToolResult{Content: content, IsError: failed}
	}
}
