package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

func show(e store.Event) string {
	switch {
	case e.Lost > 0:
		return fmt.Sprintf("lost %d", e.Lost)
	case e.Deleted:
		return "-" + e.Key
	}
	return e.Key + "=" + string(e.Value)
}

func wantEvents(t *testing.T, events <-chan store.Event, want string) {
	t.Helper()
	var got []string
	for range strings.Fields(want) {
		got = append(got, show(<-events))
	}
	if g := strings.Join(got, " "); g != want {
		t.Errorf("heard %s, want %s", g, want)
	}
}

func TestAWatcherHearsItsKeysInOrder(t *testing.T) {
	c := newClock()
	s := storetest.Open(t, t.TempDir(), c.Now)
	p := storetest.Space(t, s, "test", store.SpaceOptions{})
	other := storetest.Space(t, s, "other", store.SpaceOptions{})
	events := p.Watch(t.Context(), "a")
	set(t, p, "a1", "1")
	set(t, p, "b", "not mine")
	set(t, other, "a1", "nor mine")
	err := p.Update(func(tx *store.Tx) error {
		if err := tx.SetTTL(p, "a2", []byte("2"), time.Second); err != nil {
			return err
		}
		_, err := tx.Delete(p, "a1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.advance(time.Second)
	set(t, p, "a2", "3") // in place of one that expired
	if _, err := p.Clear(""); err != nil {
		t.Fatal(err)
	}
	wantEvents(t, events, "a1=1 a2=2 -a1 -a2 a2=3 -a2")
}

func TestASlowWatcherIsToldWhatItLost(t *testing.T) {
	_, p := fresh(t)
	events := p.Watch(t.Context(), "")
	const n = 1000
	for i := range n {
		set(t, p, fmt.Sprint(i), "v")
	}
	heard, lost := 0, 0
	for heard+lost < n {
		e := <-events
		if e.Lost > 0 {
			lost += e.Lost
			continue
		}
		if want := fmt.Sprint(heard + lost); e.Key != want {
			t.Fatalf("heard %s, want %s", e.Key, want)
		}
		heard++
	}
	if lost == 0 || heard < 256 {
		t.Errorf("heard %d, lost %d", heard, lost)
	}
	set(t, p, "after", "v")
	wantEvents(t, events, "after=v")
}

func TestAWatcherOfBigValuesIsBounded(t *testing.T) {
	_, p := fresh(t)
	events := p.Watch(t.Context(), "")
	for i := range 6 {
		if err := p.Set(fmt.Sprint(i), pattern(8<<20)); err != nil {
			t.Fatal(err)
		}
	}
	total := 0
	for total < 6 {
		if e := <-events; e.Lost > 0 {
			total += e.Lost
		} else if total++; total > 3 {
			t.Fatalf("heard of %s without a loss", e.Key)
		}
	}
}

func TestAWatchEndsWithItsContextAndWithTheStore(t *testing.T) {
	s, p := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := p.Watch(ctx, ""), p.Watch(t.Context(), "")
	cancel()
	if _, open := <-first; open {
		t.Error("heard something")
	}
	storetest.Close(t, s)
	if _, open := <-second; open {
		t.Error("heard something")
	}
}
