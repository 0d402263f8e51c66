//go:build wasip1

package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// About asks the kernel for something of the session that this call is for: "status",
// "changes" or "patch", as the control files of those names have them. The manifest
// must have astrid.v1.request.* in ipc_publish and astrid.v1.response.* in
// ipc_subscribe.
func About(what string, into any) error {
	id := fmt.Sprintf("%016x", rand.Uint64())
	answers := Subscribe("astrid.v1.response." + id)
	defer answers.Close()
	Publish("astrid.v1.request."+id, map[string]any{"type": "raw_json", "method": what})
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		messages, _ := answers.Receive(time.Minute)
		for _, m := range messages {
			var out struct {
				Status string          `json:"status"`
				Data   json.RawMessage `json:"data"`
			}
			if err := json.Unmarshal(m.Payload, &out); err != nil {
				return err
			}
			if out.Status == "Error" {
				var text string
				decode(out.Data, &text)
				return errors.New(text)
			}
			return json.Unmarshal(out.Data, into)
		}
	}
	return errors.New("nobody answered")
}
