//go:build wasip1

package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// CallTool calls a tool of any capsule and waits for its result, for as long as a
// call may take; the error is what the tool failed with. The manifest must have
// tool.v1.execute.NAME in ipc_publish and tool.v1.execute.NAME.result in
// ipc_subscribe, and uplink when tools may take longer than a call of this capsule.
func CallTool(name string, arguments any) (content string, err error) {
	topic := "tool.v1.execute." + name
	results := Subscribe(topic + ".result")
	defer results.Close()
	id := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	Publish(topic, map[string]any{"type": "tool_execute_request", "call_id": id, "tool_name": name, "arguments": arguments})
	for end := time.Now().Add(longestCall); time.Now().Before(end); {
		messages, _ := results.Receive(time.Minute)
		for _, m := range messages {
			if r, mine := resultOf(m.Payload, id); mine && r.IsError {
				return "", errors.New(r.Content)
			} else if mine {
				return r.Content, nil
			}
		}
	}
	return "", errors.New("the tool " + name + " was not answered")
}

// longestCall is how long the kernel lets a tool take.
const longestCall = time.Hour

// result is what a tool returned.
type result struct {
	Content string `json:"content"`
	IsError bool   `json:"is_error"`
}

// resultOf reads a message, and tells whether it is the result of the call with an
// id.
func resultOf(payload json.RawMessage, id string) (r result, mine bool) {
	var in struct {
		ID     string  `json:"call_id"`
		Result *result `json:"result"`
	}
	if json.Unmarshal(payload, &in) != nil || in.Result == nil || in.ID != id {
		return r, false
	}
	return *in.Result, true
}
