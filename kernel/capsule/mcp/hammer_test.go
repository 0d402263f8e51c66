package mcp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"astrid/kernel/fault"
)

// TestSessionsThatComeGoAndDieNeverRunTooManyPrograms is a hammer: whatever
// sessions do at a time, calls answer or fail with a known kind, a session never
// has two programs, and there are never more than MaxPrograms.
func TestSessionsThatComeGoAndDieNeverRunTooManyPrograms(t *testing.T) {
	w := newWorld(t, "good", Config{Idle: 20 * time.Millisecond})
	launch := w.config.Launch
	var mu sync.Mutex
	running := map[string]bool{}
	w.config.Launch = func(ctx context.Context, session string, stdin, stdout, stderr *os.File) error {
		mu.Lock()
		if running[session] || len(running) >= MaxPrograms {
			t.Errorf("%q is started beside %v", session, running)
		}
		running[session] = true
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			delete(running, session)
		}()
		return launch(ctx, session, stdin, stdout, stderr)
	}
	var callers sync.WaitGroup
	for seed := range uint64(12) {
		callers.Go(func() { w.roam(rand.New(rand.NewPCG(seed, 1))) })
	}
	callers.Wait()
}

// roam does this and that in one session after the other.
func (w *world) roam(dice *rand.Rand) {
	for range 12 {
		session := fmt.Sprint(dice.IntN(12))
		var err error
		switch dice.IntN(6) {
		case 0:
			err = w.EndSession(w.Context(), session)
		case 1:
			_, err = w.Call(w.Context(), session, "die", nil)
		case 2:
			ctx, cancel := context.WithCancel(w.Context())
			cancel()
			_, err = w.Call(ctx, session, "echo", nil)
		default:
			_, err = w.Call(w.Context(), session, "echo", nil)
		}
		switch kind := fault.KindOf(err); {
		case err == nil, kind == fault.Unavailable, kind == fault.Limit, kind == fault.Interrupted:
		default:
			w.Error(err)
		}
		w.pass(time.Minute)
	}
}
