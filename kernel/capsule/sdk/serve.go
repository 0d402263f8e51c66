package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Call is one call of a capsule.
type Call struct {
	Name    string // the tool, action or command
	Payload []byte // arguments of a tool, the message of an interceptor
}

// Decode reads the payload as JSON.
func (c Call) Decode(into any) error { return json.Unmarshal(c.Payload, into) }

// Verdict is what an interceptor decides; make one with Continue, Rewrite, Final
// or Deny.
type Verdict struct{ answer []byte }

// Continue lets a message go on as it is.
func Continue() Verdict { return Verdict{} }

// Rewrite lets it go on with another payload.
func Rewrite(payload []byte) Verdict { return Verdict{append([]byte{0}, payload...)} }

// Final ends the way of a message.
func Final() Verdict { return Verdict{[]byte{1}} }

// Deny refuses it, with a reason that is told and recorded.
func Deny(reason string) Verdict { return Verdict{append([]byte{2}, reason...)} }

// handlers is what a capsule serves.
type handlers struct {
	tools, hooks, commands, crons map[string]func(Call) ([]byte, error)
}

func newHandlers() *handlers {
	make := func() map[string]func(Call) ([]byte, error) { return map[string]func(Call) ([]byte, error){} }
	return &handlers{tools: make(), hooks: make(), commands: make(), crons: make()}
}

// errNone is what a call of something that is not served returns.
var errNone = errors.New("this capsule does not serve it")

// serve runs the handler that an envelope names.
func serve(from map[string]func(Call) ([]byte, error), envelope []byte) (out []byte, err error) {
	var in struct {
		Name      string `json:"name"`
		Arguments []int  `json:"arguments"`
	}
	if err := json.Unmarshal(envelope, &in); err != nil {
		return nil, fmt.Errorf("read the call: %w", err)
	}
	h := from[in.Name]
	if h == nil {
		return nil, fmt.Errorf("%s: %w", in.Name, errNone)
	}
	payload := make([]byte, len(in.Arguments))
	for i, n := range in.Arguments {
		payload[i] = byte(n)
	}
	return h(Call{in.Name, payload})
}
