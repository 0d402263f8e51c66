package wire

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"astrid/kernel/fault"
)

// Raw is a JSON value that nobody has looked into yet.
type Raw = jsontext.Value

// Decode parses one JSON value by the rules of the package comment. Its errors
// have Kind Usage.
func Decode(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fault.Wrap(fault.Usage, err, "malformed JSON")
	}
	return nil
}

// Encode is the inverse of Decode. It fails only for a Go type that JSON
// cannot say, which is a defect.
func Encode(v any) ([]byte, error) {
	data, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "encode %T", v)
	}
	return data, nil
}

// EncodeExact is Encode for what must arrive byte for byte: text that is not
// UTF-8 is an error of Kind Usage instead of being replaced.
func EncodeExact(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "encode %T", v)
	}
	return data, nil
}
