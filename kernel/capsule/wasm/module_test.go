package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"astrid/kernel/fault"
)

func TestCallsShareABoundedPool(t *testing.T) {
	inBubble(t, Config{MaxInstances: 2}, func(t *testing.T, b *bench) {
		var inside, most atomic.Int32
		b.wait = func(context.Context, *Call) error {
			most.Store(max(most.Load(), inside.Add(1)))
			<-time.After(time.Minute)
			inside.Add(-1)
			return nil
		}
		var calls sync.WaitGroup
		for range 6 {
			calls.Go(func() { b.want(t, "waits", "", "waited") })
		}
		synctest.Wait()
		if s := b.Stats(); s.Busy != 6 || s.Made != 2 {
			t.Errorf("%+v", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.Call(ctx, "waits", nil)
		wantEnded(t, err, Cancelled, fault.Unavailable, "call waits: it was given up")
		calls.Wait()
		if s := b.Stats(); most.Load() != 2 || s.Made != 2 || s.Idle != 2 || s.Calls != 7 || s.Lost != 0 {
			t.Errorf("%d at a time, %+v", most.Load(), s)
		}
	})
}

func TestCloseWaitsForCallsAndThenEndsThem(t *testing.T) {
	inBubble(t, Config{MaxInstances: 4}, func(t *testing.T, b *bench) {
		var results [2]error
		var calls sync.WaitGroup
		for i, d := range []string{"30s", "10m"} {
			calls.Go(func() { _, results[i] = b.Call(t.Context(), "sleeps", []byte(d)) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var closes sync.WaitGroup
		for range 2 {
			closes.Go(func() {
				if err := b.Close(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		_, err := b.Call(t.Context(), "echo", nil)
		wantEnded(t, err, Closed, fault.Unavailable, "call echo: the capsule is being unloaded")
		closes.Wait()
		calls.Wait()
		if results[0] != nil {
			t.Error(results[0])
		}
		wantEnded(t, results[1], Closed, fault.Unavailable, "call sleeps: the capsule is being unloaded")
	})
}

// turns makes run go on until it has had n of them.
func turns(n int, each func(ctx context.Context)) []Func {
	b := &bench{wait: func(context.Context, *Call) error { return nil }}
	all, had := b.functions(), 0
	all[0].Call = func(ctx context.Context, _ *Call, _ [][]byte) ([]byte, int64, error) {
		each(ctx)
		if had++; had > n {
			return []byte("x"), 0, nil
		}
		return []byte("next"), 0, nil
	}
	return all
}

func TestARunHasAnInstanceOfItsOwn(t *testing.T) {
	var b *bench
	b = compile(t, Config{Timeout: time.Minute, Functions: turns(100, func(context.Context) {
		wantKind(t, b.Run(t.Context()), fault.Busy, "it runs already")
		b.want(t, "upper", "while it runs", "WHILE IT RUNS")
	})}, goGuest(t))
	for range 2 {
		if err := b.Run(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if s := b.Stats(); s.Made != 3 || s.Lost != 0 || s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

func TestARunEndsWithItsContextAndItsModule(t *testing.T) {
	inBubble(t, Config{Timeout: time.Second, Functions: turns(1<<30, func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Hour):
		}
	})}, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Hour, cancel)
		wantEnded(t, b.Run(ctx), Cancelled, fault.Interrupted, "call run: it was given up")

		ended := make(chan error)
		go func() { ended <- b.Run(t.Context()) }()
		synctest.Wait()
		go func() {
			if err := b.Close(t.Context()); err != nil { // would wait for calls, but not for a run
				t.Error(err)
			}
		}()
		wantEnded(t, <-ended, Closed, fault.Unavailable, "call run: the capsule is being unloaded")
		wantEnded(t, b.Run(t.Context()), Closed, fault.Unavailable, "unloaded")
	})
}

func TestCallsOfAllSortsHammer(t *testing.T) {
	b := compile(t, Config{MaxInstances: 3, Timeout: time.Minute}, goGuest(t))
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for n := range 40 {
				text := fmt.Sprintf("%d.%d", w, n)
				switch n % 5 {
				case 0:
					b.want(t, "joined", text+" "+text, text+text)
				case 1:
					b.wantEnded(t, "joined", "fail x", Host, fault.NotFound, errHost.Error())
				case 2:
					_, err := b.Call(t.Context(), "fail", []byte(text))
					var guest *GuestError
					if !errors.As(err, &guest) || guest.Text != text {
						t.Error(err)
					}
				case 3:
					ctx, cancel := context.WithCancel(t.Context())
					go cancel() // at any moment
					out, err := b.Call(ctx, "echo", []byte(text))
					if err == nil && string(out) != text || err != nil && !fault.Is(err, fault.Interrupted) {
						t.Errorf("%q, %v", out, err)
					}
				default:
					b.want(t, "echo", strings.Repeat(text, 1000), strings.Repeat(text, 1000))
				}
			}
		})
	}
	workers.Wait()
	if s := b.Stats(); s.Calls != 160 || s.Idle > 3 || s.Made != s.Lost+uint64(s.Idle) {
		t.Errorf("%+v", s)
	}
}
