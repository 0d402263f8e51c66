package store_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

// furnished is a backup of a store with all sorts of values.
func furnished(t testing.TB, c *clock) []byte {
	t.Helper()
	s := storetest.Open(t, t.TempDir(), c.Now)
	p := storetest.Space(t, s, "test", store.SpaceOptions{})
	fill(t, p, "many/", 1200)
	set(t, p, "empty", "")
	set(t, storetest.Space(t, s, "other", store.SpaceOptions{}), "k", "v")
	if err := p.Set("big", pattern(2<<20)); err != nil {
		t.Fatal(err)
	}
	if err := p.SetTTL("brief", []byte("x"), time.Hour); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Backup(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestABackupBringsEverythingBack(t *testing.T) {
	c := newClock()
	backup := furnished(t, c)
	dir := t.TempDir()
	s := storetest.Open(t, dir, c.Now)
	if err := s.Restore(bytes.NewReader(backup)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.Restore(bytes.NewReader(backup)), fault.Exists, "is not empty")
	var again bytes.Buffer
	if err := s.Backup(&again); err != nil || !bytes.Equal(again.Bytes(), backup) {
		t.Errorf("a backup of what was restored differs, %v", err)
	}
	storetest.Close(t, s)
	s = storetest.Open(t, dir, c.Now)
	p := storetest.Space(t, s, "test", store.SpaceOptions{})
	wantValue(t, p, "big", string(pattern(2<<20)))
	wantValue(t, p, "brief", "x")
	c.advance(time.Hour)
	_, err := p.Get("brief")
	wantKind(t, err, fault.NotFound, "")
}

func TestADamagedBackupLeavesTheStoreEmpty(t *testing.T) {
	c := newClock()
	backup := furnished(t, c)
	s := storetest.Open(t, t.TempDir(), c.Now)
	damage := func(at int) []byte {
		b := slices.Clone(backup)
		b[at] ^= 1
		return b
	}
	for name, bad := range map[string][]byte{
		"nothing":           nil,
		"another file":      []byte("#!/bin/sh\nexit 0\n"),
		"a wrong magic":     damage(3),
		"a length":          damage(10),
		"a key":             damage(20),
		"a value":           damage(1 << 20),
		"the count":         damage(len(backup) - 40),
		"the checksum":      damage(len(backup) - 1),
		"no checksum":       backup[:len(backup)-32],
		"half":              backup[:len(backup)/2],
		"one byte short":    backup[:len(backup)-1],
		"a length too long": append([]byte("ASTRIDB1"), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
	} {
		if err := s.Restore(bytes.NewReader(bad)); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %v", name, err)
		}
		if tally, err := s.Check(); err != nil || len(tally) != 0 {
			t.Errorf("%s: left %v, %v", name, tally, err)
		}
	}
	if err := s.Restore(bytes.NewReader(backup)); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte("ASTRIDB1"))
	f.Add([]byte("ASTRIDB1\x03\x00\x00\x00\x02\x00\x00\x00a\x00b\x01v"))
	s := storetest.Open(f, f.TempDir(), nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := s.Restore(bytes.NewReader(data)); err == nil {
			t.Skip("a whole backup")
		}
		if tally, err := s.Check(); err != nil || len(tally) != 0 {
			t.Errorf("left %v, %v", tally, err)
		}
	})
}
