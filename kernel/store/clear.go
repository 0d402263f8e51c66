package store

import (
	"errors"

	"github.com/dgraph-io/badger/v4"

	"astrid/kernel/fault"
)

// What one transaction of Clear, a sweep or Restore takes.
const (
	batchKeys  = 1_000
	batchBytes = 256 << 10 // of keys
)

// errMore aborts a transaction that was not enough.
const errMore stop = "more than one transaction"

// Clear removes every key that begins with prefix, of the whole namespace when
// it is empty, and tells how many had a value. Readers see all of it or nothing,
// also after a crash: when it takes several transactions, they wait.
func (p *Space) Clear(prefix string) (n int, err error) {
	if err := checkPrefix(prefix); err != nil {
		return 0, err
	}
	target := fullKey(p.ns, prefix)
	err = p.Update(func(tx *Tx) (err error) {
		more := false
		if n, more, err = tx.clearSome(target); err == nil && more {
			err = errMore
		}
		tx.sync = tx.sync || p.sync
		return err
	})
	if errors.Is(err, errMore) {
		return p.clearMany(target)
	}
	return n, err
}

func (p *Space) clearMany(target []byte) (n int, err error) {
	s := p.store
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	n, err = s.clearRest(target)
	if err != nil || !p.sync {
		return n, err
	}
	return n, s.flush()
}

// clearRest removes what begins with target under the mark that makes the next
// Open go on with it. A failure in the middle fails the store.
func (s *Store) clearRest(target []byte) (n int, err error) {
	s.write.Lock()
	defer s.write.Unlock()
	s.snapshots.Lock()
	defer s.snapshots.Unlock()
	for more := true; more; {
		_, err = s.transact(func(tx *Tx) error {
			some := 0
			if some, more, err = tx.clearSome(target); err != nil {
				return err
			}
			n += some
			if more {
				return tx.setRaw([]byte(keyClearing), target)
			}
			return tx.deleteRaw([]byte(keyClearing))
		})
		if err != nil {
			return 0, s.fail(fault.Wrap(fault.KindOf(err), err, "clear %d keys and more", n))
		}
	}
	return n, nil
}

// clearSome removes a batch of what begins with target.
func (tx *Tx) clearSome(target []byte) (n int, more bool, err error) {
	batch, more, err := tx.batch(target)
	for i := 0; i < len(batch) && err == nil; i++ {
		if batch[i].held.live(tx.now) {
			n++
		}
		err = tx.drop(batch[i].full, batch[i].held)
	}
	return n, more, err
}

type pair struct {
	full []byte
	held held
}

// batch returns the first pairs below prefix, without their values.
func (tx *Tx) batch(prefix []byte) (batch []pair, more bool, err error) {
	size := 0
	err = walk(tx.txn, prefix, nil, func(item *badger.Item) error {
		if len(batch) == batchKeys || size > batchBytes {
			more = true
			return Stop
		}
		h, err := inspect(item, false)
		batch = append(batch, pair{full: item.KeyCopy(nil), held: h})
		size += len(item.Key())
		return err
	})
	if errors.Is(err, Stop) {
		err = nil
	}
	return batch, more, err
}
