package identity_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"astrid/kernel/fault"
	"astrid/kernel/identity"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func open(t testing.TB, s *store.Store, c *clock) *identity.Store {
	t.Helper()
	id, err := identity.Open(s, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func fresh(t testing.TB) (*identity.Store, *store.Store, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC)}
	s := storetest.Open(t, t.TempDir(), c.now)
	return open(t, s, c), s, c
}

func TestRootIsMadeOnceAndKeepsItsLink(t *testing.T) {
	id, s, c := fresh(t)
	again := open(t, s, c)
	if id.Root() == "" || again.Root() != id.Root() {
		t.Errorf("root was %q and is %q", id.Root(), again.Root())
	}
	users, err := id.Users()
	if err != nil || len(users) != 1 || users[0].Name != "root" || len(users[0].Links) != 1 || users[0].Links[0].Method != "system" {
		t.Errorf("users: %+v, %v", users, err)
	}
	if _, err := id.Unlink(" CLI ", "local"); !fault.Is(err, fault.Denied) {
		t.Errorf("the owner's link: %v", err)
	}
	if u, err := id.Resolve("Cli", "local"); err != nil || u.ID != id.Root() {
		t.Errorf("resolved %+v, %v", u, err)
	}
}

func TestUsersAndLinks(t *testing.T) {
	id, _, _ := fresh(t)
	alice, err := id.CreateUser("alice", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := id.CreateUser("alice", nil); !fault.Is(err, fault.Exists) {
		t.Errorf("a second alice: %v", err)
	}
	if _, err := id.Link(" Discord ", "42", "alice", "admin"); err != nil {
		t.Fatal(err)
	}
	if u, err := id.Resolve("discord", "42"); err != nil || u.ID != alice.ID {
		t.Errorf("resolved %+v, %v", u, err)
	}
	if _, err := id.Link("discord", "42", id.Root(), "admin"); err != nil {
		t.Fatal(err)
	}
	if u, err := id.Resolve("discord", "42"); err != nil || u.Name != "root" {
		t.Errorf("after it was re-pointed: %+v, %v", u, err)
	}
	for _, want := range []bool{true, false} {
		if existed, err := id.Unlink("discord", "42"); err != nil || existed != want {
			t.Errorf("unlink: %v, %v", existed, err)
		}
	}
	if _, err := id.Resolve("discord", "42"); !fault.Is(err, fault.NotFound) {
		t.Errorf("after unlink: %v", err)
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	id, _, _ := fresh(t)
	for name, call := range map[string]func() error{
		"a slash in a platform": func() error { _, err := id.Link("a/b", "1", "root", "m"); return err },
		"a NUL in an account":   func() error { _, err := id.Link("a", "1\x00", "root", "m"); return err },
		"a blank account":       func() error { _, err := id.Link("a", " ", "root", "m"); return err },
		"a blank method":        func() error { _, err := id.Link("a", "1", "root", " "); return err },
		"a slash in a name":     func() error { _, err := id.CreateUser("a/b", nil); return err },
		"a long name":           func() error { _, err := id.CreateUser(strings.Repeat("x", identity.MaxName+1), nil); return err },
		"half a letter":         func() error { _, err := id.CreateUser("a\xc3", nil); return err },
		"an escape in a name":   func() error { _, err := id.CreateUser("a\x1b[2J", nil); return err },
		"a C1 code in a name":   func() error { _, err := id.CreateUser("a\u009b2J", nil); return err },
		"a long platform": func() error {
			_, err := id.Link(strings.Repeat("x", identity.MaxAccount+1), "1", "root", "m")
			return err
		},
		"a broken platform":       func() error { _, err := id.Link("a\xff", "1", "root", "m"); return err },
		"an escape in a platform": func() error { _, err := id.Link("a\x1bb", "1", "root", "m"); return err },
		"a long account": func() error {
			_, err := id.Link("a", strings.Repeat("x", identity.MaxAccount+1), "root", "m")
			return err
		},
		"a broken account":       func() error { _, err := id.Resolve("a", "1\xff"); return err },
		"a line in an account":   func() error { _, err := id.Link("a", "1\n2", "root", "m"); return err },
		"a line in a method":     func() error { _, err := id.Link("a", "1", "root", "m\n"); return err },
		"a short key":            func() error { _, err := id.CreateUser("k", ed25519.PublicKey("short")); return err },
		"no user":                func() error { _, err := id.Find(""); return err },
		"a token for the past":   func() error { _, err := id.MintToken("root", "", "", -1); return err },
		"a label without an end": func() error { _, err := id.MintToken("root", "", strings.Repeat("x", 300), 0); return err },
	} {
		if err := call(); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, who := range []string{"nobody", "11111111-2222-4333-8444-555555555555"} {
		if _, err := id.Link("a", "1", who, "m"); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", who, err)
		}
	}
}

func TestNamesAtTheBoundAreGood(t *testing.T) {
	id, _, _ := fresh(t)
	name, account := strings.Repeat("é", identity.MaxName/2)+"x", strings.Repeat("x", identity.MaxAccount)
	if _, err := id.CreateUser(name, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := id.Link(account, account, name, "m"); err != nil {
		t.Fatal(err)
	}
	if u, err := id.Resolve(account, account); err != nil || u.Name != name {
		t.Errorf("resolved %+v, %v", u, err)
	}
}

func TestLinksOfTheConfigurationAreMadeOnce(t *testing.T) {
	id, _, _ := fresh(t)
	for range 2 {
		if err := id.EnsureLink("matrix", "@bob:x", "bob", "admin"); err != nil {
			t.Fatal(err)
		}
	}
	users, err := id.Users()
	if err != nil || len(users) != 2 || users[0].Name != "bob" {
		t.Errorf("%+v, %v", users, err)
	}
}

func TestATokenIsGoodUntilItsTimeOrItsRevocation(t *testing.T) {
	id, s, c := fresh(t)
	timed, err := id.MintToken("root", "hello", "bot", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	forever, err := id.MintToken("root", "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	check := func(token string, want bool) {
		t.Helper()
		raw, _ := hex.DecodeString(token)
		user, _, err := id.Recognise([32]byte(raw))
		if (err == nil) != want || want && user != id.Root() {
			t.Errorf("recognised %q, %v", user, err)
		}
	}
	check(timed.Token, true)
	c.at = c.at.Add(time.Hour + time.Second)
	check(timed.Token, false)
	check(forever.Token, true)
	check(strings.Repeat("00", 32), false)
	if existed, err := id.RevokeToken(forever.ID); err != nil || !existed {
		t.Errorf("revoked: %v, %v", existed, err)
	}
	check(forever.Token, false)
	space := storetest.Space(t, s, store.SystemTokens, store.SpaceOptions{})
	_ = space.Each("", func(key string, value []byte) error {
		if strings.Contains(key+string(value), timed.Token) {
			t.Error("a token is stored in clear")
		}
		return nil
	})
}

// TestModel compares the table with maps, over restarts.
func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := &clock{time.Unix(1_000_000, 0)}
		dir := t.TempDir()
		s := storetest.Open(t, dir, c.now)
		defer func() { storetest.Close(t, s) }()
		id := open(t, s, c)
		users := map[string]string{"root": id.Root()}
		links := map[string]string{}
		name := rapid.SampledFrom([]string{"root", "a", "b", "c"})
		account := rapid.SampledFrom([]string{"1", "2", "3"})
		r.Repeat(map[string]func(*rapid.T){
			"create": func(r *rapid.T) {
				n := name.Draw(r, "name")
				u, err := id.CreateUser(n, nil)
				if _, there := users[n]; there != fault.Is(err, fault.Exists) || !there && err != nil {
					r.Fatalf("create %s: %v", n, err)
				}
				if err == nil {
					users[n] = u.ID
				}
			},
			"link": func(r *rapid.T) {
				n, a := name.Draw(r, "name"), account.Draw(r, "account")
				_, err := id.Link("p", a, n, "m")
				if user, there := users[n]; there != (err == nil) {
					r.Fatalf("link %s: %v", n, err)
				} else if there {
					links[a] = user
				}
			},
			"unlink": func(r *rapid.T) {
				a := account.Draw(r, "account")
				existed, err := id.Unlink("p", a)
				if _, there := links[a]; err != nil || existed != there {
					r.Fatalf("unlink: %v, %v", existed, err)
				}
				delete(links, a)
			},
			"restart": func(r *rapid.T) {
				if rapid.IntRange(0, 9).Draw(r, "rarely") != 0 {
					return // it takes longer than all the rest
				}
				storetest.Close(t, s)
				s = storetest.Open(t, dir, c.now)
				id = open(t, s, c)
			},
			"": func(r *rapid.T) {
				for _, a := range []string{"1", "2", "3"} {
					u, err := id.Resolve("p", a)
					if u.ID != links[a] || (err == nil) != (links[a] != "") {
						r.Fatalf("%s is %q, %v; want %q", a, u.ID, err, links[a])
					}
				}
			},
		})
	})
}
