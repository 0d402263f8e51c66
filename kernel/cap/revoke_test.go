package cap

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"

	"astrid/kernel/fault"
)

func TestASingleUseIsOneOverRacesAndRestarts(t *testing.T) {
	b := newBench(t)
	g := grant("exec://make")
	g.SingleUse = true
	token := b.mint(g)
	if _, err := b.tokens.Check(alice(), Read, "exec://make"); err != nil {
		t.Fatal(err)
	}
	var used atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if b.tokens.Use(token.ID) == nil {
				used.Add(1)
			}
		})
	}
	wg.Wait()
	if used.Load() != 1 {
		t.Errorf("used %d times", used.Load())
	}
	for range 2 {
		wantKind(t, b.tokens.Use(token.ID), fault.Denied, "single-use token already used: "+string(token.ID))
		_, err := b.tokens.Check(alice(), Read, "exec://make")
		wantKind(t, err, fault.Denied, "insufficient capability")
		text, _ := json.Marshal(token)
		_, err = b.tokens.Add(text)
		wantKind(t, err, fault.Denied, "single-use token already used")
		b.restart()
	}
}

func TestRevokeChoosesByIDResourceOrUser(t *testing.T) {
	b := newBench(t)
	bob := testKey(2).Public().User()
	var ids []ID
	for _, resource := range []string{"file:///w/**", "file:///w/a", "file:///x", "mcp://files:*"} {
		for _, user := range []UserID{alice(), bob} {
			g := grant(resource)
			g.User = user
			ids = append(ids, b.mint(g).ID)
		}
	}
	want := func(name string, sel Selector, want ...ID) {
		t.Helper()
		got, err := b.tokens.Revoke(sel)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	want("by id", Selector{ID: ids[7]}, ids[7])
	want("again", Selector{ID: ids[7]})
	// The first two lie not within the pattern, but grant some of it.
	want("by resource", Selector{Resource: "file:///w/a*"}, ids[0], ids[1], ids[2], ids[3])
	want("by user", Selector{User: bob}, ids[5])
	for range 2 {
		if _, err := b.tokens.Check(alice(), Read, "file:///w/zzz"); !fault.Is(err, fault.Denied) {
			t.Error(err)
		}
		if _, err := b.tokens.Check(alice(), Read, "mcp://files:x"); err != nil {
			t.Error(err)
		}
		b.restart()
	}
	for name, sel := range map[string]Selector{"nothing": {}, "two things": {ID: ids[0], User: bob}, "a bad pattern": {Resource: "x"}} {
		if _, err := b.tokens.Revoke(sel); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := b.tokens.Revoke(Selector{ID: newID(false)})
	wantKind(t, err, fault.NotFound, "")
}

func TestManyAreRevokedAtOnce(t *testing.T) {
	b := newBench(t)
	const n = revokeBatch + 10
	for i := range n {
		g := grant(fmt.Sprintf("file:///w/%d", i))
		if i%2 == 0 {
			g.Session = "s"
		}
		b.mint(g)
	}
	if ids, err := b.tokens.Revoke(Selector{Resource: "file:///w/*"}); err != nil || len(ids) != n {
		t.Errorf("%d, %v", len(ids), err)
	}
	if list, err := b.tokens.List(Filter{}); err != nil || len(list) != 0 {
		t.Errorf("%d live, %v", len(list), err)
	}
	if keys, err := b.config.Revoked.List(""); err != nil || len(keys) != n/2 {
		t.Errorf("%d on disk, %v", len(keys), err)
	}
}
