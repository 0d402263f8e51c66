package store

import (
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"

	"astrid/kernel/fault"
)

const (
	sweepEvery   = time.Minute
	collectEvery = 10 * time.Minute

	// discardRatio is how much of a value log must be garbage to rewrite it.
	discardRatio = 0.5
)

// keep sweeps and collects until the store closes.
func (s *Store) keep() {
	sweep, collect := time.NewTicker(sweepEvery), time.NewTicker(collectEvery)
	defer sweep.Stop()
	defer collect.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-sweep.C:
			if err := s.sweep(); err != nil && !fault.Is(err, fault.Unavailable) {
				s.log.Warn("sweep the store", "store", s.dir, "err", err)
			}
		case <-collect.C:
			s.collect()
		}
	}
}

// sweep removes every value that is past its time.
func (s *Store) sweep() error {
	for n := 1; n > 0; {
		err := s.update(func(tx *Tx) (err error) {
			n, err = tx.sweep()
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep removes the first values that are past their time, at most batchKeys.
func (tx *Tx) sweep() (n int, err error) {
	var past [][]byte
	size := 0
	err = walk(tx.txn, []byte(keyExpiry), nil, func(item *badger.Item) error {
		expiry, full, ok := splitExpiryKey(item.KeyCopy(nil))
		if !ok || expiry > tx.now || len(past) == batchKeys || size > batchBytes {
			return Stop
		}
		size += len(full)
		past = append(past, full)
		return nil
	})
	if err != nil && !errors.Is(err, Stop) {
		return 0, err
	}
	for _, full := range past {
		h, err := lookup(tx.txn, full, false)
		if err != nil {
			return 0, err
		}
		if err := tx.drop(full, h); err != nil {
			return 0, err
		}
	}
	return len(past), nil
}

// collect gives the space of overwritten values back.
func (s *Store) collect() {
	for s.failed() == nil {
		err := s.db.RunValueLogGC(discardRatio)
		if err == nil {
			continue
		}
		if !errors.Is(err, badger.ErrNoRewrite) && !errors.Is(err, badger.ErrRejected) {
			s.log.Warn("collect the value log", "store", s.dir, "err", err)
		}
		return
	}
}
