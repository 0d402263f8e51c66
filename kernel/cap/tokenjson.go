package cap

import (
	"crypto/ed25519"
	"time"

	"github.com/go-json-experiment/json"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// MaxTokenJSON bounds a token from outside.
const MaxTokenJSON = 16 << 10

// tokenJSON is a Token in JSON: keys and signatures in base64, the user id as
// numbers, an absent expiry as null.
type tokenJSON struct {
	ID          string       `json:"id"`
	Resource    string       `json:"resource"`
	Permissions []Permission `json:"permissions"`
	IssuedAt    string       `json:"issued_at"`
	ExpiresAt   *string      `json:"expires_at"`
	Scope       Scope        `json:"scope"`
	Issuer      PublicKey    `json:"issuer"`
	User        [8]uint16    `json:"user_id"`
	Approval    string       `json:"approval_audit_id"`
	SingleUse   bool         `json:"single_use"`

	Signature [ed25519.SignatureSize]byte `json:"signature"`
}

// MarshalJSON is the form of 0.2.
func (t Token) MarshalJSON() ([]byte, error) {
	j := tokenJSON{
		ID: string(t.ID), Resource: t.Resource, Permissions: t.Permissions, IssuedAt: formatTime(t.IssuedAt),
		Scope: t.Scope, Issuer: t.Issuer, Approval: string(t.Approval), SingleUse: t.SingleUse, Signature: t.Signature,
	}
	if !t.ExpiresAt.IsZero() {
		text := formatTime(t.ExpiresAt)
		j.ExpiresAt = &text
	}
	for i, b := range t.User {
		j.User[i] = uint16(b)
	}
	return json.Marshal(j)
}

// ParseToken reads a token in JSON and verifies the signature of the issuer it
// names. Unknown keys are ignored.
func ParseToken(data []byte) (Token, error) {
	if len(data) > MaxTokenJSON {
		return Token{}, fault.New(fault.Limit, "a capability token of %d bytes, the limit is %d", len(data), MaxTokenJSON)
	}
	var j tokenJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return Token{}, fault.Wrap(fault.Usage, err, "serialization error")
	}
	t, err := j.token()
	if err == nil {
		err = t.check()
	}
	if err == nil {
		err = t.Verify()
	}
	if err != nil {
		return Token{}, err
	}
	return t, nil
}

func (j *tokenJSON) token() (Token, error) {
	t := Token{Resource: j.Resource, Permissions: j.Permissions, Scope: j.Scope, Issuer: j.Issuer, SingleUse: j.SingleUse, Signature: j.Signature}
	if t.Scope != ScopeSession && t.Scope != ScopePersistent {
		return t, fault.New(fault.Usage, "serialization error: the scope %.32q is unknown", string(t.Scope))
	}
	for i, n := range j.User {
		if n > 255 {
			return t, fault.New(fault.Usage, "serialization error: %d is no byte of a user id", n)
		}
		t.User[i] = byte(n)
	}
	err := parseID(&t.ID, j.ID)
	if err == nil {
		err = parseID(&t.Approval, j.Approval)
	}
	if err == nil {
		err = parseTime(&t.IssuedAt, j.IssuedAt)
	}
	if err == nil && j.ExpiresAt != nil {
		err = parseTime(&t.ExpiresAt, *j.ExpiresAt)
	}
	return t, err
}

func parseID(id *ID, text string) error {
	s, err := wire.ParseUUID(text)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "serialization error")
	}
	*id = ID(s)
	return nil
}

// parseTime reads a time and forgets what no signature covers.
func parseTime(at *time.Time, text string) error {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "serialization error")
	}
	*at = time.Unix(t.Unix(), 0).UTC()
	return nil
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
