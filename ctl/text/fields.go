package text

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"astrid/kernel/wire"
)

// Fields prints what an operation replied: lines of "key: value", one for each
// member, strings as they are where they fit a line and everything else as JSON.
// Underscores of names are dashes here. A reply that is no object is one line of
// JSON.
func Fields(reply any) []byte {
	data, err := wire.Encode(reply)
	if err != nil {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	if dec.PeekKind() != '{' {
		return append(data, '\n')
	}
	var p pairs
	_, _ = dec.ReadToken() // the brace: data was encoded just now, and is valid
	for dec.PeekKind() == '"' {
		name, _ := dec.ReadToken()
		key := strings.ReplaceAll(name.String(), "_", "-")
		value, _ := dec.ReadValue()
		var text string
		if value.Kind() == '"' && wire.Decode(value, &text) == nil {
			p.add(key, text)
			continue
		}
		p.raw(key, string(value))
	}
	return p.Bytes()
}
