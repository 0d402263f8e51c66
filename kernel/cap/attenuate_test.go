package cap

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"astrid/kernel/fault"
)

func TestAnAttenuatedTokenGrantsLess(t *testing.T) {
	b := newBench(t)
	g := grant("file:///w/**", Read, Write)
	g.ExpiresAt = b.clock.Now().Add(time.Hour)
	parent := b.mint(g)
	for name, c := range map[string]struct {
		change func(*Grant)
		text   string
	}{
		"another user":       {func(g *Grant) { g.User = testKey(2).Public().User() }, "the user of the token"},
		"a wider resource":   {func(g *Grant) { g.Resource = "file:///**" }, "the resource of the token"},
		"another resource":   {func(g *Grant) { g.Resource = "file:///x" }, "the resource of the token"},
		"another permission": {func(g *Grant) { g.Permissions = []Permission{Read, Delete} }, "a permission of the token"},
		"a later expiry":     {func(g *Grant) { g.ExpiresAt = b.clock.Now().Add(2 * time.Hour) }, "the expiry of the token"},
	} {
		g := grant("file:///w/a/*")
		c.change(&g)
		if _, err := b.tokens.Attenuate(parent.ID, g); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := b.tokens.Attenuate(newID(false), grant("file:///w/a"))
	wantKind(t, err, fault.NotFound, "")

	child, err := b.tokens.Attenuate(parent.ID, grant("file:///w/a/*"))
	if err != nil || !child.ExpiresAt.Equal(parent.ExpiresAt) {
		t.Fatalf("%+v, %v", child, err)
	}
	if id, ok := child.Parent(); !ok || id != parent.ID {
		t.Errorf("its parent is %s, %v", id, ok)
	}
	b.restart()
	if _, err := b.tokens.Get(child.ID); err != nil {
		t.Error(err)
	}
	if _, err := b.tokens.Revoke(Selector{ID: parent.ID}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = b.tokens.Get(child.ID)
		wantKind(t, err, fault.Denied, "capability token revoked: "+string(child.ID))
		_, err := b.tokens.Check(alice(), Read, "file:///w/a/b")
		wantKind(t, err, fault.Denied, "insufficient")
		_, err = b.tokens.Attenuate(child.ID, grant("file:///w/a/b"))
		wantKind(t, err, fault.Denied, "revoked")
		b.restart()
	}
}

func TestAChildOfASessionsTokenEndsWithTheSession(t *testing.T) {
	b := newBench(t)
	g := grant("file:///w/*")
	g.Session = "one"
	parent := b.mint(g)
	_, err := b.tokens.Attenuate(parent.ID, grant("file:///w/a"))
	wantKind(t, err, fault.Denied, "the session of the token")
	g.Resource = "file:///w/a"
	child, err := b.tokens.Attenuate(parent.ID, g)
	if err != nil {
		t.Fatal(err)
	}
	if n := b.tokens.EndSession("one"); n != 2 {
		t.Errorf("%d ended", n)
	}
	_, err = b.tokens.Get(child.ID)
	wantKind(t, err, fault.NotFound, "")
}

func TestWhatCannotBeAttenuated(t *testing.T) {
	b := newBench(t)
	g := grant("file:///w/*")
	g.SingleUse = true
	_, err := b.tokens.Attenuate(b.mint(g).ID, g)
	wantKind(t, err, fault.Denied, "the single use of the token")

	last := b.mint(grant("file:///w/*"))
	for range MaxDepth {
		if last, err = b.tokens.Attenuate(last.ID, grant("file:///w/*")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.tokens.Get(last.ID); err != nil {
		t.Error(err)
	}
	_, err = b.tokens.Attenuate(last.ID, grant("file:///w/*"))
	wantKind(t, err, fault.Limit, "attenuated 16 times")
}

// A pinned issuer may sign a child that is wider than its parent, or one of
// itself. Neither counts.
func TestAForgedChildIsDead(t *testing.T) {
	b := newBench(t)
	b.config.Pinned = []ed25519.PublicKey{testKey(9).Private().Public().(ed25519.PublicKey)}
	b.restart()
	parent := b.mint(grant("file:///w/*"))
	for name, change := range map[string]func(*Token){
		"wider":         func(t *Token) { t.Resource = "file:///**" },
		"of nothing":    func(t *Token) { t.Approval = newID(false) },
		"its own child": func(t *Token) { t.Approval = t.ID },
	} {
		child := parent
		child.ID, child.Approval = newID(true), parent.ID
		change(&child)
		child.sign(testKey(9))
		text, _ := json.Marshal(child)
		if _, err := b.tokens.Add(text); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: added, %v", name, err)
		}
		if err := b.config.Tokens.Set(string(child.ID), text); err != nil {
			t.Fatal(err)
		}
		b.restart()
		if _, err := b.tokens.Get(child.ID); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := b.tokens.Check(alice(), Read, "file:///etc/passwd"); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
