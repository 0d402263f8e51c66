package socket

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"astrid/kernel/wire"
)

// salvage finds the topic of a message that makes no sense, so that whoever waits
// for an answer gets one; empty when it cannot be read.
func salvage(data []byte) string {
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return ""
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		if name.String() != "topic" {
			if err := dec.SkipValue(); err != nil {
				return ""
			}
			continue
		}
		if topic, err := dec.ReadToken(); err == nil && topic.Kind() == '"' && len(topic.String()) <= wire.MaxTopic {
			return topic.String()
		}
		return ""
	}
	return ""
}
