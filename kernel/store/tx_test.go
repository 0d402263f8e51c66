package store_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

func TestATransactionIsAllOrNothing(t *testing.T) {
	s, p := fresh(t)
	q := storetest.Space(t, s, "other", store.SpaceOptions{Sync: true})
	set(t, p, "old", "1")
	boom := errors.New("boom")
	move := func(end error) error {
		return p.Update(func(tx *store.Tx) error {
			value, err := tx.Get(p, "old")
			if err != nil {
				return err
			}
			if err := tx.Set(q, "new", value); err != nil {
				return err
			}
			if _, err := tx.Delete(p, "old"); err != nil {
				return err
			}
			if keys, err := tx.List(q, ""); err != nil || len(keys) != 1 {
				t.Errorf("inside: %v, %v", keys, err)
			}
			if _, err := tx.Get(p, "old"); !fault.Is(err, fault.NotFound) {
				t.Errorf("inside: %v", err)
			}
			return end
		})
	}
	if err := move(boom); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	wantKeys(t, p, "", "old")
	wantKeys(t, q, "", "")
	if err := move(nil); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, p, "", "")
	wantValue(t, q, "new", "1")
	wantUsage(t, p, 0)
	wantUsage(t, q, 4)
}

func TestATransactionThatIsTooBigChangesNothing(t *testing.T) {
	_, p := fresh(t)
	many := func(tx *store.Tx) error {
		for i := range 100_000 {
			if err := tx.Set(p, fmt.Sprint(i), []byte("v")); err != nil {
				return err
			}
		}
		return nil
	}
	wantKind(t, p.Update(many), fault.Limit, "use several")
	huge := func(tx *store.Tx) error {
		for i := range 4 {
			if err := tx.Set(p, fmt.Sprint(i), pattern(store.MaxValue)); err != nil {
				return err
			}
		}
		return nil
	}
	wantKind(t, p.Update(huge), fault.Limit, "use several")
	wantKeys(t, p, "", "")
	wantUsage(t, p, 0)
}

func TestAPanicInATransactionLeavesTheStoreUsable(t *testing.T) {
	_, p := fresh(t)
	func() {
		defer func() { _ = recover() }()
		_ = p.Update(func(tx *store.Tx) error {
			_ = tx.Set(p, "a", nil)
			panic("a defect")
		})
	}()
	set(t, p, "b", "")
	wantKeys(t, p, "", "b")
}

func TestCompareAndSwap(t *testing.T) {
	_, p := fresh(t)
	steps := []struct {
		name     string
		old, new []byte
		want     bool
		then     string // what Get says; "-" for absent
	}{
		{"absent, another value expected", []byte("x"), []byte("y"), false, "-"},
		{"absent, an empty value expected", []byte{}, []byte("y"), false, "-"},
		{"absent as expected", nil, []byte("1"), true, "1"},
		{"there, expected absent", nil, []byte("2"), false, "1"},
		{"another value", []byte("2"), []byte("3"), false, "1"},
		{"the value", []byte("1"), []byte{}, true, ""},
		{"an empty value", []byte{}, []byte("4"), true, "4"},
		{"deletes another value", []byte("5"), nil, false, "4"},
		{"deletes the value", []byte("4"), nil, true, "-"},
		{"absent stays absent", nil, nil, true, "-"},
	}
	for _, c := range steps {
		got, err := p.CompareAndSwap("k", c.old, c.new)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		value, err := p.Get("k")
		if c.then == "-" && !fault.Is(err, fault.NotFound) || c.then != "-" && string(value) != c.then {
			t.Errorf("%s: now %q, %v", c.name, value, err)
		}
	}
}

func TestCompareAndSwapHammer(t *testing.T) {
	_, p := fresh(t)
	set(t, p, "n", "0")
	const workers, each = 8, 50
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done := 0; done < each; {
				old, err := p.Get("n")
				n, _ := strconv.Atoi(string(old))
				swapped, err2 := p.CompareAndSwap("n", old, []byte(strconv.Itoa(n+1)))
				if err := errors.Join(err, err2); err != nil {
					t.Error(err)
					return
				}
				if swapped {
					done++
				}
			}
		})
	}
	wg.Wait()
	wantValue(t, p, "n", strconv.Itoa(workers*each))
}

func TestClearIsAtomicForReaders(t *testing.T) {
	s, p := fresh(t)
	const n = 4000 // several transactions
	fill(t, p, "x/", n)
	set(t, p, "y", "stays")
	start, done := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			<-start
			for {
				keys, err := p.List("x/")
				if err != nil || len(keys) != 0 && len(keys) != n {
					t.Errorf("a reader saw %d keys, %v", len(keys), err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	close(start)
	got, err := p.Clear("x/")
	close(done)
	wg.Wait()
	if got != n || err != nil {
		t.Errorf("cleared %d, %v", got, err)
	}
	wantKeys(t, p, "", "y")
	wantUsage(t, p, 6)
	if got, err := p.Clear(""); got != 1 || err != nil {
		t.Errorf("cleared %d, %v", got, err)
	}
	if tally, err := s.Check(); err != nil || len(tally) != 0 {
		t.Errorf("left: %v, %v", tally, err)
	}
}

func TestSyncIsSharedAndBatches(t *testing.T) {
	s, p := fresh(t)
	q := storetest.Space(t, s, "synced", store.SpaceOptions{Sync: true})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 20 {
				set(t, q, fmt.Sprint(w, i), "v")
			}
		})
	}
	wg.Wait()
	set(t, p, "k", "v")
	if err := s.Sync(); err != nil {
		t.Error(err)
	}
	if keys, err := q.List(""); len(keys) != 160 || err != nil {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}
