package kernel

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"astrid/kernel/approve"
	"astrid/kernel/bus"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/socket"
	"astrid/kernel/wire"
)

// messages is the bus as the operation table sees it.
type messages struct{ k *Kernel }

var _ op.Bus = messages{}

// Status implements op.Bus.
func (m messages) Status(context.Context, wire.None) (wire.BusStatus, error) {
	st := m.k.Bus.Stats()
	w := wire.BusStatus{Published: st.Published, Lost: st.Lost, Subscribers: []wire.BusSubscriber{}}
	for _, s := range st.Subscribers {
		w.Subscribers = append(w.Subscribers, wire.BusSubscriber{
			Name: s.Name, Patterns: s.Patterns, Queued: s.Queued, Bytes: s.Bytes, Delivered: s.Delivered, Lost: s.Lost, Age: s.Oldest.Seconds(),
		})
	}
	slices.SortFunc(w.Subscribers, func(a, b wire.BusSubscriber) int { return strings.Compare(a.Name, b.Name) })
	return w, nil
}

// Publish implements op.Bus. The topics on which the kernel itself speaks are
// not for others.
func (m messages) Publish(ctx context.Context, req wire.PublishRequest) (wire.Published, error) {
	if strings.HasPrefix(req.Topic, "astrid.") || strings.HasPrefix(req.Topic, "client.") {
		return wire.Published{}, fault.New(fault.Denied, "the topic %.64q is the kernel's own", req.Topic)
	}
	if _, result := bus.Topic(req.Topic).Call(); result {
		return wire.Published{}, fault.New(fault.Denied, "the result of a tool comes from the capsule that serves it, and nobody else publishes on %.64q", req.Topic)
	}
	payload, err := wire.ParsePayload(req.Payload)
	if err != nil {
		return wire.Published{}, err
	}
	seq, err := m.k.Bus.Publish(bus.Message{
		Topic: bus.Topic(req.Topic), Payload: payload, Session: req.Session, Principal: op.CallerOf(ctx).User, Source: m.k.source,
	})
	return wire.Published{Seq: seq}, err
}

// flusher is a writer that can be told that nothing more comes for now.
type flusher interface{ Flush() error }

// Events implements op.Bus.
func (m messages) Events(ctx context.Context, req wire.EventsRequest, w io.Writer) error {
	if len(req.Patterns) == 0 {
		req.Patterns = []string{"*", "*.*"}
	}
	patterns, err := bus.ParsePatterns(req.Patterns)
	if err != nil {
		return err
	}
	sub, err := m.k.Bus.Subscribe(bus.Options{
		Name: "events", Patterns: patterns, Filter: socket.Visible(m.k.Ops, op.CallerOf(ctx)), Replay: !req.New, Since: req.Since, Ordered: true,
	})
	if err != nil {
		return err
	}
	defer sub.Close()
	for {
		message, loss, err := sub.TryNext()
		if message == nil && err == nil {
			if message, loss, err = m.pause(ctx, req.Follow, sub, w); message == nil && err == nil {
				return nil
			}
		}
		if werr := event(w, message, loss); werr != nil || errors.Is(err, io.EOF) {
			return werr
		}
		if err != nil {
			return fault.Wrap(fault.KindOf(err), err, "follow the bus")
		}
	}
}

// pause is when there is nothing more for now: what was written goes out, and
// who follows waits for the next message.
func (m messages) pause(ctx context.Context, follow bool, sub *bus.Subscription, w io.Writer) (*bus.Message, bus.Loss, error) {
	if f, ok := w.(flusher); ok {
		if err := f.Flush(); err != nil {
			return nil, bus.Loss{}, err
		}
	}
	if !follow {
		return nil, bus.Loss{}, nil
	}
	message, loss, err := sub.Next(ctx)
	if err != nil {
		return nil, loss, err
	}
	return &message, loss, nil
}

// event writes a loss and a message, as far as there are any.
func event(w io.Writer, m *bus.Message, loss bus.Loss) error {
	if loss.Any() {
		if err := line(w, wire.Event{Lost: loss.Messages, LostFrom: loss.From, LostTo: loss.To}); err != nil {
			return err
		}
	}
	if m == nil {
		return nil
	}
	return line(w, wire.Event{
		Seq: m.Seq, At: m.At.UTC(), Topic: string(m.Topic), Payload: m.Payload, Source: m.Source, Session: m.Session, Principal: m.Principal,
	})
}

func line(w io.Writer, v any) error {
	data, err := wire.Encode(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// publish puts what the kernel itself says on the bus.
func (k *Kernel) publish(m bus.Message, payload wire.Raw, err error) {
	if err == nil {
		m.Payload = payload
		_, err = k.Bus.Publish(m)
	}
	if err != nil && !fault.Is(err, fault.NotRunning) {
		k.config.Log.Warn("message not published", "topic", m.Topic, "err", err)
	}
}

// lifecycle publishes an event of the kernel's life. about says which session and
// whom it concerns; what concerns neither is for everybody to see.
func (k *Kernel) lifecycle(kind string, about bus.Message, members map[string]any) {
	topic, event, err := wire.NewEvent(kind, wire.EventMeta{EventID: wire.NewUUID(), Timestamp: wire.Stamp(time.Now()), Source: "kernel"}, members)
	about.Topic = bus.Topic(topic)
	k.publish(about, wire.Custom(event), err)
}

// announce tells clients of a request for approval, or of the answer to it.
func (k *Kernel) announce(r approve.Request, a *approve.Answer) {
	about := bus.Message{Session: r.Session, Principal: r.Principal}
	m := about
	m.Topic = "astrid.v1.approval"
	if a == nil {
		payload, err := r.Payload()
		k.publish(m, payload, err)
		k.lifecycle("approval_requested", about, map[string]any{"request_id": r.ID, "resource": r.Resource, "action": r.Action, "description": r.Reason})
		return
	}
	m.Topic += bus.Topic(".response." + r.ID)
	payload, err := a.Payload()
	k.publish(m, payload, err)
	if a.Approved {
		k.lifecycle("approval_granted", about, map[string]any{"request_id": r.ID})
	} else {
		k.lifecycle("approval_denied", about, map[string]any{"request_id": r.ID, "reason": a.Reason})
	}
}

// viewEvent publishes what happened in a view, and before it how much of that nobody
// was there to hear.
func (k *Kernel) viewEvent(session string, e wire.ViewEvent) {
	if e.Lost > 0 {
		data, err := wire.Encode(map[string]any{"session": session, "lost": e.Lost})
		k.publish(bus.Message{Topic: "astrid.v1.session.lost", Session: session}, wire.Custom(data), err)
	}
	data, err := wire.Encode(struct {
		Session string `json:"session"`
		wire.ViewEvent
	}{session, e})
	if c := k.control.Load(); c != nil && e.Kind == op.Brake {
		c.Braked(session, e.Text)
	}
	k.publish(bus.Message{Topic: bus.Topic("astrid.v1.session." + e.Kind), Session: session}, wire.Custom(data), err)
}

// connected and disconnected tell the bus of a client.
func (k *Kernel) connected(c socket.Client) {
	payload, err := wire.NewPayload(wire.TypeConnect, struct{}{})
	k.publish(bus.Message{Topic: "client.v1.connected", Source: c.ID, Principal: c.Caller.User, Session: c.Caller.Session}, payload, err)
}

func (k *Kernel) disconnected(c socket.Client) {
	payload, err := wire.NewPayload(wire.TypeDisconnect, map[string]string{"reason": "stream_closed"})
	k.publish(bus.Message{Topic: "client.v1.disconnect", Source: c.ID, Principal: c.Caller.User, Session: c.Caller.Session}, payload, err)
}
