package cap

import (
	"cmp"
	"crypto/ed25519"
	"log/slog"
	"slices"
	"sync"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

const (
	// MaxTokens is how many tokens a Store holds, those of sessions included.
	MaxTokens = 10_000

	// MaxDepth is how often a token may be attenuated in a row.
	MaxDepth = 16

	// keep is how long after its expiry a token is remembered.
	keep = 24 * time.Hour
)

// Config is what a Store is made of.
type Config struct {
	Tokens, Revoked, Used *store.Space // caps:tokens, caps:revoked, caps:used; with Sync

	Key    Key
	Pinned []ed25519.PublicKey // the other issuers to trust; empty: nobody
	Now    func() time.Time    // default: time.Now
	Log    *slog.Logger        // default: discarded
}

// Store holds the tokens. Its methods may be called from any goroutine.
type Store struct {
	config  Config
	trusted map[PublicKey]bool

	write sync.Mutex // see doc.go

	mu      sync.Mutex
	index   index       // guarded by mu
	revoked map[ID]bool // guarded by mu
	used    map[ID]bool // guarded by mu
}

// entry is a token with what does not change about it.
type entry struct {
	token   Token
	session string // empty: persistent
	glob    *glob

	proven bool // it lies within its parent; guarded by Store.mu
}

// Open loads the tokens. One that does not verify, or whose issuer is not
// trusted any more, is left where it is and logged.
func Open(c Config) (*Store, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{config: c, trusted: map[PublicKey]bool{c.Key.Public(): true},
		index: newIndex(), revoked: map[ID]bool{}, used: map[ID]bool{}}
	for _, key := range c.Pinned {
		if len(key) != ed25519.PublicKeySize {
			return nil, fault.New(fault.Usage, "a pinned key of %d bytes, it must have %d", len(key), ed25519.PublicKeySize)
		}
		s.trusted[PublicKey(key)] = true
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// copied is the token for a caller, who may do with it as he likes.
func (e *entry) copied() Token {
	t := e.token
	t.Permissions = slices.Clone(t.Permissions)
	return t
}

func (s *Store) load() error {
	for set, p := range map[*map[ID]bool]*store.Space{&s.revoked: s.config.Revoked, &s.used: s.config.Used} {
		err := p.Each("", func(key string, _ []byte) error {
			(*set)[ID(key)] = true
			return nil
		})
		if err != nil {
			return storage(err)
		}
	}
	err := s.config.Tokens.Each("", func(key string, value []byte) error {
		e, err := s.trust(value)
		switch {
		case err == nil && string(e.token.ID) != key:
			err = fault.New(fault.Denied, "the token is stored under the id of another one")
		case err == nil && e.token.Scope != ScopePersistent:
			err = fault.New(fault.Denied, "it is the token of a session")
		}
		if err != nil {
			s.config.Log.Warn("a stored capability token is ignored", "token", key, "err", err)
			return nil
		}
		s.index.put(e)
		return nil
	})
	if err != nil {
		return storage(err)
	}
	return nil
}

// trust parses and verifies a token and looks its issuer up.
func (s *Store) trust(data []byte) (*entry, error) {
	t, err := ParseToken(data)
	if err != nil {
		return nil, err
	}
	if !s.trusted[t.Issuer] {
		return nil, fault.New(fault.Denied, "the issuer of the capability token %s is not trusted: pin its key first", t.ID)
	}
	g, err := compileResource(t.Resource)
	return &entry{token: t, glob: g}, err
}

func storage(err error) error { return fault.Wrap(fault.KindOf(err), err, "storage error") }

// State is whether a token counts, and why not.
type State string

// The states.
const (
	Live     State = "live"
	Expired  State = "expired"
	Revoked  State = "revoked"
	Used     State = "used"
	Orphaned State = "orphaned" // its parent is gone, or did not grant what it does
)

// stateLocked tells whether e counts now: itself and all it came from.
//
// Preconditions: s.mu is held.
func (s *Store) stateLocked(e *entry, now time.Time) State {
	for depth := 0; ; depth++ {
		switch {
		case s.revoked[e.token.ID]:
			return Revoked
		case s.used[e.token.ID]:
			return Used
		case e.token.expired(now):
			return Expired
		}
		id, child := e.token.Parent()
		if !child {
			return Live
		}
		parent := s.index.all[id]
		if parent == nil || depth == MaxDepth {
			return Orphaned
		}
		if e.proven = e.proven || within(e, parent) == nil; !e.proven {
			return Orphaned
		}
		e = parent
	}
}

// dead is the error for a token that does not count.
func dead(id ID, state State) error {
	switch state {
	case Live:
		return nil
	case Used:
		return fault.New(fault.Denied, "single-use token already used: %s", id)
	case Orphaned:
		return fault.New(fault.Denied, "capability token revoked: %s (with the one it came from)", id)
	}
	return fault.New(fault.Denied, "capability token %s: %s", state, id)
}

// Check finds a token that lets user do perm with resource; without one, the
// error is of Kind Denied. Of several it prefers one that is not used up, then
// the one that lives longest. A single-use token must then be used with Use.
func (s *Store) Check(user UserID, perm Permission, resource string) (Token, error) {
	now := s.config.Now()
	if found := s.find(user, perm, resource, now); found != nil {
		return found.copied(), nil
	}
	return Token{}, fault.New(fault.Denied, "insufficient capability: required %s for %.256s", perm, resource)
}

func (s *Store) find(user UserID, perm Permission, resource string, now time.Time) *entry {
	if user == (UserID{}) || !nameable(resource) {
		return nil
	}
	q := question{user, perm, resource}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, known := s.answeredLocked(q, now); known {
		return e
	}
	var best *entry
	for _, e := range s.index.byUser[user] {
		if slices.Contains(e.token.Permissions, perm) && (best == nil || prefer(e, best) < 0) &&
			s.stateLocked(e, now) == Live && e.glob.match(resource) {
			best = e
		}
	}
	s.index.remember(q, best)
	return best
}

// prefer orders tokens that grant the same.
func prefer(a, b *entry) int {
	use := func(e *entry) int {
		if e.token.SingleUse {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(use(a), use(b)), byExpiry(b.token.ExpiresAt, a.token.ExpiresAt), cmp.Compare(a.token.ID, b.token.ID))
}

// byExpiry orders times of which zero is never.
func byExpiry(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

// Get returns the token id if it counts.
func (s *Store) Get(id ID) (Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.index.all[id]
	if e == nil {
		return Token{}, notFound(id)
	}
	return e.copied(), dead(id, s.stateLocked(e, s.config.Now()))
}

func notFound(id ID) error {
	return fault.New(fault.NotFound, "capability token not found: %.64s", id)
}

// Filter chooses tokens; what is zero chooses all.
type Filter struct {
	User     UserID
	Resource string // a pattern: tokens that grant something it matches
	Session  string
	Dead     bool // also those that do not count
}

// Info is a token with what a Store knows of it.
type Info struct {
	Token   Token
	Session string // empty: persistent
	State   State
}

// List returns the tokens that f takes, oldest first.
func (s *Store) List(f Filter) ([]Info, error) {
	var g *glob
	if f.Resource != "" {
		var err error
		if g, err = compileResource(f.Resource); err != nil {
			return nil, err
		}
	}
	now := s.config.Now()
	s.mu.Lock()
	var all []Info
	for _, e := range s.index.all {
		state := s.stateLocked(e, now)
		if (f.Dead || state == Live) && (f.User == UserID{} || f.User == e.token.User) && (f.Session == "" || f.Session == e.session) {
			all = append(all, Info{e.copied(), e.session, state})
		}
	}
	s.mu.Unlock()
	all = slices.DeleteFunc(all, func(i Info) bool { return g != nil && !granted(i.Token, g) })
	slices.SortFunc(all, func(a, b Info) int {
		return cmp.Or(a.Token.IssuedAt.Compare(b.Token.IssuedAt), cmp.Compare(a.Token.ID, b.Token.ID))
	})
	return all, nil
}

// granted tells whether t grants something that g matches.
func granted(t Token, g *glob) bool {
	own, err := compileResource(t.Resource)
	return err != nil || overlaps(own, g)
}
