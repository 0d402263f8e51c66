package socket

import (
	"context"
	"time"

	"astrid/kernel/bus"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// egress are the topics that every client is sent, as far as it may see the
// messages: the list of section 3.5 of the 0.2 protocol, less the answers of the
// management interface, which go to who asked and to nobody else.
func egress() []string {
	return []string{
		"agent.v1.response", topicDelta, "agent.v1.session_changed",
		"astrid.v1.onboarding.required", "astrid.v1.elicit", "astrid.v1.elicit.*", "astrid.v1.approval", "astrid.v1.approval.*",
		"astrid.v1.capsules_loaded", "astrid.v1.lifecycle.kernel_shutdown",
		"registry.v1.response.*", "registry.v1.active_model_changed", "registry.v1.selection.*", "session.v1.response.*",
	}
}

const (
	topicDelta  = "agent.v1.stream.delta"
	topicLagged = "astrid.v1.event_bus.lagged"
)

// listen begins to collect what the bus has for the client.
func (c *conn) listen() {
	if c.server.config.Bus == nil {
		return
	}
	patterns, err := bus.ParsePatterns(egress())
	if err != nil {
		panic("socket: " + err.Error())
	}
	c.sub, err = c.server.config.Bus.Subscribe(bus.Options{
		Name: "client " + c.about.ID, Patterns: patterns, Filter: Visible(c.server.config.Table, c.caller),
	})
	if err != nil {
		c.server.log.Warn("a client gets no messages", "pid", c.caller.PID, "err", err)
	}
}

// deafen ends what listen began.
func (c *conn) deafen() {
	if c.sub != nil {
		c.sub.Close()
	}
}

// Visible makes the filter of a caller: which messages of the bus it may see.
//
// A caller sees what is its own or concerns nobody and no session. What is about
// a session it sees if it may read that session, and requests for approval if it
// may answer them; a caller that is bound to one session sees nothing else.
func Visible(t *op.Table, c op.Caller) func(*bus.Message) bool {
	return func(m *bus.Message) bool {
		switch {
		case m.Session == "" && m.Principal == "":
			return true
		case c.Session != "" && m.Session != c.Session:
			return false
		case c.Principal == op.Owner, m.Principal == c.User:
			return true
		case bus.Urgent(m.Topic):
			return t.Permit(c, op.CapabilityApprove, m.Session) == nil
		}
		return m.Session != "" && t.Sees(c, m.Session)
	}
}

// forward sends messages as they come. A client that does not keep up gets
// pieces of one stream of text joined, and is told what it lost.
func (c *conn) forward(ctx context.Context) {
	if c.sub == nil {
		return
	}
	j := joiner{sub: c.sub, lagging: func() bool { return len(c.queue) > 0 }}
	for {
		m, loss, err := j.next(ctx)
		if loss.Any() && c.push(ctx, lagged(loss)) != nil || err != nil {
			return
		}
		frame, err := m.Wire().Append(nil)
		if err != nil {
			c.server.log.Warn("message not sent", "topic", m.Topic, "err", err)
			continue
		}
		if c.push(ctx, frame) != nil {
			return
		}
	}
}

// lagged is the frame that tells a loss.
func lagged(loss bus.Loss) []byte {
	data, _ := wire.Encode(struct {
		Count uint64 `json:"lagged_count"`
	}{loss.Messages})
	m := wire.Message{Topic: topicLagged, Payload: wire.Custom(data), SourceID: wire.NilSource, Timestamp: wire.Stamp(time.Now())}
	frame, _ := m.Append(nil)
	return frame
}
