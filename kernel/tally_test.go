package kernel

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestATallyLetsAFewThroughAndCountsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTally(3, time.Minute)
		through, told := 0, make(chan int, 10)
		event := func() {
			if w.admit("a", func(n int) { told <- n }) {
				through++
			}
		}
		for range 10_000 {
			event()
		}
		if !w.admit("b", nil) {
			t.Error("another kind is not admitted")
		}
		if through != 3 || len(told) != 0 {
			t.Errorf("%d came through, told of %d", through, len(told))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for range 5 {
			event()
		}
		w.close()
		if a, b := <-told, <-told; through != 6 || a != 9997 || b != 2 {
			t.Errorf("%d came through, told of %d and %d", through, a, b)
		}
	})
}

func TestATallyTellsBoundedlyManyKindsApart(t *testing.T) {
	w := newTally(1, time.Hour)
	for i := range 10 * maxKinds {
		w.admit(string(rune(i)), func(int) {})
	}
	if len(w.kinds) > maxKinds+1 {
		t.Errorf("%d kinds", len(w.kinds))
	}
	w.close()
}
