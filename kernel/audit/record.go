package audit

import (
	"slices"
	"strings"
	"time"

	"astrid/kernel/fault"
)

// MaxText is the length in bytes of the longest text in a record.
const MaxText = 4096

const cutMark = "…"

// Fields are the named values of an action or an authorization. What is empty
// is as if absent.
type Fields map[string]string

// Action is what was done, asked or refused.
type Action struct {
	Type   Type
	Fields Fields
}

// Authorization is why it was allowed, or that it was not.
type Authorization struct {
	Type   AuthType
	Fields Fields
}

// Outcome is what came of it. The zero Outcome is a failure that says nothing.
type Outcome struct {
	Success bool
	Kind    string // the code of the fault.Kind of a failure
	Text    string // details of a success, the sentence of a failure
}

// Of is the outcome of an operation that returned err.
func Of(err error) Outcome {
	if err == nil {
		return Outcome{Success: true}
	}
	return Outcome{Kind: fault.KindOf(err).Code(), Text: err.Error()}
}

// Record is one line of the log. Append sets Seq, ID, KeyID and Previous, and
// Time unless it is set.
type Record struct {
	Seq      uint64
	Time     time.Time
	ID       [16]byte // a UUID
	KeyID    [8]byte
	Previous [32]byte

	Session   string // a UUID or a name; empty when it is about none
	Principal string
	Door      string
	PID       uint32

	Action        Action
	Authorization Authorization
	Outcome       Outcome
}

// check refuses a record that does not keep to the vocabulary.
func (r *Record) check() error {
	allowed, known := r.Action.Type.fields()
	if !known {
		return fault.New(fault.Usage, "the audit log knows no action %q", r.Action.Type)
	}
	if err := checkFields(string(r.Action.Type), r.Action.Fields, allowed); err != nil {
		return err
	}
	allowed, known = r.Authorization.Type.fields()
	if !known {
		return fault.New(fault.Usage, "the audit log knows no authorization %q", r.Authorization.Type)
	}
	return checkFields(string(r.Authorization.Type), r.Authorization.Fields, allowed)
}

// checkFields refuses names that are not among allowed, which is separated by spaces.
func checkFields(what string, fields Fields, allowed string) error {
	for name := range fields {
		if !slices.Contains(strings.Fields(allowed), name) {
			return fault.New(fault.Usage, "%q has no field %q in the audit log", what, name)
		}
	}
	return nil
}

// clean is text as it is signed.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= MaxText {
		return text
	}
	return strings.ToValidUTF8(text[:MaxText-len(cutMark)], "") + cutMark
}
