package wire

import (
	"bytes"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"astrid/kernel/fault"
)

// Topics of the management interface. What follows the prefix is free text
// chosen by the caller and comes back in the answer's topic.
const (
	RequestPrefix  = "astrid.v1.request."
	ResponsePrefix = "astrid.v1.response."
)

// MaxTopic is the longest topic in bytes.
const MaxTopic = 256

// NilSource is the source of what the kernel itself says.
const NilSource = "00000000-0000-0000-0000-000000000000"

// TypeRawJSON tags a payload that is a free JSON object.
const TypeRawJSON = "raw_json"

// Message is one frame after the handshake (IpcMessage of the 0.2 protocol).
// All five keys are always written.
type Message struct {
	Topic     string  `json:"topic"`
	Payload   Raw     `json:"payload"`
	Signature Numbers `json:"signature"` // nil: null
	SourceID  string  `json:"source_id"` // UUID; the kernel ignores what clients claim
	Timestamp string  `json:"timestamp"` // RFC 3339, UTC; see Stamp
}

// incoming is as much of a Message as a receiver may rely on: what else a peer
// writes, or leaves out, is its own affair.
type incoming struct {
	Topic   *string `json:"topic"`
	Payload Raw     `json:"payload"`
}

// ParseMessage reads a Message from a peer: a topic and a payload must be
// there, everything else is ignored. Its errors have Kind Usage.
func ParseMessage(data []byte) (Message, error) {
	var in incoming
	if err := Decode(data, &in); err != nil {
		return Message{}, err
	}
	switch {
	case in.Topic == nil:
		return Message{}, fault.New(fault.Usage, "a message without a topic")
	case len(*in.Topic) > MaxTopic:
		return Message{}, fault.New(fault.Usage, "a topic of %d bytes is over the limit of %d", len(*in.Topic), MaxTopic)
	case in.Payload == nil:
		return Message{}, fault.New(fault.Usage, "a message without a payload")
	}
	return Message{Topic: *in.Topic, Payload: in.Payload}, nil
}

// Append appends the message as a frame to dst.
func (m Message) Append(dst []byte) ([]byte, error) {
	data, err := Encode(m)
	if err != nil {
		return dst, err
	}
	return AppendFrame(dst, data)
}

// Stamp is the text of t in a Message: UTC with six digits of fraction.
func Stamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// ResponseTopic is where the answer to a request on topic goes: the request's
// own topic when it has no request prefix.
func ResponseTopic(topic string) string {
	if id, ok := strings.CutPrefix(topic, RequestPrefix); ok {
		return ResponsePrefix + id
	}
	return topic
}

// RawJSON wraps v, which must encode as an object without a member "type",
// into a payload of that type.
func RawJSON(v any) (Raw, error) {
	data, err := Encode(v)
	if err != nil {
		return nil, err
	}
	inner, ok := bytes.CutPrefix(data, []byte("{"))
	if !ok {
		return nil, fault.New(fault.Internal, "a raw_json payload must be an object, not %s", jsontext.Value(data).Kind())
	}
	payload := []byte(`{"type":"` + TypeRawJSON + `"`)
	if !bytes.Equal(inner, []byte("}")) {
		payload = append(payload, ',')
	}
	payload = append(payload, inner...)
	if !Raw(payload).IsValid() { // a second "type"
		return nil, fault.New(fault.Internal, "a raw_json payload has a member named type")
	}
	return payload, nil
}

// PayloadType returns the tag of a payload, empty when it has none.
func PayloadType(payload Raw) string {
	var tag struct {
		Type string `json:"type"`
	}
	if Decode(payload, &tag) != nil {
		return ""
	}
	return tag.Type
}

// Numbers is a byte string that JSON writes as null or an array of numbers.
type Numbers []byte

// MarshalJSONTo writes null for nil, else the array.
func (n Numbers) MarshalJSONTo(enc *jsontext.Encoder) error {
	if n == nil {
		return enc.WriteToken(jsontext.Null)
	}
	if err := enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for _, b := range n {
		if err := enc.WriteToken(jsontext.Uint(uint64(b))); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndArray)
}

// UnmarshalJSONFrom reads what MarshalJSONTo writes.
func (n *Numbers) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	var list *[]uint8Number
	if err := Decode(value, &list); err != nil {
		return err
	}
	*n = nil
	if list != nil {
		*n = make(Numbers, len(*list))
		for i, b := range *list {
			(*n)[i] = byte(b)
		}
	}
	return nil
}

// uint8Number keeps a slice of bytes from being read as base64.
type uint8Number uint8
