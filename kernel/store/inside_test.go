package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"astrid/kernel/fault"
)

func open(t *testing.T, dir string, now func() time.Time) (*Store, *Space) {
	t.Helper()
	s, err := Open(dir, Config{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p, err := s.Space("test", SpaceOptions{Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func TestCheckFindsEveryDamage(t *testing.T) {
	s, p := open(t, t.TempDir(), nil)
	if err := errors.Join(p.Set("k", []byte("v")), p.SetTTL("brief", nil, time.Hour)); err != nil {
		t.Fatal(err)
	}
	h := held{}
	_ = s.view(func(txn *badger.Txn) (err error) { h, err = lookup(txn, fullKey("test", "brief"), false); return err })
	for name, damage := range map[string]struct {
		key string
		raw []byte // nil: deleted
	}{
		"a lost value":            {"test\x00k", nil},
		"a damaged value":         {"test\x00k", []byte{9}},
		"an empty value":          {"test\x00k", []byte{}},
		"a value of another size": {"test\x00k", []byte("\x01vv")},
		"a value out of nowhere":  {"other\x00k", []byte("\x01")},
		"a counter that lies":     {keyUsage + "test", make([]byte, 8)},
		"a counter too short":     {keyUsage + "test", make([]byte, 7)},
		"a counter of nothing":    {keyUsage + "none", []byte("\x01\x00\x00\x00\x00\x00\x00\x00")},
		"a lost index entry":      {string(expiryKey(h.expiry, fullKey("test", "brief"))), nil},
		"a false index entry":     {string(expiryKey(1, fullKey("test", "k"))), []byte{}},
		"a short index entry":     {keyExpiry + "1", []byte{}},
		"a strange key":           {"no separator", []byte("\x01")},
		"a mark left behind":      {keyClearing, []byte("test\x00")},
	} {
		if _, err := s.Check(); err != nil {
			t.Fatalf("before %s: %v", name, err)
		}
		var undo func(*badger.Txn) error
		err := s.db.Update(func(txn *badger.Txn) error {
			undo = func(txn *badger.Txn) error { return txn.Delete([]byte(damage.key)) }
			if item, err := txn.Get([]byte(damage.key)); err == nil {
				old, _ := item.ValueCopy(nil)
				undo = func(txn *badger.Txn) error { return txn.Set([]byte(damage.key), old) }
			}
			if damage.raw == nil {
				return txn.Delete([]byte(damage.key))
			}
			return txn.Set([]byte(damage.key), damage.raw)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Check(); !fault.Is(err, fault.Internal) {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.db.Update(undo); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAfterAFailedSyncNothingIsWritten(t *testing.T) {
	s, p := open(t, t.TempDir(), nil)
	if err := p.Set("before", nil); err != nil {
		t.Fatal(err)
	}
	broken, err := os.Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := broken.Close(); err != nil {
		t.Fatal(err)
	}
	s.files.dir = broken
	if err := p.Set("k", nil); err == nil {
		t.Error("acknowledged without a sync")
	}
	s.files.dir = s.lock
	for name, err := range map[string]error{"set": p.Set("l", nil), "sync": s.Sync()} {
		if !fault.Is(err, fault.Internal) || !errors.Is(err, *s.failure.Load()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if there, err := p.Exists("before"); !there || err != nil {
		t.Errorf("reading: %v, %v", there, err)
	}
}

func TestWhatACrashLeftHalfDoneIsEndedAtOpen(t *testing.T) {
	dir := t.TempDir()
	s, p := open(t, dir, nil)
	for i := range 10 {
		if err := p.Set(fmt.Sprintf("x%d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(p.Set("y", nil), s.setMark(keyClearing, "test\x00x"), s.Close()); err != nil {
		t.Fatal(err)
	}
	s, p = open(t, dir, nil)
	if keys, err := p.List(""); err != nil || len(keys) != 1 {
		t.Errorf("after a clear: %v, %v", keys, err)
	}
	if err := errors.Join(s.setMark(keyRestoring, ""), s.Close()); err != nil {
		t.Fatal(err)
	}
	s, p = open(t, dir, nil)
	if keys, err := p.List(""); err != nil || len(keys) != 0 {
		t.Errorf("after a restore: %v, %v", keys, err)
	}
	if _, err := s.Check(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(s.setMark(keyFormat, "astrid-store 2"), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Config{}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("a store of the future: %v", err)
	}
}

func TestTheSweepTakesAllThatIsPastItsTime(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s, p := open(t, t.TempDir(), func() time.Time { return now })
	err := p.Update(func(tx *Tx) error {
		for i := range 2500 {
			if err := tx.SetTTL(p, fmt.Sprint(i), nil, time.Second); err != nil {
				return err
			}
		}
		return tx.SetTTL(p, "later", nil, time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if err := s.sweep(); err != nil {
		t.Fatal(err)
	}
	if tally, err := s.Check(); err != nil || tally["test"].Keys != 1 {
		t.Errorf("%v, %v", tally, err)
	}
}

func TestOverwrittenValuesAreCollected(t *testing.T) {
	s, _ := open(t, t.TempDir(), nil)
	p, _ := s.Space("lazy", SpaceOptions{})
	big := bytes.Repeat([]byte("v"), 4<<20)
	for i := range 10 {
		if err := p.Set("k", append(big, byte(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Flatten(1); err != nil {
		t.Fatal(err)
	}
	s.collect()
	if got, err := p.Get("k"); err != nil || len(got) != len(big)+1 || got[len(big)] != 9 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := s.Check(); err != nil {
		t.Error(err)
	}
}

func TestSyncGoesOnWhereTheLastOneEnded(t *testing.T) {
	s, p := open(t, t.TempDir(), nil)
	for i := range 30 { // over several logs of values and of memtables
		if err := p.Set(fmt.Sprint(i), bytes.Repeat([]byte("v"), 3<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if newest := lastLog(s.files.names); newest <= "000002.vlog" {
		t.Errorf("the newest value log is %s", newest)
	}
	if lastLog(nil) != "" {
		t.Error("a log out of nowhere")
	}
}
