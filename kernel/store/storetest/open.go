package storetest

import (
	"testing"
	"time"

	"astrid/kernel/store"
)

// Open opens the store in dir until the test ends, or until the test closes it.
// now may be nil.
func Open(t testing.TB, dir string, now func() time.Time) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Config{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(t, s) })
	return s
}

// Close checks and closes s, unless it is closed.
func Close(t testing.TB, s *store.Store) {
	t.Helper()
	if _, err := s.Check(); err != nil && err.Error() != "the store is closed" {
		t.Errorf("the store is damaged: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Space opens a namespace of s.
func Space(t testing.TB, s *store.Store, ns store.Namespace, o store.SpaceOptions) *store.Space {
	t.Helper()
	p, err := s.Space(ns, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
