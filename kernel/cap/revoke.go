package cap

import (
	"slices"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

// Selector chooses the tokens to revoke by exactly one of its fields.
type Selector struct {
	ID       ID
	Resource string // a pattern: every token that grants something it matches
	User     UserID
}

// revokeBatch is how many revocations are written in one transaction.
const revokeBatch = 500

// Revoke ends the tokens that sel chooses, and with them those attenuated from
// them, and returns their ids. What it did survives a power cut before anybody
// sees it.
func (s *Store) Revoke(sel Selector) ([]ID, error) {
	s.write.Lock()
	defer s.write.Unlock()
	chosen, err := s.choose(sel)
	if err != nil {
		return nil, err
	}
	persistent := slices.DeleteFunc(slices.Clone(chosen), func(e *entry) bool { return e.session != "" })
	for batch := range slices.Chunk(persistent, revokeBatch) {
		err := s.config.Revoked.Update(func(tx *store.Tx) error {
			for _, e := range batch {
				if err := s.remember(tx, s.config.Revoked, e.token, []byte{1}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, storage(err)
		}
	}
	ids := make([]ID, 0, len(chosen))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range chosen {
		s.revoked[e.token.ID] = true
		s.index.changed()
		ids = append(ids, e.token.ID)
	}
	slices.Sort(ids)
	return ids, nil
}

// choose finds the tokens of sel that are not revoked yet.
func (s *Store) choose(sel Selector) ([]*entry, error) {
	takes, err := sel.compile()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	var all []*entry
	for _, e := range s.index.all {
		if !s.revoked[e.token.ID] {
			all = append(all, e)
		}
	}
	known := s.index.all[sel.ID] != nil
	s.mu.Unlock()
	if sel.ID != "" && !known {
		return nil, notFound(sel.ID)
	}
	return slices.DeleteFunc(all, func(e *entry) bool { return !takes(e) }), nil
}

func (sel Selector) compile() (takes func(*entry) bool, err error) {
	switch sel {
	case Selector{ID: sel.ID}:
		takes = func(e *entry) bool { return e.token.ID == sel.ID }
	case Selector{User: sel.User}:
		takes = func(e *entry) bool { return e.token.User == sel.User }
	case Selector{Resource: sel.Resource}:
		g, err := compileResource(sel.Resource)
		if err != nil {
			return nil, err
		}
		takes = func(e *entry) bool { return overlaps(e.glob, g) }
	}
	if takes == nil || sel == (Selector{}) {
		return nil, fault.New(fault.Usage, "what shall be revoked? Name a token, a resource pattern or a user")
	}
	return takes, nil
}

// Use spends a token: one for a single use cannot be used again, by anybody,
// after a nil return. The others are only checked.
func (s *Store) Use(id ID) error {
	s.write.Lock()
	defer s.write.Unlock()
	t, err := s.Get(id)
	if err != nil || !t.SingleUse {
		return err
	}
	if t.Scope == ScopePersistent {
		err := s.config.Used.Update(func(tx *store.Tx) error { return s.remember(tx, s.config.Used, t, []byte{1}) })
		if err != nil {
			return storage(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[id] = true
	s.index.changed()
	return nil
}

// EndSession forgets the tokens of a session and tells how many there were.
func (s *Store) EndSession(session string) (n int) {
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, e := range s.index.all {
		if session != "" && e.session == session {
			s.forgetLocked(id)
			n++
		}
	}
	return n
}

// forgetLocked drops all that is in memory of a token.
//
// Preconditions: s.mu is held.
func (s *Store) forgetLocked(id ID) {
	s.index.drop(id)
	delete(s.revoked, id)
	delete(s.used, id)
}
