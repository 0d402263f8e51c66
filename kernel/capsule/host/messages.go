package host

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"astrid/kernel/bus"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Limits of what a capsule says and hears (section 4.6 of the 0.2 protocol).
const (
	maxSegments      = 8
	maxMessage       = 5 << 20
	maxPerSecond     = 10 << 20
	maxDrain         = 10 << 20
	maxSubscriptions = 128
	maxWait          = 60 * time.Second
)

// meter bounds the bytes that a capsule publishes in a second.
type meter struct {
	mu    sync.Mutex
	began time.Time
	bytes int
}

func (m *meter) admit(now time.Time, n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.began) >= time.Second {
		m.began, m.bytes = now, 0
	}
	m.bytes += n
	return m.bytes <= maxPerSecond
}

func (h *Host) ipcPublish(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	topic, body := string(args[0]), args[1]
	switch {
	case len(topic) > bus.MaxTopic:
		return nil, fault.New(fault.Usage, "Topic exceeds maximum allowed length (%d bytes)", bus.MaxTopic)
	case len(body) > maxMessage:
		return nil, fault.New(fault.Limit, "Payload too large: %d bytes, and %d are allowed", len(body), maxMessage)
	case !h.published.admit(h.Now(), len(body)):
		return nil, fault.New(fault.Limit, "Rate limit exceeded: %d bytes a second: try again in a second", maxPerSecond)
	case !utf8.ValidString(topic):
		return nil, fault.New(fault.Usage, "Topic is not valid UTF-8")
	}
	parsed, err := bus.ParseTopic(topic)
	if err != nil {
		return nil, err
	}
	if strings.Count(topic, ".") >= maxSegments {
		return nil, fault.New(fault.Usage, "Topic exceeds maximum allowed segments (%d)", maxSegments)
	}
	if err := h.mayPublish(parsed); err != nil {
		return nil, err
	}
	payload, err := wire.ParsePayload(body)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "IPC payload is not valid JSON")
	}
	caller := CallerOf(ctx)
	m := bus.Message{Topic: parsed, Payload: payload, Source: h.Capsule.Source, Session: caller.Session, Principal: caller.Principal}
	if _, result := parsed.Call(); result && h.Result != nil {
		return nil, h.Result(m)
	}
	_, err = h.Bus.Publish(m)
	return nil, err
}

func (h *Host) mayPublish(t bus.Topic) error {
	list := h.Capsule.Capabilities.IPCPublish
	for _, text := range list {
		if p, err := bus.ParsePattern(text); err == nil && p.Match(t) {
			return nil
		}
	}
	if len(list) == 0 {
		return fault.New(fault.Denied, "Capsule '%s' is not allowed to publish to topic '%s': declare it in ipc_publish", h.Capsule.Package.Name, t)
	}
	return fault.New(fault.Denied, "Capsule '%s' is not allowed to publish to topic '%s' — declared ipc_publish patterns: %s", h.Capsule.Package.Name, t, strings.Join(list, ", "))
}

// subscription is one of a capsule's. ahead is a message that did not fit into
// the last drain.
type subscription struct {
	*bus.Subscription
	turn   sync.Mutex // one drain at a time
	ahead  *bus.Message
	action string // of the interceptor that it was made for; empty: the capsule made it
	topic  string
}

func (h *Host) ipcSubscribe(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	id, err := h.Subscribe(string(args[0]), "")
	return []byte(strconv.FormatUint(id, 10)), err
}

// Subscribe makes a subscription for the capsule and returns its handle. With an
// action it is that of an interceptor, which a capsule with a loop of its own
// gets by subscription and cannot end.
func (h *Host) Subscribe(text, action string) (uint64, error) {
	p, err := bus.ParsePattern(text)
	if err != nil {
		return 0, err
	}
	segments := strings.Split(text, ".")
	if len(segments) > maxSegments {
		return 0, fault.New(fault.Usage, "Topic exceeds maximum allowed segments (%d)", maxSegments)
	}
	if i := slices.Index(segments, "*"); action == "" && i >= 0 && i < len(segments)-1 {
		return 0, fault.New(fault.Usage, "a wildcard may only be the last segment of %q", text)
	}
	allowed := slices.ContainsFunc(h.Capsule.Capabilities.IPCSubscribe, func(entry string) bool {
		acl, err := bus.ParsePattern(entry)
		return err == nil && acl.Covers(p)
	})
	if action == "" && !allowed {
		return 0, fault.New(fault.Denied, "Capsule '%s' is not allowed to subscribe to '%s'", h.Capsule.Package.Name, text)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subs) >= maxSubscriptions {
		return 0, fault.New(fault.Limit, "Subscription limit reached (%d max per plugin)", maxSubscriptions)
	}
	sub, err := h.Bus.Subscribe(bus.Options{Name: "capsule " + string(h.Capsule.Package.Name), Patterns: []bus.Pattern{p}})
	if err != nil {
		return 0, err
	}
	h.lastSub++
	h.subs[h.lastSub] = &subscription{Subscription: sub, action: action, topic: text}
	return h.lastSub, nil
}

func (h *Host) subscription(handle []byte) (*subscription, uint64, error) {
	id, err := number(handle)
	if err != nil {
		return nil, 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.subs[id]
	if s == nil {
		return nil, 0, fault.New(fault.NotFound, "Subscription handle not found")
	}
	return s, id, nil
}

func (h *Host) ipcUnsubscribe(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	s, id, err := h.subscription(args[0])
	if err != nil {
		return nil, err
	}
	if s.action != "" {
		return nil, fault.New(fault.Denied, "Cannot unsubscribe a runtime-owned interceptor handle")
	}
	h.mu.Lock()
	delete(h.subs, id)
	h.mu.Unlock()
	s.Close()
	return nil, nil
}

// envelope is what a drain returns.
type envelope struct {
	Messages []wire.Raw `json:"messages"`
	Dropped  uint64     `json:"dropped"`
	Lagged   uint64     `json:"lagged"`
}

func (h *Host) ipcPoll(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	s, _, err := h.subscription(args[0])
	if err != nil {
		return nil, err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	return s.drain(envelope{})
}

func (h *Host) ipcRecv(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	s, _, err := h.subscription(args[0])
	if err != nil {
		return nil, err
	}
	ms, err := number(args[1])
	if err != nil {
		return nil, err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.ahead != nil {
		return s.drain(envelope{})
	}
	wait := min(time.Duration(min(ms, uint64(maxWait/time.Millisecond)))*time.Millisecond, maxWait)
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	m, loss, err := s.Next(waiting)
	switch {
	case err == nil:
		s.ahead = &m
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !errors.Is(err, io.EOF) && waiting.Err() == nil:
		return nil, err
	}
	return s.drain(envelope{Lagged: loss.Messages})
}

// drain takes what is queued, up to maxDrain bytes; the message that does not
// fit is the first of the next drain.
//
// Preconditions: s.turn is held.
func (s *subscription) drain(e envelope) ([]byte, error) {
	e.Messages = []wire.Raw{}
	for size := 0; ; {
		m := s.ahead
		if s.ahead = nil; m == nil {
			var loss bus.Loss
			if m, loss, _ = s.TryNext(); m == nil {
				return encode(e)
			}
			e.Lagged += loss.Messages
		}
		if size += len(m.Payload); size > maxDrain && len(e.Messages) > 0 {
			s.ahead = m
			return encode(e)
		}
		data, err := wire.Encode(m.Wire())
		if err != nil {
			return nil, err
		}
		e.Messages = append(e.Messages, data)
	}
}

func (h *Host) interceptorHandles(context.Context, Clock, [][]byte) ([]byte, error) {
	type handle struct {
		ID     uint64 `json:"handle_id"`
		Action string `json:"action"`
		Topic  string `json:"topic"`
	}
	list := []handle{}
	h.mu.Lock()
	for id, s := range h.subs {
		if s.action != "" {
			list = append(list, handle{id, s.action, s.topic})
		}
	}
	h.mu.Unlock()
	slices.SortFunc(list, func(a, b handle) int { return int(a.ID) - int(b.ID) })
	return encode(list)
}

func (h *Host) triggerHook(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	var in struct {
		Hook    string   `json:"hook"`
		Payload wire.Raw `json:"payload"`
	}
	if err := wire.Decode(args[0], &in); err != nil {
		return nil, err
	}
	if _, err := bus.ParseTopic(in.Hook); err != nil {
		return nil, err
	}
	if in.Payload == nil {
		in.Payload = wire.Raw("null")
	}
	results := h.Trigger(ctx, h.Capsule.Package.Name, in.Hook, in.Payload)
	if results == nil {
		results = []wire.Raw{}
	}
	return encode(results)
}
