package store

import (
	"encoding/binary"
	"errors"

	"github.com/dgraph-io/badger/v4"

	"astrid/kernel/fault"
)

// MaxValue is the length of the longest value.
const MaxValue = 10 << 20

const (
	plain    byte = 1
	expiring byte = 2

	expiringHeader = 1 + 8
)

// encodeValue puts the header before a copy of value; expiry 0 is never.
func encodeValue(value []byte, expiry int64) []byte {
	raw := make([]byte, 0, expiringHeader+len(value))
	if expiry == 0 {
		raw = append(raw, plain)
	} else {
		raw = binary.LittleEndian.AppendUint64(append(raw, expiring), uint64(expiry))
	}
	return append(raw, value...)
}

// decodeValue returns the value inside raw, without copying it.
func decodeValue(raw []byte) (value []byte, expiry int64, err error) {
	switch {
	case len(raw) >= 1 && raw[0] == plain:
		return raw[1:], 0, nil
	case len(raw) >= expiringHeader && raw[0] == expiring:
		return raw[expiringHeader:], int64(binary.LittleEndian.Uint64(raw[1:])), nil
	}
	return nil, 0, fault.New(fault.Internal, "the store holds a damaged value of %d bytes: restore it from a backup", len(raw))
}

// held is what the store says of one key.
type held struct {
	there  bool
	value  []byte // nil unless asked for
	length int
	expiry int64 // 0: never
}

// live tells whether there is a value that has not expired at now.
func (h held) live(now int64) bool { return h.there && (h.expiry == 0 || now < h.expiry) }

// lookup reads the pair full, its value only when copied is true.
func lookup(txn *badger.Txn, full []byte, copied bool) (held, error) {
	item, err := txn.Get(full)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return held{}, nil
	}
	if err != nil {
		return held{}, fault.Wrap(fault.KindOf(err), err, "read the store")
	}
	return inspect(item, copied)
}

// inspect reads an item that is there.
func inspect(item *badger.Item, copied bool) (held, error) {
	h := held{there: true}
	err := item.Value(func(raw []byte) error {
		value, expiry, err := decodeValue(raw)
		if copied {
			h.value = append([]byte{}, value...)
		}
		h.length, h.expiry = len(value), expiry
		return err
	})
	if err != nil {
		return held{}, fault.Wrap(fault.KindOf(err), err, "read the store")
	}
	return h, nil
}
