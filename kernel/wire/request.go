package wire

import "astrid/kernel/fault"

// Words of Response.Status.
const (
	StatusSuccess         = "Success"
	StatusCommands        = "Commands"
	StatusCapsuleMetadata = "CapsuleMetadata"
	StatusError           = "Error" // Data is the sentence, Code its kind
	StatusChunk           = "Chunk" // Data is base64, Seq counts from 1; a Success ends the stream
)

// Request is the content of a raw_json payload on a request topic.
type Request struct {
	Method string `json:"method"`
	Params Raw    `json:"params,omitzero"` // absent for methods without parameters
}

// Response is the content of a raw_json payload on a response topic.
type Response struct {
	Status string `json:"status"`
	Code   string `json:"code,omitempty"` // fault code, with StatusError
	Seq    uint64 `json:"seq,omitzero"`   // with StatusChunk; the first is 1
	Data   Raw    `json:"data"`
}

// ErrorResponse says err to a client of the 0.2 protocol, and its kind to one
// of ours.
func ErrorResponse(err error) Response {
	text, encodeErr := Encode(err.Error())
	if encodeErr != nil {
		text = Raw(`"internal error"`)
	}
	return Response{Status: StatusError, Code: fault.KindOf(err).Code(), Data: text}
}

// Err is the error that an Error response stands for, nil for any other.
func (r Response) Err() error {
	if r.Status != StatusError {
		return nil
	}
	var text string
	if Decode(r.Data, &text) != nil {
		text = string(r.Data)
	}
	return fault.New(fault.FromCode(r.Code), "%s", text)
}

// Error is an error inside a frame of our own protocols. A nil *Error is no error.
type Error struct {
	Code string `json:"code"` // fault code
	Text string `json:"text"`
}

// ErrorOf makes the wire form of err; nil of nil.
func ErrorOf(err error) *Error {
	if err == nil {
		return nil
	}
	return &Error{Code: fault.KindOf(err).Code(), Text: err.Error()}
}

// Err is the inverse of ErrorOf: an error with Kind and text. What it wrapped
// has stayed on the other side.
func (e *Error) Err() error {
	if e == nil {
		return nil
	}
	return fault.New(fault.FromCode(e.Code), "%s", e.Text)
}
