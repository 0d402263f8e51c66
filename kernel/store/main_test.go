package store_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir, os.Getenv(childPart)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fresh is a store in a new directory with one space.
func fresh(t *testing.T) (*store.Store, *store.Space) {
	t.Helper()
	s := storetest.Open(t, t.TempDir(), nil)
	return s, storetest.Space(t, s, "test", store.SpaceOptions{})
}

func set(t testing.TB, p *store.Space, key, value string) {
	t.Helper()
	if err := p.Set(key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t *testing.T, p *store.Space, key, want string) {
	t.Helper()
	if got, err := p.Get(key); err != nil || string(got) != want {
		t.Errorf("%s is %.40q, %v, want %.40q", key, got, err, want)
	}
}

func wantKeys(t *testing.T, p *store.Space, prefix, want string) {
	t.Helper()
	if keys, err := p.List(prefix); err != nil || strings.Join(keys, " ") != want {
		t.Errorf("below %q there is %v, %v, want %s", prefix, keys, err, want)
	}
}

func wantKind(t *testing.T, err error, k fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, k) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %s about %q", err, k.Code(), text)
	}
}

func wantUsage(t *testing.T, p *store.Space, want int64) {
	t.Helper()
	if got, err := p.Usage(); err != nil || got != want {
		t.Errorf("the usage is %d, %v, want %d", got, err, want)
	}
}

func pattern(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n] }
