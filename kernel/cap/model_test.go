package cap

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"astrid/kernel/fault"
	"astrid/kernel/store/storetest"
)

// believed is what the naive model knows of a token.
type believed struct {
	token   Token
	session string
	parent  *believed
	revoked bool
	used    bool
	gone    bool // with its session or the kernel
}

func (b *believed) live(now time.Time) bool {
	return !b.revoked && !b.used && !b.gone && (b.token.ExpiresAt.IsZero() || now.Before(b.token.ExpiresAt)) &&
		(b.parent == nil || b.parent.live(now))
}

func (b *believed) grants(perm Permission, resource string) bool {
	return slices.Contains(b.token.Permissions, perm) && naive(b.token.Resource, resource, true)
}

var (
	modelPatterns  = []string{"file:///a", "file:///a/*", "file:///a/**", "file:///**", "file:///a/?", "file:///b/**/c"}
	modelResources = []string{"file:///a", "file:///a/x", "file:///a/x/y", "file:///b/c", "file:///b/x/c", "file:///z"}
)

func TestTokensAreWhatTheNaiveModelBelieves(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := newBench(t)
		defer func() { storetest.Close(t, b.state) }()
		var all []*believed
		drawn := func(r *rapid.T) *believed {
			if len(all) == 0 {
				r.Skip("no token yet")
			}
			return all[rapid.IntRange(0, len(all)-1).Draw(r, "token")]
		}
		some := rapid.Custom(func(r *rapid.T) Grant {
			g := grant(rapid.SampledFrom(modelPatterns).Draw(r, "pattern"),
				rapid.SliceOfNDistinct(rapid.SampledFrom([]Permission{Read, Write, List}), 1, 3, rapid.ID).Draw(r, "permissions")...)
			if ttl := rapid.IntRange(0, 3).Draw(r, "ttl"); ttl > 0 {
				g.ExpiresAt = b.clock.Now().Add(time.Duration(ttl) * time.Minute)
			}
			g.Session = rapid.SampledFrom([]string{"", "", "s", "t"}).Draw(r, "session")
			g.SingleUse = rapid.IntRange(0, 3).Draw(r, "single") == 0
			return g
		})
		compare := func(r *rapid.T) {
			now := b.clock.Now()
			for _, resource := range modelResources {
				for _, perm := range []Permission{Read, Write, List, Delete} {
					want := slices.ContainsFunc(all, func(x *believed) bool { return x.live(now) && x.grants(perm, resource) })
					if _, err := b.tokens.Check(alice(), perm, resource); (err == nil) != want {
						r.Fatalf("%s %s: %v, want %v", perm, resource, err, want)
					}
				}
			}
			for _, x := range all {
				if _, err := b.tokens.Get(x.token.ID); (err == nil) != x.live(now) {
					r.Fatalf("%s: %v, want %v", x.token.ID, err, x.live(now))
				}
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"": compare,
			"mint": func(r *rapid.T) {
				g := some.Draw(r, "grant")
				token, err := b.tokens.Mint(g)
				if err != nil {
					r.Fatal(err)
				}
				all = append(all, &believed{token: token, session: g.Session})
			},
			"attenuate": func(r *rapid.T) {
				from, g := drawn(r), some.Draw(r, "grant")
				token, err := b.tokens.Attenuate(from.token.ID, g)
				if err != nil {
					return // whether that is right is seen by what is granted when it is not
				}
				child := &believed{token: token, session: g.Session, parent: from}
				all = append(all, child)
				for _, resource := range modelResources {
					for _, perm := range []Permission{Read, Write, List} {
						if child.grants(perm, resource) && !from.grants(perm, resource) {
							r.Fatalf("the child of %v is wider: %v", from.token, token)
						}
					}
				}
				if !from.live(b.clock.Now()) || from.token.SingleUse {
					r.Fatal("a child of what cannot have one")
				}
			},
			"use": func(r *rapid.T) {
				x := drawn(r)
				want := x.live(b.clock.Now())
				if err := b.tokens.Use(x.token.ID); (err == nil) != want {
					r.Fatalf("%v, want %v", err, want)
				}
				x.used = x.used || want && x.token.SingleUse
			},
			"revoke": func(r *rapid.T) {
				x := drawn(r)
				if _, err := b.tokens.Revoke(Selector{ID: x.token.ID}); err != nil && !(x.gone && fault.Is(err, fault.NotFound)) {
					r.Fatal(err)
				}
				x.revoked = true
			},
			"revoke by resource": func(r *rapid.T) {
				pattern := rapid.SampledFrom(modelPatterns).Draw(r, "pattern")
				ids, err := b.tokens.Revoke(Selector{Resource: pattern})
				if err != nil {
					r.Fatal(err)
				}
				for _, x := range all {
					hit := slices.ContainsFunc(modelResources, func(text string) bool {
						return naive(pattern, text, true) && naive(x.token.Resource, text, true)
					})
					if chosen := slices.Contains(ids, x.token.ID); hit && !chosen && !x.revoked && !x.gone {
						r.Fatalf("%s is left", x.token.Resource)
					} else if chosen {
						x.revoked = true
					}
				}
			},
			"end a session": func(r *rapid.T) {
				session := rapid.SampledFrom([]string{"s", "t"}).Draw(r, "session")
				b.tokens.EndSession(session)
				for _, x := range all {
					x.gone = x.gone || x.session == session
				}
			},
			"add again": func(r *rapid.T) {
				x := drawn(r)
				text, err := json.Marshal(x.token)
				if err != nil {
					r.Fatal(err)
				}
				_, err = b.tokens.Add(text)
				if want := x.live(b.clock.Now()) && x.session == ""; (err == nil) != want {
					r.Fatalf("%v, want %v", err, want)
				}
			},
			"time passes": func(r *rapid.T) {
				b.clock.advance(time.Duration(rapid.IntRange(1, 90).Draw(r, "seconds")) * time.Second)
			},
			"restart": func(r *rapid.T) {
				if rapid.IntRange(0, 3).Draw(r, "whether") > 0 {
					return
				}
				b.restart()
				for _, x := range all {
					x.gone = x.gone || x.session != ""
				}
			},
		})
	})
}

func TestAllowancesAreSpentExactly(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := newBench(t)
		defer func() { storetest.Close(t, b.state) }()
		type spent struct {
			Allowance
			left int
			gone bool
		}
		var all []*spent
		live := func(x *spent) bool { return !x.gone && x.left != 0 && !x.expired(b.clock.Now()) }
		word := rapid.SampledFrom([]string{"git", "make"})
		who := rapid.SampledFrom([]string{"p", "q"})
		session := rapid.SampledFrom([]string{"s", "t"})
		r.Repeat(map[string]func(*rapid.T){
			"": func(r *rapid.T) {
				want := 0
				for _, x := range all {
					if live(x) {
						want++
					}
				}
				if list := b.allow.List(); len(list) != want {
					r.Fatalf("%d allowances, want %d", len(list), want)
				}
			},
			"add": func(r *rapid.T) {
				a := Allowance{Pattern: CommandPrefix(word.Draw(r, "program")), Principal: who.Draw(r, "who"), Capsule: who.Draw(r, "capsule"),
					MaxUses: uint32(rapid.IntRange(0, 3).Draw(r, "uses")), SessionOnly: rapid.Bool().Draw(r, "only")}
				if a.SessionOnly || rapid.Bool().Draw(r, "bound") {
					a.Session = session.Draw(r, "session")
				}
				if ttl := rapid.IntRange(0, 3).Draw(r, "ttl"); ttl > 0 {
					a.ExpiresAt = b.clock.Now().Add(time.Duration(ttl) * time.Minute)
				}
				added, err := b.allow.Add(a)
				if err != nil {
					r.Fatal(err)
				}
				x := &spent{Allowance: added, left: int(a.MaxUses)}
				if a.MaxUses == 0 {
					x.left = -1
				}
				all = append(all, x)
			},
			"ask": func(r *rapid.T) {
				req := Request{Capsule: who.Draw(r, "capsule"), Principal: who.Draw(r, "who"), Session: session.Draw(r, "session"),
					Action: Action{Kind: ExecuteCommand, Command: word.Draw(r, "program"), Args: []string{"x"}}}
				fits := func(x *spent) bool {
					return live(x) && x.Capsule == req.Capsule && x.Principal == req.Principal &&
						(x.Session == "" || x.Session == req.Session) && x.Pattern.Command == req.Action.Command+" *"
				}
				a, ok, err := b.allow.Match(req)
				if err != nil || ok != slices.ContainsFunc(all, fits) {
					r.Fatalf("%v, %v, %v", a, ok, err)
				}
				if !ok {
					return
				}
				i := slices.IndexFunc(all, func(x *spent) bool { return x.ID == a.ID })
				if i < 0 || !fits(all[i]) {
					r.Fatalf("the wrong one: %v", a)
				}
				if all[i].left > 0 {
					if slices.ContainsFunc(all, func(x *spent) bool { return fits(x) && x.left < 0 }) {
						r.Fatal("a counted one was taken before one that is not")
					}
					all[i].left--
				}
			},
			"revoke": func(r *rapid.T) {
				if len(all) == 0 {
					r.Skip("none yet")
				}
				x := all[rapid.IntRange(0, len(all)-1).Draw(r, "which")]
				if err := b.allow.Revoke(x.ID); err != nil && (live(x) || !fault.Is(err, fault.NotFound)) {
					r.Fatal(err)
				}
				x.gone = true
			},
			"clear a session": func(r *rapid.T) {
				s := session.Draw(r, "session")
				b.allow.ClearSession(s)
				for _, x := range all {
					x.gone = x.gone || x.SessionOnly && x.Session == s
				}
			},
			"time passes": func(r *rapid.T) {
				b.clock.advance(time.Duration(rapid.IntRange(1, 90).Draw(r, "seconds")) * time.Second)
			},
			"restart": func(r *rapid.T) {
				if rapid.IntRange(0, 3).Draw(r, "whether") > 0 {
					return
				}
				b.restart()
				for _, x := range all {
					x.gone = x.gone || x.SessionOnly
				}
			},
		})
	})
}

func TestTheStoreIsSafeForManyHammer(t *testing.T) {
	b := newBench(t)
	parent := b.mint(grant("file:///w/**"))
	done := make(chan error)
	for w := range 6 {
		go func() {
			var err error
			for i := 0; i < 15 && err == nil; i++ {
				g := grant(fmt.Sprintf("file:///w/%d/%d", w, i))
				var token Token
				if token, err = b.tokens.Attenuate(parent.ID, g); err != nil {
					break
				}
				if _, err = b.tokens.Check(alice(), Read, g.Resource); err == nil && i%2 == 0 {
					_, err = b.tokens.Revoke(Selector{ID: token.ID})
				}
				if _, listErr := b.tokens.List(Filter{Resource: g.Resource}); err == nil {
					err = listErr
				}
			}
			done <- err
		}()
	}
	for range 6 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
