package cap

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// MaxAllowances is how many allowances there may be at a time.
const MaxAllowances = 4096

// AllowanceConfig is what Allowances are made of.
type AllowanceConfig struct {
	Space *store.Space // allowances; with Sync
	Key   Key
	Now   func() time.Time // default: time.Now
	Log   *slog.Logger     // default: discarded
}

// Allowances holds the allowances. Its methods may be called from any goroutine.
type Allowances struct {
	config AllowanceConfig

	write sync.Mutex // see doc.go

	mu  sync.Mutex
	all map[ID]*allowed // guarded by mu
}

// allowed is an allowance, not changed but replaced, with its compiled pattern.
type allowed struct {
	Allowance
	match matcher
}

// OpenAllowances loads the allowances. One without a valid signature of the key
// is left where it is and logged.
func OpenAllowances(c AllowanceConfig) (*Allowances, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Allowances{config: c, all: map[ID]*allowed{}}
	err := c.Space.Each("", func(key string, value []byte) error {
		a, err := openAllowance(c.Key.Public(), value)
		if err == nil && string(a.ID) != key {
			err = fault.New(fault.Denied, "it is stored under the id of another one")
		}
		match, patternErr := a.Pattern.compile()
		if err = cmp.Or(err, patternErr); err != nil {
			c.Log.Warn("a stored allowance is ignored", "allowance", key, "err", err)
			return nil
		}
		s.all[a.ID] = &allowed{a, match}
		return nil
	})
	if err != nil {
		return nil, storage(err)
	}
	return s, nil
}

// Add gives an allowance an id and its time and keeps it; one that is not for a
// session only survives a power cut.
func (s *Allowances) Add(a Allowance) (Allowance, error) {
	s.write.Lock()
	defer s.write.Unlock()
	now := s.config.Now()
	a.ID, a.CreatedAt, a.ExpiresAt, a.UsesRemaining = ID(wire.NewUUID()), whole(now), whole(a.ExpiresAt), a.MaxUses
	match, err := a.Pattern.compile()
	if err == nil {
		err = a.check(now)
	}
	if err != nil {
		return Allowance{}, err
	}
	if err := s.makeRoom(now); err != nil {
		return Allowance{}, err
	}
	return a, s.put(&allowed{a, match})
}

// makeRoom removes what is past its time.
func (s *Allowances) makeRoom(now time.Time) error {
	for _, a := range s.choose(func(a *allowed) bool { return a.expired(now) }) {
		if err := s.drop(a); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= MaxAllowances {
		return fault.New(fault.Limit, "there are %d allowances, the limit: revoke some first", len(s.all))
	}
	return nil
}

// put persists a unless it is a session's, and then lets it count.
//
// Preconditions: s.write is held.
func (s *Allowances) put(a *allowed) error {
	if !a.SessionOnly {
		data, err := sealAllowance(s.config.Key, a.Allowance)
		if err == nil {
			err = s.config.Space.Set(string(a.ID), data)
		}
		if err != nil {
			return storage(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[a.ID] = a
	return nil
}

// drop is the inverse of put.
//
// Preconditions: s.write is held.
func (s *Allowances) drop(a *allowed) error {
	if !a.SessionOnly {
		if _, err := s.config.Space.Delete(string(a.ID)); err != nil {
			return storage(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, a.ID)
	return nil
}

// choose returns the allowances that takes, in the order in which they are spent.
func (s *Allowances) choose(takes func(*allowed) bool) []*allowed {
	s.mu.Lock()
	defer s.mu.Unlock()
	var chosen []*allowed
	for _, a := range s.all {
		if takes(a) {
			chosen = append(chosen, a)
		}
	}
	slices.SortFunc(chosen, spendFirst)
	return chosen
}

// spendFirst prefers allowances without a count, then those that live longest,
// then the older.
func spendFirst(a, b *allowed) int {
	counted := func(a *allowed) int { return int(min(a.MaxUses, 1)) }
	return cmp.Or(cmp.Compare(counted(a), counted(b)), byExpiry(b.ExpiresAt, a.ExpiresAt),
		a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// Match finds an allowance for r and takes one use of it. ok is false when
// somebody must be asked, also when there is an error.
func (s *Allowances) Match(r Request) (a Allowance, ok bool, err error) {
	s.write.Lock()
	defer s.write.Unlock()
	now := s.config.Now()
	fitting := s.choose(func(a *allowed) bool { return a.binds(&r) && !a.expired(now) && a.match(&r) })
	if len(fitting) == 0 {
		return Allowance{}, false, nil
	}
	used := *fitting[0]
	if used.MaxUses == 0 {
		return used.Allowance, true, nil
	}
	if used.UsesRemaining--; used.UsesRemaining == 0 {
		err = s.drop(&used)
	} else {
		err = s.put(&used)
	}
	if err != nil {
		return Allowance{}, false, err
	}
	return used.Allowance, true, nil
}

// List returns the allowances that count, in the order in which they are spent.
func (s *Allowances) List() []Allowance {
	now := s.config.Now()
	list := []Allowance{}
	for _, a := range s.choose(func(a *allowed) bool { return !a.expired(now) }) {
		list = append(list, a.Allowance)
	}
	return list
}

// Revoke ends an allowance; Kind NotFound when there is none.
func (s *Allowances) Revoke(id ID) error {
	s.write.Lock()
	defer s.write.Unlock()
	found := s.choose(func(a *allowed) bool { return a.ID == id })
	if len(found) == 0 {
		return fault.New(fault.NotFound, "there is no allowance %.64s", id)
	}
	return s.drop(found[0])
}

// ClearSession ends the allowances that are for session only and tells how many
// there were.
func (s *Allowances) ClearSession(session string) int {
	s.write.Lock()
	defer s.write.Unlock()
	gone := s.choose(func(a *allowed) bool { return a.SessionOnly && a.Session == session })
	for _, a := range gone {
		_ = s.drop(a) // which writes nothing for these
	}
	return len(gone)
}
