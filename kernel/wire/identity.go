package wire

import "time"

// User is one identity. Principals of the kernel are users.
type User struct {
	ID        string     `json:"id"` // UUID
	Name      string     `json:"name,omitempty"`
	PublicKey []byte     `json:"public_key,omitempty"` // ed25519, 32 bytes
	Created   time.Time  `json:"created"`
	Links     []UserLink `json:"links"`
}

// UserLink says which account of a platform a user is.
type UserLink struct {
	Platform string    `json:"platform"`
	Account  string    `json:"platform_user_id"`
	User     string    `json:"astrid_user_id"`
	Linked   time.Time `json:"linked_at"`
	Method   string    `json:"method"` // how it was established: system, admin, chat…
}

// CreateUser makes a user.
type CreateUser struct {
	Name      string `json:"name"`
	PublicKey []byte `json:"public_key,omitempty"` // for answers that are signed
}

// LinkUser links an account to a user, or re-points its link.
type LinkUser struct {
	Platform string `json:"platform"`
	Account  string `json:"platform_user_id"`
	User     string `json:"user"` // id or name
	Method   string `json:"method,omitempty"`
}

// UnlinkUser takes a link away.
type UnlinkUser struct {
	Platform string `json:"platform"`
	Account  string `json:"platform_user_id"`
}

// Removed says whether there was anything to remove.
type Removed struct {
	Removed bool `json:"removed"`
}

// MintToken makes a token with which a frontend connects as a user.
type MintToken struct {
	User    string  `json:"user"`              // id or name
	Session string  `json:"session,omitempty"` // the only session that it is good for; empty: what the user may
	Label   string  `json:"label,omitempty"`   // for people
	TTL     float64 `json:"ttl_seconds,omitzero"`
}

// TokenInfo describes a token of a user, but does not hold it.
type TokenInfo struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Session string    `json:"session,omitempty"`
	Label   string    `json:"label,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
}

// MintedToken is shown once; the kernel keeps only its hash.
type MintedToken struct {
	TokenInfo
	Token string `json:"token"` // 64 hex digits
}

// ByID names a thing by its id.
type ByID struct {
	ID string `json:"id"`
}

// Subject is the id, for the record.
func (r ByID) Subject() string { return r.ID }
