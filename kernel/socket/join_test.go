package socket

import (
	"fmt"
	"testing"

	"astrid/kernel/bus"
	"astrid/kernel/wire"
)

// A client that lags gets neighbouring pieces of one stream as one, and nothing
// else is joined, reordered or lost.
func TestPiecesOfOneStreamAreJoinedForALaggingClient(t *testing.T) {
	b := bus.New(bus.Config{})
	patterns, err := bus.ParsePatterns(egress())
	if err != nil {
		t.Fatal(err)
	}
	sub, err := b.Subscribe(bus.Options{Patterns: patterns})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	piece := func(text, session string, final bool) {
		payload := fmt.Sprintf(`{"type":"agent_response","text":%q,"is_final":%t,"session_id":%q}`, text, final, session)
		if _, err := b.Publish(bus.Message{Topic: topicDelta, Payload: wire.Raw(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	piece("a", "s", false)
	piece("b", "s", false)
	piece("c", "t", false)
	piece("d", "t", true)
	piece("e", "t", false)
	piece("f", "t", false)
	j := joiner{sub: sub, lagging: func() bool { return true }}
	for _, want := range []string{
		`{"type":"agent_response","text":"ab","is_final":false,"session_id":"s"}`,
		`{"type":"agent_response","text":"c","is_final":false,"session_id":"t"}`,
		`{"type":"agent_response","text":"d","is_final":true,"session_id":"t"}`,
		`{"type":"agent_response","text":"ef","is_final":false,"session_id":"t"}`,
	} {
		m, loss, err := j.next(t.Context())
		if err != nil || loss.Any() || string(m.Payload) != want {
			t.Errorf("got %s, %+v, %v\nwant %s", m.Payload, loss, err, want)
		}
	}
}
