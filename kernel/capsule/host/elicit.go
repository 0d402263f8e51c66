package host

import (
	"context"
	"encoding/json"
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/question"
	"astrid/kernel/wire"
)

// maxKey is how long the name of a value that a capsule asks for may be, in bytes.
const maxKey = 256

// elicitation is the request of astrid_elicit.
type elicitation struct {
	Type    string   `json:"type"` // text, secret, select or array
	Key     string   `json:"key"`
	About   string   `json:"description"`
	Options []string `json:"options"`
	Default any      `json:"default"`
}

// elicit asks people for a value, while the capsule is installed or upgraded. A
// secret is kept, and not told.
func (h *Host) elicit(ctx context.Context, clock Clock, args [][]byte) ([]byte, error) {
	if h.Elicit == nil {
		return nil, fault.New(fault.Denied, "a capsule may only elicit values while it is installed or upgraded")
	}
	var in elicitation
	if err := wire.Decode(args[0], &in); err != nil {
		return nil, err
	}
	form, err := in.form()
	if err != nil {
		return nil, err
	}
	resume := clock.Pause()
	a, err := h.Elicit(ctx, question.Question{Message: in.message(), Form: form})
	resume()
	switch {
	case err != nil:
		return nil, err
	case a.End == question.Declined:
		return nil, fault.New(fault.Denied, "user cancelled elicit request")
	case a.End != question.Accepted:
		return nil, fault.New(fault.Unavailable, "elicit request timed out, was cancelled, or response channel closed")
	}
	return h.elicited(in, a.Content[in.Key])
}

// elicited is the reply of a value.
func (h *Host) elicited(in elicitation, value any) ([]byte, error) {
	switch in.Type {
	case "secret":
		text, _ := value.(string)
		if err := h.Secrets.Set(in.Key, []byte(text)); err != nil {
			return nil, err
		}
		return encode(map[string]bool{"ok": true})
	case "array":
		return encode(map[string]any{"values": value})
	}
	return encode(map[string]any{"value": value})
}

// message is what people read: the description, or at least the name.
func (in elicitation) message() string {
	if in.About != "" {
		return in.About
	}
	return in.Key
}

// form is the form with the one value.
func (in elicitation) form() (f question.Form, err error) {
	if in.Key == "" || len(in.Key) > maxKey || strings.ContainsAny(in.Key, ":\x00") {
		return f, fault.New(fault.Usage, "%.40q is no key of a value: it has 1 to %d bytes and no colon", in.Key, maxKey)
	}
	member := map[string]any{"type": "string", "minLength": 1}
	switch in.Type {
	case "text":
	case "secret":
		member["writeOnly"], in.Default = true, nil
	case "select":
		if len(in.Options) == 0 {
			return f, fault.New(fault.Usage, "a choice needs options")
		}
		member = map[string]any{"type": "string", "enum": in.Options}
	case "array":
		member = map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	default:
		return f, fault.New(fault.Usage, "%.40q is no type of a value: it is text, secret, select or array", in.Type)
	}
	if in.Default != nil {
		member["default"] = in.Default
	}
	if in.About != "" {
		member["description"] = in.About
	}
	schema, err := json.Marshal(map[string]any{"type": "object", "properties": map[string]any{in.Key: member}, "required": []string{in.Key}})
	if err != nil {
		return f, fault.Wrap(fault.Usage, err, "ask for %.40q", in.Key)
	}
	return question.ParseForm(schema)
}
