package bus

import (
	"strings"
	"time"

	"astrid/kernel/wire"
)

// Message is one message on the bus.
type Message struct {
	Seq     uint64 // given by Publish
	At      time.Time
	Topic   Topic
	Payload wire.Raw // a tagged payload object; not changed after Publish
	Source  string   // UUID of the publisher; empty: the kernel

	Transient bool // not kept for those who subscribe later
	Settled   bool // the result of a tool, about which interceptors have had their say

	Session   string // the session it is about, empty when it is about none
	Principal string // on whose behalf it was published or whom it concerns; empty: the kernel's own
}

// size is what a message costs of a queue's budget of bytes.
func (m *Message) size() int { return len(m.Topic) + len(m.Payload) + overhead }

// overhead is about what a queued message takes beside its text.
const overhead = 128

// Wire is the message as clients see it.
func (m Message) Wire() wire.Message {
	if m.Source == "" {
		m.Source = wire.NilSource
	}
	return wire.Message{Topic: string(m.Topic), Payload: m.Payload, SourceID: m.Source, Timestamp: wire.Stamp(m.At)}
}

// Urgent tells whether messages on a topic overtake others: answers, and what a
// person is asked or answers.
func Urgent(t Topic) bool {
	switch t {
	case "astrid.v1.approval", "astrid.v1.elicit", "tool.v1.request.cancel":
		return true
	}
	for _, prefix := range []string{"astrid.v1.approval.", "astrid.v1.elicit.", "astrid.v1.response.", "client.v1."} {
		if strings.HasPrefix(string(t), prefix) {
			return true
		}
	}
	return false
}
