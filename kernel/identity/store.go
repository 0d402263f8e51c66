package identity

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// Platform, account and name of the owner.
const (
	RootPlatform = "cli"
	RootAccount  = "local"
	RootName     = "root"
)

// Bounds of what is stored, in bytes.
const (
	MaxName    = 255
	MaxAccount = 255
)

// Store is the table of users. Its methods may be called from any goroutine.
type Store struct {
	space  *store.Space // system:identity
	tokens *store.Space // system:tokens
	now    func() time.Time
	root   string
}

// user and link are records as 0.2 stores them.
type user struct {
	ID        string    `json:"id"`
	PublicKey *[]byte   `json:"public_key"` // base64 or null
	Name      *string   `json:"display_name"`
	Created   time.Time `json:"created_at"`
}

type link struct {
	Platform string    `json:"platform"`
	Account  string    `json:"platform_user_id"`
	User     string    `json:"astrid_user_id"`
	Linked   time.Time `json:"linked_at"`
	Method   string    `json:"method"`
}

// Open opens the table and makes the owner, root, when there is none. now may be
// nil.
func Open(s *store.Store, now func() time.Time) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	t := &Store{now: func() time.Time { return now().UTC() }}
	var err error
	if t.space, err = s.Space(store.Identity, store.SpaceOptions{Sync: true}); err != nil {
		return nil, err
	}
	if t.tokens, err = s.Space(store.SystemTokens, store.SpaceOptions{Sync: true}); err != nil {
		return nil, err
	}
	if t.root, err = t.bootstrap(); err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "make the user root")
	}
	return t, nil
}

// Root is the id of the owner.
func (t *Store) Root() string { return t.root }

// bootstrap finds the owner, or makes it and its link.
func (t *Store) bootstrap() (id string, err error) {
	err = t.space.Update(func(tx *store.Tx) error {
		var l link
		switch err := t.read(tx, linkKey(RootPlatform, RootAccount), &l); {
		case err == nil:
			var u user
			if id = l.User; t.read(tx, userKey(id), &u) == nil {
				return nil
			}
		case !fault.Is(err, fault.NotFound):
			return err
		}
		u, err := t.create(tx, RootName, nil)
		if fault.Is(err, fault.Exists) { // its link was taken away
			id, err = t.named(tx, RootName)
		} else {
			id = u.ID
		}
		if err != nil {
			return err
		}
		return t.write(tx, linkKey(RootPlatform, RootAccount), link{RootPlatform, RootAccount, id, t.now(), "system"})
	})
	return id, err
}

// CreateUser makes a user. The name may be empty; the key, an ed25519 public
// key of 32 bytes, too.
func (t *Store) CreateUser(name string, key ed25519.PublicKey) (made wire.User, err error) {
	if err := checkName(name); err != nil {
		return made, err
	}
	if _, err := wire.ParseUUID(name); err == nil {
		return made, fault.New(fault.Usage, "a display name must not be an id, which could be another user's")
	}
	if len(key) != 0 && len(key) != ed25519.PublicKeySize {
		return made, fault.New(fault.Usage, "a public key has %d bytes, not %d", ed25519.PublicKeySize, len(key))
	}
	err = t.space.Update(func(tx *store.Tx) error {
		u, err := t.create(tx, name, key)
		made = u.wire(nil)
		return err
	})
	return made, err
}

func (t *Store) create(tx *store.Tx, name string, key ed25519.PublicKey) (user, error) {
	u := user{ID: wire.NewUUID(), Created: t.now()}
	if len(key) > 0 {
		u.PublicKey = (*[]byte)(&key)
	}
	if name != "" {
		if _, err := t.named(tx, name); err == nil {
			return u, fault.New(fault.Exists, "there is a user %q already", name)
		} else if !fault.Is(err, fault.NotFound) {
			return u, err
		}
		u.Name = &name
		if err := tx.Set(t.space, nameKey(name), []byte(u.ID)); err != nil {
			return u, err
		}
	}
	return u, t.write(tx, userKey(u.ID), u)
}

// Find returns a user by id or by name.
func (t *Store) Find(who string) (found wire.User, err error) {
	err = t.space.Update(func(tx *store.Tx) error {
		u, err := t.find(tx, who)
		found = u.wire(nil)
		return err
	})
	return found, err
}

func (t *Store) find(tx *store.Tx, who string) (u user, err error) {
	id, isID := who, true
	if id, err = wire.ParseUUID(who); err != nil {
		isID = false
		if checkName(who) != nil || who == "" {
			return u, fault.New(fault.Usage, "%.64q is neither the id nor the name of a user", who)
		}
		if id, err = t.named(tx, who); err != nil && !fault.Is(err, fault.NotFound) {
			return u, err
		}
	}
	if err == nil {
		err = t.read(tx, userKey(id), &u)
	}
	if fault.Is(err, fault.NotFound) || err != nil && isID {
		return u, fault.New(fault.KindOf(err), "there is no user %.64q; astrid identity lists those there are", who)
	}
	return u, err
}

// Users lists all users with their links, by name and then by id.
func (t *Store) Users() ([]wire.User, error) {
	links := map[string][]wire.UserLink{}
	err := t.each("link/", func(data []byte) error {
		var l link
		err := wire.Decode(data, &l)
		links[l.User] = append(links[l.User], wire.UserLink(l))
		return err
	})
	if err != nil {
		return nil, err
	}
	users := []wire.User{}
	err = t.each("user/", func(data []byte) error {
		var u user
		err := wire.Decode(data, &u)
		users = append(users, u.wire(links[u.ID]))
		return err
	})
	slices.SortFunc(users, func(a, b wire.User) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return users, err
}

func (u user) wire(links []wire.UserLink) wire.User {
	if links == nil {
		links = []wire.UserLink{}
	}
	w := wire.User{ID: u.ID, Created: u.Created, Links: links}
	if u.PublicKey != nil {
		w.PublicKey = *u.PublicKey
	}
	if u.Name != nil {
		w.Name = *u.Name
	}
	return w
}

func (t *Store) each(prefix string, f func([]byte) error) error {
	return t.space.Each(prefix, func(key string, value []byte) error {
		if err := f(value); err != nil {
			return fault.Wrap(fault.Internal, err, "the record %q is damaged", key)
		}
		return nil
	})
}

// named finds the id of a name: Kind NotFound.
func (t *Store) named(tx *store.Tx, name string) (string, error) {
	id, err := tx.Get(t.space, nameKey(name))
	return string(id), err
}

func (t *Store) read(tx *store.Tx, key string, into any) error {
	data, err := tx.Get(t.space, key)
	if err != nil {
		return err
	}
	if err := wire.Decode(data, into); err != nil {
		return fault.Wrap(fault.Internal, err, "the record %q is damaged", key)
	}
	return nil
}

func (t *Store) write(tx *store.Tx, key string, value any) error {
	data, err := wire.EncodeExact(value)
	if err != nil {
		return err
	}
	return tx.Set(t.space, key, data)
}

func userKey(id string) string                { return "user/" + id }
func nameKey(name string) string              { return "name/" + name }
func linkKey(platform, account string) string { return "link/" + platform + "/" + account }

func checkName(name string) error {
	if strings.Contains(name, "/") {
		return fault.New(fault.Usage, "a display name must not contain '/'")
	}
	return checkText("a display name", name, MaxName)
}

// checkText refuses what is too long or could draw on a person's terminal.
func checkText(what, text string, limit int) error {
	switch {
	case len(text) > limit:
		return fault.New(fault.Usage, "%s has %d bytes, the limit is %d", what, len(text), limit)
	case !utf8.ValidString(text):
		return fault.New(fault.Usage, "%s must be valid UTF-8", what)
	case strings.ContainsFunc(text, unicode.IsControl):
		return fault.New(fault.Usage, "%s must not contain control characters", what)
	}
	return nil
}
