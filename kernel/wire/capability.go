package wire

import "time"

// Capability is a capability token as it is listed.
type Capability struct {
	ID          string    `json:"id"`
	Resource    string    `json:"resource"` // pattern
	Permissions []string  `json:"permissions"`
	Scope       string    `json:"scope"`             // session or persistent
	Session     string    `json:"session,omitempty"` // that it ends with
	State       string    `json:"state"`             // live; expired, revoked, used or orphaned ones grant nothing
	User        string    `json:"user"`              // id of the user it is for
	Issued      time.Time `json:"issued_at"`
	Expires     time.Time `json:"expires_at,omitzero"` // zero: never
	SingleUse   bool      `json:"single_use,omitzero"`
	Parent      string    `json:"parent,omitempty"` // the token that it is an attenuation of
}

// GrantCapability makes a token for a user. With Parent it is an attenuation:
// it may allow no more than that token, and ends with it.
type GrantCapability struct {
	User        string   `json:"user"` // id or name
	Resource    string   `json:"resource"`
	Permissions []string `json:"permissions"`
	TTL         float64  `json:"ttl_seconds,omitzero"`
	SingleUse   bool     `json:"single_use,omitzero"`
	Until       string   `json:"session,omitempty"` // the session that it ends with; empty: persistent
	Parent      string   `json:"parent,omitempty"`
}

// RevokeCapability revokes tokens by exactly one of its members.
type RevokeCapability struct {
	ID       string `json:"id,omitempty"`
	Resource string `json:"resource,omitempty"`
	User     string `json:"user,omitempty"` // id or name
}

// Revoked says what was revoked.
type Revoked struct {
	Revoked int      `json:"revoked"`
	IDs     []string `json:"ids"`
}

// AddCapability hands the kernel a token that somebody else has issued, whose
// key must be among the configured ones.
type AddCapability struct {
	Token Raw `json:"token"` // the JSON of section 9.1 of the 0.2 protocol
}

// Allowance is a standing permission that an approval left behind.
type Allowance struct {
	ID        string    `json:"id"`
	Pattern   Raw       `json:"pattern"` // tagged object, see section 9.4 of the 0.2 protocol
	Capsule   string    `json:"capsule,omitempty"`
	Principal string    `json:"principal"`
	Session   string    `json:"session,omitempty"`
	Created   time.Time `json:"created_at"`
	Expires   time.Time `json:"expires_at,omitzero"`
	UsesLeft  *int      `json:"uses_remaining,omitempty"`
	Always    bool      `json:"always"` // survives a restart
}
