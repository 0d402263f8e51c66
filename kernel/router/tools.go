package router

import (
	"context"
	"slices"
	"strings"

	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/wire"
)

// call is the request in a message that calls a tool.
type call struct {
	ID        string   `json:"call_id"`
	Tool      string   `json:"tool_name"`
	Arguments wire.Raw `json:"arguments"`
}

// toolCall reads a message that calls a tool.
func toolCall(m *bus.Message) (c call, ok bool) {
	if _, ok := cutTool(m.Topic); !ok || wire.PayloadType(m.Payload) != wire.TypeToolExecuteRequest {
		return c, false
	}
	return c, wire.Decode(m.Payload, &c) == nil
}

// bridge is the end of a message's chain: the tool or the command that it names.
func (r *Router) bridge(m *bus.Message) (end link, ok bool) {
	if tool, is := cutTool(m.Topic); is {
		if c, is := toolCall(m); is {
			return r.find(m.Session, func(s capsule.Status) bool { return hasTool(s, tool) }, func(l link) func(context.Context, task) {
				return func(ctx context.Context, t task) { r.runTool(ctx, l, t, tool, c) }
			})
		}
	}
	if m.Topic == "cli.v1.command.execute" {
		if name, is := commandName(m.Payload); is {
			return r.find(m.Session, func(s capsule.Status) bool { return hasCommand(s, name) }, func(l link) func(context.Context, task) {
				return func(ctx context.Context, t task) { r.runCommand(ctx, l, t, name) }
			})
		}
	}
	return link{}, false
}

// find makes the link of the first capsule that is meant.
func (r *Router) find(session string, meant func(capsule.Status) bool, do func(link) func(context.Context, task)) (end link, ok bool) {
	r.config.Capsules.Each(func(s capsule.Status, u capsule.Unit) bool {
		target, is := u.(Target)
		if !is || !meant(s) || !r.config.Concerns(s, session) {
			return true
		}
		end, ok = link{id: s.Package.Name, source: s.Source, target: target}, true
		return false
	})
	end.bridge = do(end)
	return end, ok
}

func hasTool(s capsule.Status, name string) bool {
	for _, t := range s.Tools {
		if t.Name == name {
			return true
		}
	}
	return false
}

func hasCommand(s capsule.Status, name string) bool {
	for _, c := range s.Commands {
		if c.Name == name {
			return true
		}
	}
	return false
}

// commandName is the first word of a command line, without a slash.
func commandName(payload wire.Raw) (name string, ok bool) {
	var in struct {
		Text string `json:"text"`
	}
	if wire.PayloadType(payload) != wire.TypeUserInput || wire.Decode(payload, &in) != nil {
		return "", false
	}
	words := strings.Fields(in.Text)
	if len(words) == 0 {
		return "", false
	}
	return strings.TrimPrefix(words[0], "/"), true
}

// runTool calls a tool and settles the call with what it returns.
func (r *Router) runTool(ctx context.Context, l link, t task, tool string, c call) {
	var rewritten call // an interceptor may have changed the arguments
	if wire.Decode(t.payload, &rewritten) == nil && rewritten.Arguments != nil {
		c.Arguments = rewritten.Arguments
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.track(t.call, cancel)
	out, err := l.target.Tool(ctx, tool, c.Arguments)
	if err != nil {
		r.config.Log.Info("a tool failed", "capsule", l.id, "tool", tool, "err", err)
		r.settle(t.call, l.source, err.Error(), true)
		return
	}
	r.settle(t.call, l.source, strings.ToValidUTF8(string(out), "\ufffd"), false)
}

// runCommand runs a command; what it returns is the answer to the user.
func (r *Router) runCommand(ctx context.Context, l link, t task, name string) {
	out, err := l.target.Command(ctx, name, t.payload)
	text := strings.ToValidUTF8(string(out), "\ufffd")
	if err != nil {
		text = "/" + name + ": " + err.Error()
	}
	if text == "" {
		return
	}
	var in struct {
		Session string `json:"session_id"`
	}
	_ = wire.Decode(t.message.Payload, &in) // absent: the default
	if in.Session == "" {
		in.Session = "default"
	}
	payload, err := wire.NewPayload(wire.TypeAgentResponse, map[string]any{"text": text, "is_final": true, "session_id": in.Session})
	if err == nil {
		_, err = r.config.Bus.Publish(bus.Message{
			Topic: "agent.v1.response", Payload: payload, Source: l.source, Session: t.message.Session, Principal: t.message.Principal,
		})
	}
	if err != nil {
		r.config.Log.Warn("the answer of a command is lost", "command", name, "err", err)
	}
}

// cancel ends the tool calls that a message names.
func (r *Router) cancel(m *bus.Message) {
	var in struct {
		IDs []string `json:"call_ids"`
	}
	if wire.PayloadType(m.Payload) != wire.TypeToolCancelRequest || wire.Decode(m.Payload, &in) != nil {
		return
	}
	r.config.Capsules.Each(func(_ capsule.Status, u capsule.Unit) bool {
		if t, ok := u.(Target); ok {
			t.CancelCalls(in.IDs)
		}
		return true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.calls {
		if slices.Contains(in.IDs, p.ID) {
			p.end()
		}
	}
}
