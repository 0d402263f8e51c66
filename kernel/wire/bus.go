package wire

import "time"

// EventsRequest asks for messages of the bus, one JSON object a line: an Event.
type EventsRequest struct {
	Patterns []string `json:"patterns,omitempty"` // none: all that the caller may see
	Since    uint64   `json:"since,omitzero"`     // after this number; 0: all that is remembered
	Follow   bool     `json:"follow,omitzero"`    // goes on until the caller ends it
	New      bool     `json:"new,omitzero"`       // nothing of what is remembered
}

// Event is one line of an answer to EventsRequest: a message, or, when only the
// last members are there, a report of what was lost.
type Event struct {
	Seq       uint64    `json:"seq,omitzero"`
	At        time.Time `json:"at,omitzero"`
	Topic     string    `json:"topic,omitempty"`
	Payload   Raw       `json:"payload,omitzero"`
	Source    string    `json:"source_id,omitempty"`
	Session   string    `json:"session,omitempty"`
	Principal string    `json:"principal,omitempty"`

	Lost     uint64 `json:"lost,omitzero"`      // messages that were dropped because they were not read in time
	LostFrom uint64 `json:"lost_from,omitzero"` // numbers that the bus no longer remembered
	LostTo   uint64 `json:"lost_to,omitzero"`
}

// PublishRequest puts a message on the bus.
type PublishRequest struct {
	Topic   string `json:"topic"`
	Payload Raw    `json:"payload"` // any JSON; one that is no payload of the protocol becomes a custom one
	Session string `json:"session,omitempty"`
}

// Published tells the number of the message.
type Published struct {
	Seq uint64 `json:"seq"`
}

// BusStatus is what the bus says of itself.
type BusStatus struct {
	Published   uint64          `json:"published"`
	Lost        uint64          `json:"lost"`
	Subscribers []BusSubscriber `json:"subscribers"`
}

// BusSubscriber is one subscription.
type BusSubscriber struct {
	Name      string   `json:"name"`
	Patterns  []string `json:"patterns"`
	Queued    int      `json:"queued"`
	Bytes     int      `json:"bytes"`
	Delivered uint64   `json:"delivered"`
	Lost      uint64   `json:"lost"`
	Age       float64  `json:"oldest_seconds"`
}
