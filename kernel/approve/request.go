package approve

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Bounds, in characters.
const (
	MaxAction   = 256
	MaxResource = 1024
	MaxRisk     = 64
	MaxReason   = 1024
)

// Words of a decision. Every other denies.
const (
	Once      = "approve"
	Session   = "approve_session"
	Always    = "approve_always"
	Deny      = "deny"
	Allowance = "allowance" // nobody was asked: it had been allowed
	Deferred  = "deferred"  // nobody has answered yet
)

// Request is what people are asked. ID, Asked, Expires and Deferred are the
// Desk's to set.
type Request struct {
	ID        string
	Action    string
	Resource  string
	Reason    string
	Risk      string
	Capsule   string // empty: the asker is none
	Principal string // id of the user on whose behalf
	Session   string // empty: about none
	Asked     time.Time
	Expires   time.Time
	Deferred  bool
}

// Answer is what came of a request.
type Answer struct {
	ID       string
	Approved bool
	Decision string
	By       string // id of the user who answered; empty: nobody did
	Reason   string
}

// cleaned brings the texts of a request into their bounds.
func (r Request) cleaned() (Request, error) {
	r.Action, r.Resource, r.Reason, r.Risk = clean(r.Action), clean(r.Resource), clean(r.Reason), clean(r.Risk)
	if n := utf8.RuneCountInString(r.Action); n > MaxAction {
		return r, fault.New(fault.Usage, "approval request action exceeds maximum length (%d > %d)", n, MaxAction)
	}
	if r.Action == "" {
		return r, fault.New(fault.Usage, "an approval request needs an action")
	}
	r.Resource, r.Risk, r.Reason = cut(r.Resource, MaxResource), cut(r.Risk, MaxRisk), cut(r.Reason, MaxReason)
	if r.Risk == "" {
		r.Risk = "medium"
	}
	switch {
	case r.Capsule != "":
		r.Reason = "Capsule '" + r.Capsule + "' requests approval"
	case r.Reason == "":
		r.Reason = "a tool requests approval"
	}
	return r, nil
}

// clean takes control characters and the space around away, so that no request
// can draw on a person's terminal.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd")))
}

func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

// Payload is the request as it is announced to clients.
func (r Request) Payload() (wire.Raw, error) {
	return wire.NewPayload(wire.TypeApprovalRequired, map[string]string{
		"request_id": r.ID, "action": r.Action, "resource": r.Resource, "reason": r.Reason, "risk_level": r.Risk,
	})
}

// Payload is the answer as it is announced to clients.
func (a Answer) Payload() (wire.Raw, error) {
	members := map[string]string{"request_id": a.ID, "decision": a.Decision}
	if a.Reason != "" {
		members["reason"] = a.Reason
	}
	return wire.NewPayload(wire.TypeApprovalResponse, members)
}

func approves(decision string) bool {
	return decision == Once || decision == Session || decision == Always
}
