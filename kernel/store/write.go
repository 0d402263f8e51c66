package store

import (
	"bytes"
	"time"

	"astrid/kernel/fault"
)

// Set gives key a value that stays. A value longer than MaxValue is an error of
// Kind Limit, one that the quota has no room for of Kind NoSpace.
func (p *Space) Set(key string, value []byte) error {
	return p.Update(func(tx *Tx) error { return tx.Set(p, key, value) })
}

// SetTTL gives key a value that is absent from ttl on, which must be positive.
func (p *Space) SetTTL(key string, value []byte, ttl time.Duration) error {
	return p.Update(func(tx *Tx) error { return tx.SetTTL(p, key, value, ttl) })
}

// Delete removes key and tells whether it had a value.
func (p *Space) Delete(key string) (existed bool, err error) {
	err = p.Update(func(tx *Tx) error {
		existed, err = tx.Delete(p, key)
		return err
	})
	return existed && err == nil, err
}

// CompareAndSwap gives key the value new if it has the value old, and tells
// whether it did. A nil old means that key must be absent, a nil new deletes it;
// an empty value is not nil. The new value stays.
func (p *Space) CompareAndSwap(key string, old, new []byte) (swapped bool, err error) {
	err = p.Update(func(tx *Tx) error {
		swapped = false
		now, err := tx.Get(p, key)
		there := err == nil
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if there != (old != nil) || !bytes.Equal(now, old) {
			return nil
		}
		swapped = true
		if new != nil {
			return tx.Set(p, key, new)
		}
		_, err = tx.Delete(p, key)
		return err
	})
	return swapped && err == nil, err
}
