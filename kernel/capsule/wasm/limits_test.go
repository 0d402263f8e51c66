package wasm

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"astrid/kernel/fault"
)

// inBubble runs f with the guest in time that is simulated.
func inBubble(t *testing.T, c Config, f func(t *testing.T, b *bench)) {
	goGuest(t)
	engine(t)
	synctest.Test(t, func(t *testing.T) { f(t, compile(t, c, goGuest(t))) })
}

func TestADeadlineCountsTheGuestsTimeAndNoPersons(t *testing.T) {
	inBubble(t, Config{Timeout: 10 * time.Second}, func(t *testing.T, b *bench) {
		b.wait = func(_ context.Context, c *Call) error {
			<-time.After(6 * time.Second)
			outer, inner := c.Pause(), c.Pause()
			<-time.After(time.Hour)
			inner()
			inner()
			<-time.After(time.Hour)
			outer()
			<-time.After(3 * time.Second)
			return nil
		}
		b.want(t, "waits", "", "waited")
		b.want(t, "sleeps", "9s", "slept")
		b.wait = func(ctx context.Context, c *Call) error {
			<-time.After(6 * time.Second)
			resume := c.Pause()
			<-time.After(time.Hour)
			resume()
			<-ctx.Done()
			return ctx.Err()
		}
		err := b.wantEnded(t, "waits", "", Deadline, fault.Unavailable, "call waits: it took longer than 10s and was ended")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is no deadline to Go", err)
		}
		b.wantEnded(t, "sleeps", "11s", Deadline, fault.Unavailable, "")
	})
}

func TestWithoutADeadlineAGuestMayTakeItsTime(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, b *bench) {
		b.wait = func(_ context.Context, c *Call) error { c.Pause()(); return nil }
		b.want(t, "waits", "", "waited")
		b.want(t, "sleeps", "10h", "slept")
	})
}

func TestACallerMayGiveUp(t *testing.T) {
	inBubble(t, Config{Timeout: time.Hour}, func(t *testing.T, b *bench) {
		gone := errors.New("the client left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		_, err := b.Call(ctx, "sleeps", []byte("10m"))
		wantEnded(t, err, Cancelled, fault.Internal, "call sleeps: it was given up: the client left")
		if !errors.Is(err, gone) {
			t.Errorf("the cause is lost: %v", err)
		}
		late, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		_, err = b.Call(late, "sleeps", []byte("10m"))
		wantEnded(t, err, Cancelled, fault.Unavailable, "it was given up")
		b.want(t, "echo", "on", "on")
	})
}

func TestACallWithinACallDoesNotTakeItsEndForItsOwn(t *testing.T) {
	inBubble(t, Config{Timeout: 10 * time.Second}, func(t *testing.T, b *bench) {
		inner := compile(t, Config{Timeout: time.Hour}, goGuest(t))
		var err error
		b.wait = func(ctx context.Context, _ *Call) error {
			_, err = inner.Call(ctx, "sleeps", []byte("10m"))
			return err
		}
		b.wantEnded(t, "waits", "", Deadline, fault.Unavailable, "call waits: it took longer than 10s")
		wantEnded(t, err, Cancelled, fault.Unavailable, "call sleeps: it was given up")
	})
}

func TestIdleInstancesAreDropped(t *testing.T) {
	inBubble(t, Config{Idle: time.Minute}, func(t *testing.T, b *bench) {
		b.want(t, "count", "", "1")
		<-time.After(50 * time.Second)
		b.want(t, "count", "", "2")
		<-time.After(50 * time.Second)
		b.want(t, "count", "", "3")
		<-time.After(61 * time.Second)
		if s := b.Stats(); s.Idle != 0 {
			t.Errorf("%+v", s)
		}
		b.want(t, "count", "", "1")
		if s := b.Stats(); s.Made != 2 || s.Lost != 0 || s.Idle != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestABudgetOfTheProcessorIsTheGuestsOwn(t *testing.T) {
	b := compile(t, Config{CPU: time.Second}, goGuest(t))
	b.wait = func(context.Context, *Call) error { // uses more than the budget, but not as the guest
		now, release := threadClock()
		defer release()
		for began := now(); now()-began < 3*time.Second/2; {
		}
		return nil
	}
	b.want(t, "waits", "", "waited")
	err := b.wantEnded(t, "spins", "", CPU, fault.Limit, "it used the processor for longer than 1s")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	b.wantEnded(t, "floods_host", "", CPU, fault.Limit, "")
	b.want(t, "echo", "on", "on")
}

func TestAStopwatchRingsOnceWhenItsTimeHasRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rung atomic.Int32
		w := startWatch(10*time.Second, wallClock(), func() { rung.Add(1) })
		<-time.After(4 * time.Second)
		w.pause()
		w.pause()
		<-time.After(time.Hour)
		w.resume()
		<-time.After(time.Hour)
		w.resume()
		<-time.After(5 * time.Second)
		if rung.Load() != 0 {
			t.Fatal("it rang early")
		}
		<-time.After(2 * time.Second)
		w.pause()
		w.resume()
		<-time.After(time.Hour)
		if rung.Load() != 1 {
			t.Errorf("it rang %d times", rung.Load())
		}
		w.stop()
		w = startWatch(time.Second, wallClock(), func() { rung.Add(1) })
		w.stop()
		w.pause()
		w.resume()
		<-time.After(time.Hour)
		if rung.Load() != 1 {
			t.Error("it rang after it was stopped")
		}
	})
}
