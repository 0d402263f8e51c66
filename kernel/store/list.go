package store

import (
	"errors"

	"github.com/dgraph-io/badger/v4"

	"astrid/kernel/fault"
)

// Bounds of what is listed at once.
const (
	MaxList      = 10_000   // keys that List returns
	MaxPage      = 1_000    // items of a page
	MaxPageBytes = 16 << 20 // keys and values of a page; one item may exceed it
)

// Item is a key with its value.
type Item struct {
	Key   string
	Value []byte
}

// stop is an error that ends an iteration without being one.
type stop string

// Stop may be returned by the function given to Each to end it; Each returns nil.
const Stop stop = "stop"

// Error makes a stop an error.
func (s stop) Error() string { return string(s) }

// Each calls fn for each key that begins with prefix, in order, on one
// snapshot, with a value that fn may keep. fn may use the store. The first
// error of fn ends it and is returned.
func (p *Space) Each(prefix string, fn func(key string, value []byte) error) error {
	return p.EachAfter(prefix, "", fn)
}

// EachAfter is Each for the keys that come after the key after, which need not exist.
func (p *Space) EachAfter(prefix, after string, fn func(key string, value []byte) error) error {
	return p.each(prefix, after, true, func(key string, h held) error { return fn(key, h.value) })
}

func (p *Space) each(prefix, after string, copied bool, fn func(string, held) error) error {
	if err := errors.Join(checkPrefix(prefix), checkPrefix(after)); err != nil {
		return err
	}
	now := p.store.now().UnixNano()
	err := p.store.view(func(txn *badger.Txn) error {
		return walk(txn, fullKey(p.ns, prefix), fullKey(p.ns, after), func(item *badger.Item) error {
			h, err := inspect(item, copied)
			if err != nil || !h.live(now) {
				return err
			}
			return fn(string(item.Key()[len(p.ns)+1:]), h)
		})
	})
	if errors.Is(err, Stop) {
		return nil
	}
	return err
}

// List returns the keys that begin with prefix, sorted. More than MaxList of
// them are an error of Kind Limit: use Page or Each.
func (p *Space) List(prefix string) ([]string, error) {
	var keys []string
	err := p.each(prefix, "", false, func(key string, _ held) error {
		if len(keys) == MaxList {
			return p.tooMany(prefix)
		}
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

func (p *Space) tooMany(prefix string) error {
	return fault.New(fault.Limit, "%s has more than %d keys below %q: read them in pages", p.ns, MaxList, clip(prefix))
}

// Page returns up to limit items whose keys begin with prefix and come after
// the key after; more tells whether others follow. A limit outside 1 … MaxPage
// means MaxPage; a page ends early at MaxPageBytes.
func (p *Space) Page(prefix, after string, limit int) (items []Item, more bool, err error) {
	if limit < 1 || limit > MaxPage {
		limit = MaxPage
	}
	size := 0
	err = p.each(prefix, after, true, func(key string, h held) error {
		size += len(key) + len(h.value)
		if len(items) == limit || len(items) > 0 && size > MaxPageBytes {
			more = true
			return Stop
		}
		items = append(items, Item{Key: key, Value: h.value})
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return items, more, nil
}
