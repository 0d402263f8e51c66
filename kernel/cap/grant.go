package cap

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// Grant is what a token shall say.
type Grant struct {
	User        UserID
	Resource    string // a pattern
	Permissions []Permission
	ExpiresAt   time.Time // cut to seconds; zero: never
	Session     string    // the session it ends with; empty: persistent
	SingleUse   bool
	Approval    ID // the audit record of the approval; empty: a new id; not for Attenuate
}

// Mint makes, signs and keeps a token. A persistent one survives a power cut.
func (s *Store) Mint(g Grant) (Token, error) {
	s.write.Lock()
	defer s.write.Unlock()
	if g.Approval == "" {
		g.Approval = ID(wire.NewUUID())
	} else if err := parseID(&g.Approval, string(g.Approval)); err != nil {
		return Token{}, err
	}
	e, err := s.issue(g, newID(false))
	if err != nil {
		return Token{}, err
	}
	return e.copied(), s.insert(e)
}

// Attenuate makes a token that grants less than parent: no other user, a
// resource pattern that provably lies within the parent's, permissions among the
// parent's, no later expiry (a zero one means the parent's), and the parent's
// session if it has one. It ends with its parent. A single-use token cannot be
// attenuated.
func (s *Store) Attenuate(parent ID, g Grant) (Token, error) {
	s.write.Lock()
	defer s.write.Unlock()
	if _, err := s.Get(parent); err != nil {
		return Token{}, err
	}
	s.mu.Lock()
	from := s.index.all[parent]
	depth := s.depthLocked(from)
	s.mu.Unlock()
	if depth >= MaxDepth {
		return Token{}, fault.New(fault.Limit, "the token %s was attenuated %d times: attenuate one of those before it", parent, depth)
	}
	g.Approval = parent
	if g.ExpiresAt.IsZero() {
		g.ExpiresAt = from.token.ExpiresAt
	}
	e, err := s.issue(g, newID(true))
	if err != nil {
		return Token{}, err
	}
	if err := within(e, from); err != nil {
		return Token{}, err
	}
	return e.copied(), s.insert(e)
}

// depthLocked is how many tokens e came from.
//
// Preconditions: s.mu is held.
func (s *Store) depthLocked(e *entry) (n int) {
	for e != nil && n <= MaxDepth {
		id, child := e.token.Parent()
		if !child {
			return n
		}
		e = s.index.all[id]
		n++
	}
	return n
}

// within refuses a child that grants what its parent does not.
func within(child, parent *entry) error {
	c, p := &child.token, &parent.token
	wider := func(what string) error {
		return fault.New(fault.Denied, "insufficient capability: %s of the token %s does not allow that", what, p.ID)
	}
	switch {
	case p.SingleUse:
		return wider("the single use")
	case c.User != p.User:
		return wider("the user")
	case byExpiry(c.ExpiresAt, p.ExpiresAt) > 0:
		return wider("the expiry")
	case parent.session != "" && child.session != parent.session:
		return wider("the session")
	case slices.ContainsFunc(c.Permissions, func(perm Permission) bool { return !slices.Contains(p.Permissions, perm) }):
		return wider("a permission")
	case !covers(parent.glob, child.glob):
		return wider("the resource")
	}
	return nil
}

// issue makes and signs a token.
func (s *Store) issue(g Grant, id ID) (*entry, error) {
	now := s.config.Now()
	t := Token{
		ID: id, Resource: g.Resource, Permissions: slices.Clone(g.Permissions), IssuedAt: whole(now), ExpiresAt: whole(g.ExpiresAt),
		Scope: ScopePersistent, User: g.User, Approval: g.Approval, SingleUse: g.SingleUse,
	}
	if g.Session != "" {
		t.Scope = ScopeSession
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.expired(now) {
		return nil, fault.New(fault.Usage, "the capability token would have expired at %s already", formatTime(t.ExpiresAt))
	}
	t.sign(s.config.Key)
	glob, err := compileResource(t.Resource)
	return &entry{token: t, session: g.Session, glob: glob}, err
}

// whole cuts t to seconds.
func whole(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Unix(t.Unix(), 0).UTC()
}

// Add keeps a persistent token that was issued elsewhere, if its issuer is
// pinned, or that this kernel issued before. One that was revoked or used stays so.
func (s *Store) Add(data []byte) (Token, error) {
	s.write.Lock()
	defer s.write.Unlock()
	e, err := s.trust(data)
	if err != nil {
		return Token{}, err
	}
	t := e.token
	if t.Scope != ScopePersistent {
		return Token{}, fault.New(fault.Denied, "the capability token %s is that of a session and ends with it: ask for a persistent one", t.ID)
	}
	s.mu.Lock()
	state := s.stateLocked(e, s.config.Now())
	known := s.index.all[t.ID]
	s.mu.Unlock()
	if err := dead(t.ID, state); err != nil {
		return Token{}, err
	}
	if known != nil && known.token.Hash() != t.Hash() {
		return Token{}, fault.New(fault.Exists, "another capability token has the id %s", t.ID)
	}
	return e.copied(), s.insert(e)
}

// insert persists e unless it is a session's, and then lets it count.
//
// Preconditions: s.write is held.
func (s *Store) insert(e *entry) error {
	if err := s.makeRoom(e.token.ID); err != nil {
		return err
	}
	if e.session == "" {
		data, err := json.Marshal(e.token)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "serialization error")
		}
		err = s.config.Tokens.Update(func(tx *store.Tx) error { return s.remember(tx, s.config.Tokens, e.token, data) })
		if err != nil {
			return storage(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.put(e)
	return nil
}

// remember writes a value about t that is of no use long after its expiry.
func (s *Store) remember(tx *store.Tx, p *store.Space, t Token, value []byte) error {
	if t.ExpiresAt.IsZero() {
		return tx.Set(p, string(t.ID), value)
	}
	return tx.SetTTL(p, string(t.ID), value, max(t.ExpiresAt.Add(keep).Sub(s.config.Now()), 1))
}

// makeRoom forgets what is long expired when there are too many tokens.
func (s *Store) makeRoom(id ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.index.all[id]; known || len(s.index.all) < MaxTokens {
		return nil
	}
	now := s.config.Now()
	for id, e := range s.index.all {
		if e.token.expired(now.Add(-keep)) {
			s.forgetLocked(id)
		}
	}
	if len(s.index.all) >= MaxTokens {
		return fault.New(fault.Limit, "there are %d capability tokens, the limit: let some expire first", len(s.index.all))
	}
	return nil
}
