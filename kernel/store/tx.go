package store

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

const (
	// MaxTxBytes bounds the keys and values written in one transaction. Badger
	// bounds their number: some thousands of small ones, 90 of the worst.
	MaxTxBytes = 32 << 20

	// ReserveBytes is what the disk must have free before the store grows.
	ReserveBytes = 64 << 20
)

// Tx is one transaction, valid inside the function that Update was given and
// only on its goroutine. It reads what it wrote. Spaces of other stores must not
// be given to it.
type Tx struct {
	store   *Store
	txn     *badger.Txn
	now     int64
	used    map[Namespace]int64 // the counters of the namespaces written to
	changes []change
	bytes   int
	sync    bool
}

// Update runs fn in a transaction over p and any other spaces of its store, and
// commits unless fn returns an error, which is returned as it is. No other write
// runs meanwhile, so fn is called once and must be short. More writes than a
// transaction holds are an error of Kind Limit.
func (p *Space) Update(fn func(*Tx) error) error { return p.store.update(fn) }

func (s *Store) update(fn func(*Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	sync, err := s.alone(fn)
	if err != nil || !sync {
		return err
	}
	return s.flush()
}

func (s *Store) alone(fn func(*Tx) error) (sync bool, err error) {
	s.write.Lock()
	defer s.write.Unlock()
	return s.transact(fn)
}

// transact commits what fn writes; sync tells whether it must be synced.
//
// Preconditions: s.write is held.
func (s *Store) transact(fn func(*Tx) error) (sync bool, err error) {
	if err := s.failed(); err != nil {
		return false, err
	}
	tx := &Tx{store: s, txn: s.db.NewTransaction(true), now: s.now().UnixNano(), used: map[Namespace]int64{}}
	defer tx.txn.Discard()
	if err := fn(tx); err != nil {
		return false, err
	}
	if err := tx.commit(); err != nil {
		return false, err
	}
	s.hub.publish(tx.changes)
	return tx.sync, nil
}

func (tx *Tx) commit() error {
	for ns, n := range tx.used {
		if err := tx.setRaw(usageKey(ns), binary.LittleEndian.AppendUint64(nil, uint64(n))); err != nil {
			return err
		}
	}
	tx.store.spare.lend()
	err := tx.txn.Commit()
	tx.store.spare.restore()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, badger.ErrTxnTooBig):
		return tooBig()
	}
	return tx.store.broken(fault.Wrap(fault.KindOf(err), err, "commit to the store %s", tx.store.dir))
}

func tooBig() error {
	return fault.New(fault.Limit, "more writes than one transaction of the store holds: use several")
}

// Get is Space.Get inside the transaction.
func (tx *Tx) Get(p *Space, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	h, err := lookup(tx.txn, fullKey(p.ns, key), true)
	if err != nil {
		return nil, err
	}
	if !h.live(tx.now) {
		return nil, p.missing(key)
	}
	return h.value, nil
}

// List is Space.List inside the transaction.
func (tx *Tx) List(p *Space, prefix string) (keys []string, err error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	err = walk(tx.txn, fullKey(p.ns, prefix), nil, func(item *badger.Item) error {
		h, err := inspect(item, false)
		if err != nil || !h.live(tx.now) {
			return err
		}
		if len(keys) == MaxList {
			return p.tooMany(prefix)
		}
		keys = append(keys, string(item.Key()[len(p.ns)+1:]))
		return nil
	})
	return keys, err
}

// Set gives key a value that stays.
func (tx *Tx) Set(p *Space, key string, value []byte) error { return tx.put(p, key, value, 0) }

// SetTTL gives key a value that is absent from ttl on, which must be positive.
func (tx *Tx) SetTTL(p *Space, key string, value []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return fault.New(fault.Usage, "a value that lives for %v: use a positive time", ttl)
	}
	expiry := tx.now + int64(ttl)
	if expiry < tx.now { // centuries away
		expiry = math.MaxInt64
	}
	return tx.put(p, key, value, expiry)
}

// Delete removes key and tells whether it had a value.
func (tx *Tx) Delete(p *Space, key string) (existed bool, err error) {
	if err := checkKey(key); err != nil {
		return false, err
	}
	full := fullKey(p.ns, key)
	h, err := lookup(tx.txn, full, false)
	if err != nil || !h.there {
		return false, err
	}
	tx.sync = tx.sync || p.sync
	return h.live(tx.now), tx.drop(full, h)
}

func (tx *Tx) put(p *Space, key string, value []byte, expiry int64) error {
	if err := tx.checkSize(key, value); err != nil {
		return err
	}
	full := fullKey(p.ns, key)
	old, err := tx.current(full)
	if err != nil {
		return err
	}
	if err := tx.account(p, full, len(key)+len(value), old); err != nil {
		return err
	}
	raw := encodeValue(value, expiry)
	if err := tx.setRaw(full, raw); err != nil {
		return err
	}
	if expiry != 0 {
		if err := tx.setRaw(expiryKey(expiry, full), nil); err != nil {
			return err
		}
	}
	stored, _, _ := decodeValue(raw)
	tx.changes = append(tx.changes, change{full: full, value: stored})
	tx.sync = tx.sync || p.sync
	return nil
}

// current looks full up for a write. A value past its time is dropped first, so
// that a sweep on the way does not take it away twice.
func (tx *Tx) current(full []byte) (held, error) {
	h, err := lookup(tx.txn, full, false)
	if err != nil || !h.there || h.live(tx.now) {
		return h, err
	}
	return held{}, tx.drop(full, h)
}

func (tx *Tx) checkSize(key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fault.New(fault.Limit, "the value of %q has %d bytes, the limit is %d", clip(key), len(value), MaxValue)
	}
	if tx.bytes += len(key) + len(value); tx.bytes > MaxTxBytes {
		return tooBig()
	}
	return nil
}

// account takes the old value of full away and counts size bytes in, or refuses.
func (tx *Tx) account(p *Space, full []byte, size int, old held) error {
	was := 0
	if old.there {
		was = len(full) - len(p.ns) - 1 + old.length
	}
	if size > was {
		if err := tx.admit(p, int64(size-was)); err != nil {
			return err
		}
	}
	if old.expiry != 0 {
		if err := tx.deleteRaw(expiryKey(old.expiry, full)); err != nil {
			return err
		}
	}
	return tx.add(p.ns, int64(size-was))
}

// admit refuses growth that the quota or the disk has no room for.
func (tx *Tx) admit(p *Space, growth int64) error {
	used, err := tx.usage(p.ns)
	if err == nil && p.quota != Unlimited && used+growth > p.quota {
		if _, err = tx.sweep(); err == nil {
			used, err = tx.usage(p.ns)
		}
		if err == nil && used+growth > p.quota {
			err = fault.New(fault.NoSpace, "%s holds %d bytes and may hold %d: delete something first", p.ns, used, p.quota)
		}
	}
	if err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(tx.store.dir, &st); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "look at the disk of the store")
	}
	if free := int64(st.Bavail) * st.Bsize; free < ReserveBytes {
		return fault.New(fault.NoSpace, "the disk of %s has %d MiB free, the store needs %d: make room", tx.store.dir, free>>20, ReserveBytes>>20)
	}
	return nil
}

// drop removes a pair that is there, with all that is said of it.
func (tx *Tx) drop(full []byte, h held) error {
	ns, key, _ := splitKey(full)
	if err := tx.add(ns, -int64(len(key)+h.length)); err != nil {
		return err
	}
	if h.expiry != 0 {
		if err := tx.deleteRaw(expiryKey(h.expiry, full)); err != nil {
			return err
		}
	}
	tx.changes = append(tx.changes, change{full: full, deleted: true})
	return tx.deleteRaw(full)
}

// usage is the counter of ns as the transaction leaves it.
func (tx *Tx) usage(ns Namespace) (int64, error) {
	if n, known := tx.used[ns]; known {
		return n, nil
	}
	return readUsage(tx.txn, ns)
}

func (tx *Tx) add(ns Namespace, n int64) error {
	used, err := tx.usage(ns)
	if err != nil {
		return err
	}
	tx.used[ns] = used + n
	return nil
}

func readUsage(txn *badger.Txn, ns Namespace) (n int64, err error) {
	item, err := txn.Get(usageKey(ns))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	}
	if err == nil {
		err = item.Value(func(raw []byte) error {
			if len(raw) != 8 {
				return fault.New(fault.Internal, "the usage counter of %s is damaged: restore the store from a backup", ns)
			}
			n = int64(binary.LittleEndian.Uint64(raw))
			return nil
		})
	}
	if err != nil {
		return 0, fault.Wrap(fault.KindOf(err), err, "read the store")
	}
	return n, nil
}

func (tx *Tx) setRaw(key, raw []byte) error { return tx.written(tx.txn.Set(key, raw)) }

func (tx *Tx) deleteRaw(key []byte) error { return tx.written(tx.txn.Delete(key)) }

func (tx *Tx) written(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, badger.ErrTxnTooBig):
		return tooBig()
	}
	return fault.Wrap(fault.KindOf(err), err, "write the store")
}
