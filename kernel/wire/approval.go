package wire

import "time"

// AskApproval asks people for permission and waits for their answer.
type AskApproval struct {
	Session  string  `json:"session,omitempty"`
	Action   string  `json:"action"`   // what is to be done, at most 256 characters
	Resource string  `json:"resource"` // to what; cut at 1024 characters
	Reason   string  `json:"reason,omitempty"`
	Risk     string  `json:"risk_level,omitempty"` // low, medium, high, critical; default medium
	Timeout  float64 `json:"timeout_seconds,omitzero"`
	// Wait false returns at once with the id of a deferred request, whose
	// answer may come within a day.
	Defer bool `json:"defer,omitzero"`
}

// AskReply says how it ended.
type AskReply struct {
	ID       string `json:"id"`
	Approved bool   `json:"approved"`
	Decision string `json:"decision"`     // approve, approve_session, approve_always, deny, allowance, deferred
	By       string `json:"by,omitempty"` // who answered: id of a user; empty: nobody did
	Reason   string `json:"reason,omitempty"`
}

// Approval is a request that waits for an answer.
type Approval struct {
	ID        string    `json:"id"`
	Action    string    `json:"action"`
	Resource  string    `json:"resource"`
	Reason    string    `json:"reason"`
	Risk      string    `json:"risk_level"`
	Capsule   string    `json:"capsule,omitempty"`
	Principal string    `json:"principal"` // on whose behalf
	Session   string    `json:"session,omitempty"`
	Asked     time.Time `json:"asked"`
	Expires   time.Time `json:"expires"`
	Deferred  bool      `json:"deferred,omitzero"`
}

// AnswerApproval answers a request.
type AnswerApproval struct {
	ID       string `json:"request_id"`
	Decision string `json:"decision"` // approve, approve_session, approve_always, deny
	Reason   string `json:"reason,omitempty"`
}
