package audit

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"strings"
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

// testKey is the key of the golden vectors: the seed 00 01 … 1f, each byte
// moved by shift.
func testKey(shift byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(i) + shift
	}
	return ed25519.NewKeyFromSeed(seed)
}

// bench is a log in a directory.
type bench struct {
	t     testing.TB
	dir   string
	store *store.Store
	log   *Log

	max      int64
	archives string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	b.open()
	t.Cleanup(b.close)
	return b
}

func (b *bench) open() {
	b.t.Helper()
	if err := b.tryOpen(testKey(0), Refuse); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) tryOpen(key ed25519.PrivateKey, on OnBroken) (err error) {
	b.t.Helper()
	b.openStore()
	b.log, err = Open(Config{Store: b.store, Key: key, OnBroken: on, MaxBytes: b.max, Archives: b.archives})
	return err
}

func (b *bench) openStore() {
	b.t.Helper()
	if b.store == nil {
		s, err := store.Open(b.dir, store.Config{})
		if err != nil {
			b.t.Fatal(err)
		}
		b.store = s
	}
}

// close verifies and closes what is open.
func (b *bench) close() {
	b.t.Helper()
	if b.log != nil {
		if err := b.log.Close(context.Background()); err != nil {
			b.t.Error(err)
		}
		wantWhole(b.t, b.log)
		b.log = nil
	}
	b.closeStore()
}

func (b *bench) closeStore() {
	b.t.Helper()
	if b.store != nil {
		storetest.Close(b.t, b.store)
		b.store = nil
	}
}

func wantWhole(t testing.TB, l *Log) Report {
	t.Helper()
	r, err := l.Verify(context.Background(), 0)
	if err != nil || r.Bad != nil || uint64(r.Records) != r.To {
		t.Errorf("%+v, %v: %v", r, err, r.Err())
	}
	return r
}

func wantKind(t *testing.T, err error, k fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, k) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %s about %q", err, k.Code(), text)
	}
}

// example is a record that tells its number.
func example(n int) Record {
	return Record{
		Session: "hello", Principal: "owner", Door: "socket", PID: 42,
		Action:        Action{Op, Fields{"method": fmt.Sprintf("op%d", n), "session": "hello"}},
		Authorization: Authorization{User, Fields{"user_id": "owner"}},
		Outcome:       Outcome{Success: true},
	}
}

func (b *bench) append(from, to int) {
	b.t.Helper()
	for n := from; n < to; n++ {
		if err := b.log.Append(context.Background(), example(n)); err != nil {
			b.t.Fatal(err)
		}
	}
}

func at(second int64) time.Time { return time.Unix(second, 0).UTC() }
