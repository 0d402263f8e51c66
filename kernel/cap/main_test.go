package cap

import (
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
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// testKey is the key of the golden vectors, each byte of its seed moved by shift.
func testKey(shift byte) Key {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(i) + shift
	}
	return NewKey(seed)
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

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

// bench is a Store and Allowances over a directory.
type bench struct {
	t      testing.TB
	dir    string
	clock  *clock
	config Config
	state  *store.Store
	tokens *Store
	allow  *Allowances
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), clock: &clock{now: time.Unix(1_773_532_800, 0)}, config: Config{Key: testKey(0)}}
	b.open()
	return b
}

func (b *bench) open() {
	b.t.Helper()
	b.state = storetest.Open(b.t, b.dir, b.clock.Now)
	space := func(ns store.Namespace) *store.Space {
		return storetest.Space(b.t, b.state, ns, store.SpaceOptions{Sync: true})
	}
	c := b.config
	c.Now, c.Tokens, c.Revoked, c.Used = b.clock.Now, space(store.CapTokens), space(store.CapRevoked), space(store.CapUsed)
	var err error
	if b.tokens, err = Open(c); err != nil {
		b.t.Fatal(err)
	}
	if b.allow, err = OpenAllowances(AllowanceConfig{Space: space(store.Allowances), Key: c.Key, Now: b.clock.Now}); err != nil {
		b.t.Fatal(err)
	}
	b.config = c
}

func (b *bench) restart() {
	b.t.Helper()
	storetest.Close(b.t, b.state)
	b.open()
}

func (b *bench) mint(g Grant) Token {
	b.t.Helper()
	t, err := b.tokens.Mint(g)
	if err != nil {
		b.t.Fatal(err)
	}
	return t
}

func wantKind(t *testing.T, err error, k fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, k) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %s about %q", err, k.Code(), text)
	}
}

// alice is the user of most tests.
func alice() UserID { return testKey(1).Public().User() }

// grant is one for alice.
func grant(resource string, permissions ...Permission) Grant {
	if len(permissions) == 0 {
		permissions = []Permission{Read}
	}
	return Grant{User: alice(), Resource: resource, Permissions: permissions}
}
