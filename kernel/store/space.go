package store

import (
	"bytes"

	"github.com/dgraph-io/badger/v4"

	"astrid/kernel/fault"
)

// Quotas of SpaceOptions.
const (
	DefaultQuota int64 = 256 << 20
	Unlimited    int64 = -1
)

// SpaceOptions says how a Space writes. They bind that Space only: another one
// of the same namespace may have others.
type SpaceOptions struct {
	Sync  bool  // a write returns after it survives a power cut
	Quota int64 // bytes of keys and values; 0: DefaultQuota; Unlimited: none
}

// Space is one namespace of a Store. Its methods may be called from any goroutine.
type Space struct {
	store *Store
	ns    Namespace
	sync  bool
	quota int64
}

// Space opens a namespace; nothing is written.
func (s *Store) Space(ns Namespace, o SpaceOptions) (*Space, error) {
	if err := ns.check(); err != nil {
		return nil, err
	}
	switch {
	case o.Quota == 0:
		o.Quota = DefaultQuota
	case o.Quota < Unlimited:
		return nil, fault.New(fault.Usage, "a quota of %d bytes for %s: use a positive number", o.Quota, ns)
	}
	return &Space{store: s, ns: ns, sync: o.Sync, quota: o.Quota}, nil
}

// Namespace returns which one it is.
func (p *Space) Namespace() Namespace { return p.ns }

// view runs fn on a snapshot.
func (s *Store) view(fn func(*badger.Txn) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.lost(); err != nil {
		return err
	}
	s.snapshots.RLock()
	txn := s.db.NewTransaction(false)
	s.snapshots.RUnlock()
	defer txn.Discard()
	return fn(txn)
}

// Get returns a copy of the value of key; Kind NotFound when there is none.
func (p *Space) Get(key string) ([]byte, error) {
	h, err := p.read(key, true)
	if err != nil {
		return nil, err
	}
	if !h.live(p.store.now().UnixNano()) {
		return nil, p.missing(key)
	}
	return h.value, nil
}

// Exists tells whether key has a value.
func (p *Space) Exists(key string) (bool, error) {
	h, err := p.read(key, false)
	return h.live(p.store.now().UnixNano()), err
}

func (p *Space) read(key string, copied bool) (h held, err error) {
	if err := checkKey(key); err != nil {
		return held{}, err
	}
	err = p.store.view(func(txn *badger.Txn) error {
		h, err = lookup(txn, fullKey(p.ns, key), copied)
		return err
	})
	return h, err
}

func (p *Space) missing(key string) error {
	return fault.New(fault.NotFound, "%s has no key %q", p.ns, clip(key))
}

// Usage is the bytes of keys and values in the namespace.
func (p *Space) Usage() (n int64, err error) {
	err = p.store.view(func(txn *badger.Txn) error {
		n, err = readUsage(txn, p.ns)
		return err
	})
	return n, err
}

// walk calls fn for each pair whose key begins with prefix and comes after the
// key after, in the order of the keys. The item is valid during the call.
func walk(txn *badger.Txn, prefix, after []byte, fn func(*badger.Item) error) error {
	o := badger.DefaultIteratorOptions
	o.Prefix, o.PrefetchValues = prefix, false
	it := txn.NewIterator(o)
	defer it.Close()
	start := prefix
	if bytes.Compare(after, prefix) >= 0 {
		start = append(bytes.Clone(after), 0)
	}
	for it.Seek(start); it.ValidForPrefix(prefix); it.Next() {
		if err := fn(it.Item()); err != nil {
			return err
		}
	}
	return nil
}
