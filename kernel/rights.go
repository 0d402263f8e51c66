package kernel

import (
	"sync"

	"astrid/kernel/cap"
	"astrid/kernel/identity"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// rights are what users were granted: capability tokens for the permission
// invoke on astrid://SESSION/CAPABILITY, "-" being the session of what belongs
// to none.
type rights struct {
	caps  *cap.Store
	users *identity.Store
	names *sync.Map // by id of a user: its cap.UserID, which never changes
}

var _ op.Rights = rights{}

// Allowed implements op.Rights.
func (r rights) Allowed(user string, need op.Capability, session string) (spend func() error, err error) {
	name, err := r.name(user)
	if err != nil {
		return nil, err
	}
	token, err := r.caps.Check(name, cap.Invoke, cap.Operation(session, need.String()))
	if err != nil {
		return nil, err
	}
	if token.SingleUse {
		return func() error { return r.caps.Use(token.ID) }, nil
	}
	return nil, nil
}

// name is how tokens name the user of an id. Every message of the bus asks for
// it, once a client.
func (r rights) name(user string) (cap.UserID, error) {
	if known, ok := r.names.Load(user); ok {
		return known.(cap.UserID), nil
	}
	u, err := r.users.Find(user)
	if err != nil {
		return cap.UserID{}, err
	}
	r.names.Store(user, capUser(u))
	return capUser(u), nil
}

// capUser is how tokens name a user: by the first bytes of the public key, or,
// of a user without one, of the id.
func capUser(u wire.User) cap.UserID {
	if len(u.PublicKey) >= 8 {
		return cap.UserID(u.PublicKey[:8])
	}
	id, err := wire.UUIDBytes(u.ID)
	if err != nil {
		return cap.UserID{}
	}
	return cap.UserID(id[:8])
}
