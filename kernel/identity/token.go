package identity

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"time"

	"lukechampine.com/blake3"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// MaxLabel bounds the label of a token, in bytes.
const MaxLabel = 256

// MintToken makes a token with which a frontend connects as a user (by id or
// name), bound to a session if one is named, for ttl or, with 0, until it is
// revoked.
func (t *Store) MintToken(who, session, label string, ttl time.Duration) (minted wire.MintedToken, err error) {
	switch {
	case len(label) > MaxLabel:
		return minted, fault.New(fault.Usage, "a label of %d bytes is over the limit of %d", len(label), MaxLabel)
	case ttl < 0:
		return minted, fault.New(fault.Usage, "a token cannot end before it begins")
	}
	u, err := t.Find(who)
	if err != nil {
		return minted, err
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return minted, fault.Wrap(fault.Internal, err, "draw a token")
	}
	minted.Token = hex.EncodeToString(secret[:])
	minted.TokenInfo = wire.TokenInfo{ID: wire.NewUUID(), User: u.ID, Session: session, Label: label, Created: t.now()}
	if ttl > 0 {
		minted.Expires = minted.Created.Add(ttl)
	}
	data, err := wire.EncodeExact(minted.TokenInfo)
	if err != nil {
		return minted, err
	}
	if ttl > 0 {
		return minted, t.tokens.SetTTL(tokenKey(secret), data, ttl)
	}
	return minted, t.tokens.Set(tokenKey(secret), data)
}

// Recognise finds the user that a token belongs to, and the session it is bound
// to: Kind NotFound for a token that is not known, not any more, or whose user
// is gone.
func (t *Store) Recognise(token [32]byte) (user, session string, err error) {
	data, err := t.tokens.Get(tokenKey(token))
	if err != nil {
		return "", "", err
	}
	var info wire.TokenInfo
	if err := wire.Decode(data, &info); err != nil {
		return "", "", fault.Wrap(fault.Internal, err, "a stored token is damaged")
	}
	if _, err := t.Find(info.User); err != nil {
		return "", "", err
	}
	return info.User, info.Session, nil
}

// Tokens lists the tokens, oldest first.
func (t *Store) Tokens() ([]wire.TokenInfo, error) {
	list := []wire.TokenInfo{}
	err := t.tokens.Each("token/", func(_ string, value []byte) error {
		var info wire.TokenInfo
		if err := wire.Decode(value, &info); err != nil {
			return fault.Wrap(fault.Internal, err, "a stored token is damaged")
		}
		list = append(list, info)
		return nil
	})
	slices.SortFunc(list, func(a, b wire.TokenInfo) int { return a.Created.Compare(b.Created) })
	return list, err
}

// RevokeToken makes a token worthless and tells whether there was one of that
// id. Connections that were opened with it are the caller's to end.
func (t *Store) RevokeToken(id string) (existed bool, err error) {
	err = t.tokens.Update(func(tx *store.Tx) error {
		keys, err := tx.List(t.tokens, "token/")
		if err != nil {
			return err
		}
		for _, key := range keys {
			data, err := tx.Get(t.tokens, key)
			if err != nil {
				return err
			}
			var info wire.TokenInfo
			if wire.Decode(data, &info) == nil && info.ID == id {
				existed = true
				_, err := tx.Delete(t.tokens, key)
				return err
			}
		}
		return nil
	})
	return existed, err
}

func tokenKey(token [32]byte) string {
	sum := blake3.Sum256(append([]byte("astrid token v1\x00"), token[:]...))
	return "token/" + hex.EncodeToString(sum[:])
}
