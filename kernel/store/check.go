package store

import (
	"bytes"
	"encoding/binary"
	"maps"

	"github.com/dgraph-io/badger/v4"

	"astrid/kernel/fault"
)

// Tally is what Check counted in one namespace, values past their time included.
type Tally struct {
	Keys  int
	Bytes int64 // of keys and values
}

// Check reads the whole store on one snapshot and counts anew: every key and
// value is well-formed, every usage counter is exact, every expiring value has
// its entry in the index and no other entry is there. The error, of Kind
// Internal, names the first thing that is wrong.
func (s *Store) Check() (map[Namespace]Tally, error) {
	c := checker{tallies: map[Namespace]Tally{}, usage: map[Namespace]int64{}}
	err := s.view(func(txn *badger.Txn) error {
		c.txn = txn
		return walk(txn, nil, nil, c.pair)
	})
	if err != nil {
		return nil, err
	}
	if c.indexed != c.expiring {
		return nil, fault.New(fault.Internal, "the store has %d expiring values and %d entries for them", c.expiring, c.indexed)
	}
	for ns, t := range c.tallies {
		if c.usage[ns] != t.Bytes {
			return nil, fault.New(fault.Internal, "%s holds %d bytes, its counter says %d", ns, t.Bytes, c.usage[ns])
		}
	}
	maps.DeleteFunc(c.usage, func(ns Namespace, _ int64) bool { _, there := c.tallies[ns]; return there })
	for ns, n := range c.usage {
		if n != 0 {
			return nil, fault.New(fault.Internal, "%s is empty, its counter says %d", ns, n)
		}
	}
	return c.tallies, nil
}

type checker struct {
	txn               *badger.Txn
	tallies           map[Namespace]Tally
	usage             map[Namespace]int64
	expiring, indexed int
}

func (c *checker) pair(item *badger.Item) error {
	key := item.Key()
	switch {
	case string(key) == keyFormat:
		return nil
	case bytes.HasPrefix(key, []byte(keyUsage)):
		return item.Value(func(raw []byte) error {
			if len(raw) != 8 {
				return fault.New(fault.Internal, "the usage counter %q is damaged", key)
			}
			c.usage[Namespace(key[len(keyUsage):])] = int64(binary.LittleEndian.Uint64(raw))
			return nil
		})
	case bytes.HasPrefix(key, []byte(keyExpiry)):
		return c.entry(key)
	}
	return c.value(item)
}

// entry checks one entry of the expiry index.
func (c *checker) entry(key []byte) error {
	expiry, full, ok := splitExpiryKey(key)
	if !ok {
		return fault.New(fault.Internal, "the expiry entry %q is damaged", key)
	}
	h, err := lookup(c.txn, full, false)
	if err == nil && (!h.there || h.expiry != expiry) {
		err = fault.New(fault.Internal, "the expiry entry of %q stands for no value", full)
	}
	c.indexed++
	return err
}

// value checks and counts one value.
func (c *checker) value(item *badger.Item) error {
	ns, key, ok := splitKey(item.Key())
	if !ok || ns.check() != nil || checkKey(key) != nil {
		return fault.New(fault.Internal, "the store holds the strange key %q", clip(string(item.Key())))
	}
	h, err := inspect(item, false)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the value of %q in %s", clip(key), ns)
	}
	if h.length > MaxValue {
		return fault.New(fault.Internal, "the value of %q in %s has %d bytes", clip(key), ns, h.length)
	}
	if h.expiry != 0 {
		c.expiring++
	}
	t := c.tallies[ns]
	t.Keys++
	t.Bytes += int64(len(key) + h.length)
	c.tallies[ns] = t
	return nil
}
