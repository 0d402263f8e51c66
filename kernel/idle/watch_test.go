package idle

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// end runs a Watch and returns how long after the boot it ended, 0 when it had
// not after a day.
func end(t *testing.T, c Config) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
	defer cancel()
	began := time.Now()
	if !New(c).Run(ctx) {
		return 0
	}
	return time.Since(began)
}

func nothing() []string { return nil }

func retire(context.Context) error { return nil }

func TestAnIdleKernelEndsAfterGraceAndTimeout(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		300 * time.Second: 345 * time.Second, // as 0.2 does
		0:                 45 * time.Second,
		-1:                0,
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := end(t, Config{Timeout: timeout, Needs: nothing, Retire: retire}); got != want {
				t.Errorf("with %v it ends after %v, and should after %v", timeout, got, want)
			}
		})
	}
}

func TestANeedBeginsTheIdlenessAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		needs := func() []string {
			if since := time.Since(began); since > 100*time.Second && since < 110*time.Second {
				return []string{"a client"}
			}
			return nil
		}
		if got := end(t, Config{Timeout: 90 * time.Second, Needs: needs, Retire: retire}); got != 210*time.Second {
			t.Errorf("ended after %v", got)
		}
	})
}

func TestWhoRefusesIsAskedAgainEverLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		w := New(Config{Timeout: time.Minute, Needs: nothing, Retire: func(context.Context) error {
			tries.Add(1)
			return errors.New("vi works in hello")
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		w.Run(ctx)
		if n := tries.Load(); n < 24 || n > 32 {
			t.Errorf("%d tries in a day", n)
		}
		if why := strings.Join(w.Why(), ""); why != "vi works in hello" {
			t.Errorf("why: %q", why)
		}
	})
}

func TestWhyItIsStillUp(t *testing.T) {
	w := New(Config{Timeout: -1, Needs: nothing})
	if why := w.Why(); len(why) != 1 || why[0] != "it is configured to stay" {
		t.Errorf("%q", why)
	}
	w = New(Config{Needs: func() []string { return []string{"2 clients"} }})
	if why := w.Why(); len(why) != 1 || why[0] != "2 clients" {
		t.Errorf("%q", why)
	}
}
