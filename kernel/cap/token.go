package cap

import (
	"crypto/ed25519"
	"encoding/binary"
	"slices"
	"time"

	"lukechampine.com/blake3"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// ID is a UUID in lower case with hyphens.
type ID string

// UserID names a user: the first bytes of a public key. The zero UserID is
// nobody and is granted nothing.
type UserID [8]byte

// Permission is what may be done with a resource.
type Permission string

// The permissions.
const (
	Read    Permission = "read"
	Write   Permission = "write"
	Execute Permission = "execute"
	Delete  Permission = "delete"
	Invoke  Permission = "invoke"
	List    Permission = "list"
	Create  Permission = "create"
)

func (p Permission) known() bool {
	switch p {
	case Read, Write, Execute, Delete, Invoke, List, Create:
		return true
	}
	return false
}

// Scope is how long a token may live at most.
type Scope string

// The scopes.
const (
	ScopeSession    Scope = "session"
	ScopePersistent Scope = "persistent"
)

// Token is a capability token. Times are in whole seconds.
type Token struct {
	ID          ID
	Resource    string
	Permissions []Permission
	IssuedAt    time.Time
	ExpiresAt   time.Time // zero: never
	Scope       Scope
	Issuer      PublicKey
	User        UserID
	Approval    ID // the audit record of the approval, or the parent: see Parent
	SingleUse   bool
	Signature   [ed25519.SignatureSize]byte
}

// Where the version of a UUID is, and the one of attenuated tokens.
const (
	versionAt  = 14
	attenuated = '8'
)

// newID draws the id of a token; child says whether it will have a parent.
func newID(child bool) ID {
	id := []byte(wire.NewUUID())
	if child {
		id[versionAt] = attenuated
	}
	return ID(id)
}

// Parent is the token that t was attenuated from.
func (t *Token) Parent() (ID, bool) {
	if len(t.ID) > versionAt && t.ID[versionAt] == attenuated {
		return t.Approval, true
	}
	return "", false
}

// SigningBytes are what the signature covers: version 1 of 0.2.
func (t *Token) SigningBytes() []byte {
	b := appendID([]byte{1}, t.ID)
	b = appendText(b, t.Resource)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Permissions)))
	for _, p := range t.Permissions {
		b = appendText(b, string(p))
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(t.IssuedAt.Unix()))
	if t.ExpiresAt.IsZero() {
		b = append(b, 0)
	} else {
		b = binary.LittleEndian.AppendUint64(append(b, 1), uint64(t.ExpiresAt.Unix()))
	}
	b = appendText(b, string(t.Scope))
	b = append(b, t.Issuer[:]...)
	b = append(b, t.User[:]...)
	b = appendID(b, t.Approval)
	if t.SingleUse {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendText(b []byte, text string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
}

func appendID(b []byte, id ID) []byte {
	raw, _ := wire.UUIDBytes(string(id)) // a Token has no other ids
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(raw))), raw[:]...)
}

// Hash is the content hash: BLAKE3 of the signing bytes.
func (t *Token) Hash() [32]byte { return blake3.Sum256(t.SigningBytes()) }

// sign makes k the issuer of t.
func (t *Token) sign(k Key) {
	t.Issuer = k.Public()
	copy(t.Signature[:], ed25519.Sign(k.private, t.SigningBytes()))
}

// Verify tells whether the issuer that t names signed it, not whether the
// issuer is one to trust.
func (t *Token) Verify() error {
	if !ed25519.Verify(t.Issuer[:], t.SigningBytes(), t.Signature[:]) {
		return fault.New(fault.Denied, "invalid token signature")
	}
	return nil
}

// expired tells whether t is past its time; there is no grace.
func (t *Token) expired(now time.Time) bool { return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) }

// maxYear is the last year that RFC 3339 can write.
const maxYear = 9999

// check refuses a token that nobody should have signed.
func (t *Token) check() error {
	if t.User == (UserID{}) {
		return fault.New(fault.Usage, "a capability token for nobody: name its user")
	}
	if len(t.Permissions) == 0 {
		return fault.New(fault.Usage, "a capability token without permissions: name one")
	}
	if t.ExpiresAt.Year() > maxYear {
		return fault.New(fault.Usage, "a capability token that expires after the year %d: leave its expiry out", maxYear)
	}
	for i, p := range t.Permissions {
		if !p.known() || slices.Contains(t.Permissions[:i], p) {
			return fault.New(fault.Usage, "the permission %.32q is unknown or named twice", string(p))
		}
	}
	_, err := compileResource(t.Resource)
	return err
}
