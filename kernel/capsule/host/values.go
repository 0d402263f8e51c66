package host

import (
	"context"
	"strconv"
	"strings"

	"astrid/kernel/bus"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// kvGet returns the bytes as a JSON array of numbers, as 0.2 guests expect.
func (h *Host) kvGet(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	value, err := h.KV.Get(string(args[0]))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]byte, 1, 2+4*len(value))
	out[0] = '['
	for i, b := range value {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendUint(out, uint64(b), 10)
	}
	return append(out, ']'), nil
}

func (h *Host) kvSet(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return nil, h.KV.Set(string(args[0]), args[1])
}

func (h *Host) kvDelete(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	_, err := h.KV.Delete(string(args[0]))
	return nil, err
}

func (h *Host) kvList(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	keys, err := h.KV.List(string(args[0]))
	if err != nil {
		return nil, err
	}
	if keys == nil {
		keys = []string{}
	}
	return encode(keys)
}

func (h *Host) kvClear(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	n, err := h.KV.Clear(string(args[0]))
	return []byte(strconv.Itoa(n)), err
}

// getConfig returns the value in JSON quotes, as 0.2 guests expect.
func (h *Host) getConfig(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	value, there := h.Env[string(args[0])]
	if !there {
		return nil, nil
	}
	return encode(value)
}

func (h *Host) getCaller(ctx context.Context, _ Clock, _ [][]byte) ([]byte, error) {
	c := CallerOf(ctx)
	out := struct {
		Principal string `json:"principal,omitempty"`
		Session   string `json:"session,omitempty"`
		Source    string `json:"source_id,omitempty"`
		Topic     string `json:"topic,omitempty"`
		Timestamp string `json:"timestamp,omitempty"`
	}{c.Principal, c.Session, c.Source, c.Topic, ""}
	if !c.At.IsZero() {
		out.Timestamp = wire.Stamp(c.At)
	}
	return encode(out)
}

func (h *Host) log(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	text := strings.ToValidUTF8(string(args[1]), "?")
	logger := h.Log.With("capsule", h.Capsule.Package.Name)
	switch strings.ToLower(string(args[0])) {
	case "trace", "debug":
		logger.Debug(text)
	case "warn", "warning":
		logger.Warn(text)
	case "error", "err":
		logger.Error(text)
	default:
		logger.Info(text)
	}
	return nil, nil
}

func (h *Host) signalReady(context.Context, Clock, [][]byte) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.isReady {
		h.isReady = true
		close(h.ready)
	}
	return nil, nil
}

func (h *Host) clockMS(context.Context, Clock, [][]byte) ([]byte, error) {
	return strconv.AppendInt(nil, h.Now().UnixMilli(), 10), nil
}

func (h *Host) cronSchedule(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return nil, h.Schedule(string(args[0]), string(args[1]), string(args[2]))
}

func (h *Host) cronCancel(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return nil, h.Cancel(string(args[0]))
}

func (h *Host) checkCapability(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	var in struct {
		Source     string `json:"source_uuid"`
		Capability string `json:"capability"`
	}
	if err := wire.Decode(args[0], &in); err != nil {
		return nil, err
	}
	return encode(map[string]bool{"allowed": in.Capability == "allow_prompt_injection" && h.Capability(in.Source, in.Capability)})
}

// maxUplinks is how many uplinks a capsule registers.
const maxUplinks = 32

// uplink is a connection to a platform that the capsule has registered.
type uplink struct{ name, platform, profile string }

func (h *Host) uplinkRegister(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	u := uplink{string(args[0]), string(args[1]), string(args[2])}
	switch u.profile {
	case "human":
		u.profile = "chat"
	case "chat", "interactive", "notify", "bridge":
	default:
		return nil, fault.New(fault.Usage, "%.40q is no profile of an uplink", u.profile)
	}
	if !h.Capsule.Capabilities.Uplink && len(h.Capsule.Uplinks) == 0 {
		return nil, fault.New(fault.Denied, "capsule '%s' is no uplink: its manifest does not say so", h.Capsule.Package.Name)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.uplinks) >= maxUplinks {
		return nil, fault.New(fault.Limit, "uplink registration limit reached")
	}
	for _, other := range h.uplinks {
		if other.name == u.name && other.platform == u.platform {
			return nil, fault.New(fault.Exists, "the uplink %.64q of %.64q is registered already", u.name, u.platform)
		}
	}
	id := wire.NewUUID()
	h.uplinks[id] = u
	return []byte(id), nil
}

// uplinkSend publishes what came in over an uplink.
func (h *Host) uplinkSend(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	h.mu.Lock()
	u, mine := h.uplinks[string(args[0])]
	h.mu.Unlock()
	if !mine {
		return nil, fault.New(fault.NotFound, "there is no uplink %.64q of this capsule", args[0])
	}
	data, err := wire.Encode(map[string]string{
		"uplink": u.name, "platform": u.platform, "platform_user_id": string(args[1]), "content": string(args[2]),
	})
	if err != nil {
		return nil, err
	}
	principal := ""
	if h.Identity != nil {
		if user, err := h.Identity.Resolve(u.platform, string(args[1])); err == nil {
			principal = user.ID
		}
	}
	_, err = h.Bus.Publish(bus.Message{
		Topic: "uplink.v1.inbound", Payload: wire.Custom(data), Source: h.Capsule.Source, Session: CallerOf(ctx).Session, Principal: principal,
	})
	if err != nil {
		return encode(map[string]bool{"ok": false, "dropped": true})
	}
	return encode(map[string]bool{"ok": true})
}
