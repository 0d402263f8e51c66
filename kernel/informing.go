package kernel

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// What capsules may know of the session that they work for: its status, changes and
// patch. They ask as 0.2 has it, by a message on astrid.v1.request.ID, which their
// manifest must name in ipc_publish, and are answered on astrid.v1.response.ID. They
// can ask for nothing else.

// Bounds of that.
const (
	informers  = 4 // requests at a time
	informTime = 10 * time.Second
	maxInform  = 1 << 20 // bytes of an answer
)

// informCapsules answers capsules until ctx ends.
func (k *Kernel) informCapsules(ctx context.Context) error {
	patterns, err := bus.ParsePatterns([]string{"astrid.v1.request.*"})
	if err != nil {
		return err
	}
	sub, err := k.Bus.Subscribe(bus.Options{Name: "requests of capsules", Patterns: patterns})
	if err != nil {
		return err
	}
	defer sub.Close()
	var all errgroup.Group
	all.SetLimit(informers)
	for {
		m, _, err := sub.Next(ctx)
		if err != nil {
			return all.Wait() // the bus or the kernel ends
		}
		all.Go(func() error {
			k.inform(ctx, m)
			return nil
		})
	}
}

// inform answers one request, if a capsule made it.
func (k *Kernel) inform(ctx context.Context, m bus.Message) {
	list := k.ready()
	i := slices.IndexFunc(list, func(s capsule.Status) bool { return s.Source == m.Source })
	if i < 0 || wire.PayloadType(m.Payload) != wire.TypeRawJSON {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, informTime)
	defer cancel()
	response := wire.Response{Status: wire.StatusSuccess}
	data, err := k.informed(ctx, list[i], m)
	if response.Data = data; err != nil {
		response = wire.ErrorResponse(err)
	}
	if fault.Is(err, fault.Denied) {
		caller := host.Caller{Session: m.Session, Principal: m.Principal, Source: m.Source, Topic: string(m.Topic)}
		k.witness.refusal(host.WithCaller(ctx, caller), list[i].Package.Name, "astrid.v1.request", err)
	}
	payload, err := wire.RawJSON(response)
	topic := "astrid.v1.response." + strings.TrimPrefix(string(m.Topic), "astrid.v1.request.")
	k.publish(bus.Message{Topic: bus.Topic(topic), Session: m.Session, Principal: m.Principal}, payload, err)
}

// informed is the answer to a request.
func (k *Kernel) informed(ctx context.Context, by capsule.Status, m bus.Message) (wire.Raw, error) {
	var req struct {
		Type   string   `json:"type"`
		Method string   `json:"method"`
		Params wire.Raw `json:"params"`
	}
	if err := wire.Decode(m.Payload, &req); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{op.Status, op.Changes, op.Patch}, req.Method) {
		return nil, fault.New(fault.Denied, "a capsule may ask for %s, %s and %s of its session, and not for %.64q", op.Status, op.Changes, op.Patch, req.Method)
	}
	s, err := k.session(m.Session)
	if err != nil {
		return nil, err
	}
	if !k.concerns(by, s.Name) {
		return nil, fault.New(fault.Denied, "the capsule %s has nothing to do with the session %s", by.Package.Name, s.Name)
	}
	var reply any
	switch req.Method {
	case op.Status:
		reply, err = k.Sessions.Status(ctx, s.Name)
	case op.Changes:
		reply, err = k.Sessions.Changes(ctx, s.Name, wire.ChangesRequest{})
	default:
		var patch limited
		err = k.Sessions.Patch(ctx, s.Name, wire.PatchRequest{}, &patch)
		reply = strings.ToValidUTF8(patch.String(), "\ufffd")
	}
	if err != nil {
		return nil, err
	}
	data, err := wire.Encode(reply)
	if err == nil && len(data) > maxInform {
		err = tooLarge()
	}
	return data, err
}

func tooLarge() error {
	return fault.New(fault.Limit, "the answer has more than %d bytes, and a capsule gets no more", maxInform)
}

// limited is a buffer that takes at most maxInform bytes.
type limited struct{ bytes.Buffer }

// Write takes them, or refuses.
func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxInform {
		return 0, tooLarge()
	}
	return l.Buffer.Write(p)
}
