package store

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash"
	"io"

	"github.com/dgraph-io/badger/v4"
	"lukechampine.com/blake3"

	"astrid/kernel/fault"
)

const backupMagic = "ASTRIDB1"

// Backup writes every value, as of one moment, to w. The store may be used
// meanwhile.
func (s *Store) Backup(w io.Writer) error {
	sum := blake3.New(32, nil)
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10)
	count := uint64(0)
	_, err := out.WriteString(backupMagic)
	if err == nil {
		err = s.view(func(txn *badger.Txn) error {
			return walk(txn, nil, nil, func(item *badger.Item) error {
				if item.Key()[0] == 0 {
					return nil
				}
				count++
				return item.Value(func(raw []byte) error { return writePair(out, item.Key(), raw) })
			})
		})
	}
	if err == nil {
		err = errors.Join(writePair(out, nil, nil), binary.Write(out, binary.LittleEndian, count), out.Flush())
	}
	if err == nil {
		_, err = w.Write(sum.Sum(nil))
	}
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "back the store up")
	}
	return nil
}

func writePair(w io.Writer, key, raw []byte) error {
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(key)))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(raw)))
	for _, part := range [][]byte{head, key, raw} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Restore reads what Backup wrote into a store that is empty, which nobody else
// may use meanwhile. When r is not a whole backup, or a crash comes between, the
// store is empty again. What it wrote survives a power cut.
func (s *Store) Restore(r io.Reader) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.beginRestore(); err != nil {
		return err
	}
	err := s.restore(r)
	if err == nil {
		err = s.db.Update(func(txn *badger.Txn) error { return txn.Delete([]byte(keyRestoring)) })
	}
	if err == nil {
		return s.flush()
	}
	return fault.Wrap(fault.KindOf(err), errors.Join(err, s.reset()), "restore the store")
}

// beginRestore marks an empty store.
func (s *Store) beginRestore() error {
	err := s.view(func(txn *badger.Txn) error {
		return walk(txn, nil, nil, func(item *badger.Item) error {
			if item.Key()[0] != 0 {
				return fault.New(fault.Exists, "the store %s is not empty: restore into a new one", s.dir)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if err := s.setMark(keyRestoring, ""); err != nil {
		return err
	}
	return s.flush()
}

func (s *Store) restore(r io.Reader) error {
	in := backupReader{in: bufio.NewReaderSize(r, 64<<10), sum: blake3.New(32, nil)}
	if magic, err := in.read(len(backupMagic)); err != nil || string(magic) != backupMagic {
		return fault.New(fault.Usage, "this is no backup of a store")
	}
	for !in.ended {
		batch, err := in.batch()
		if err != nil {
			return err
		}
		if err := s.update(func(tx *Tx) error { return tx.restore(batch) }); err != nil {
			return err
		}
	}
	return in.end()
}

// restore writes pairs of a backup.
func (tx *Tx) restore(batch []Item) error {
	for _, item := range batch {
		ns, key, ok := splitKey([]byte(item.Key))
		value, expiry, err := decodeValue(item.Value)
		if !ok || err != nil {
			return fault.New(fault.Usage, "the backup is damaged")
		}
		p, err := tx.store.Space(ns, SpaceOptions{Quota: Unlimited})
		if err != nil {
			return err
		}
		if err := tx.put(p, key, value, expiry); err != nil {
			return err
		}
	}
	return nil
}

// backupReader reads a backup, hashing what it read.
type backupReader struct {
	in    *bufio.Reader
	sum   hash.Hash
	count uint64
	ended bool // the last pair was read
}

func (b *backupReader) read(n int) ([]byte, error) {
	data := make([]byte, n)
	if _, err := io.ReadFull(b.in, data); err != nil {
		return nil, fault.Wrap(fault.Usage, err, "the backup is cut short")
	}
	b.sum.Write(data)
	return data, nil
}

// batch returns the next pairs.
func (b *backupReader) batch() ([]Item, error) {
	var batch []Item
	for size := 0; len(batch) < batchKeys/2 && size < batchBytes; {
		head, err := b.read(8)
		if err != nil {
			return nil, err
		}
		keyLen, rawLen := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
		if keyLen == 0 && rawLen == 0 {
			b.ended = true
			return batch, nil
		}
		if keyLen > MaxNamespace+1+MaxKey || rawLen > MaxValue+expiringHeader {
			return nil, fault.New(fault.Usage, "the backup is damaged")
		}
		data, err := b.read(int(keyLen) + int(rawLen))
		if err != nil {
			return nil, err
		}
		batch = append(batch, Item{Key: string(data[:keyLen]), Value: data[keyLen:]})
		size += len(data)
		b.count++
	}
	return batch, nil
}

// end checks what follows the last pair.
func (b *backupReader) end() error {
	count, err := b.read(8)
	if err != nil {
		return err
	}
	want := b.sum.Sum(nil)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(b.in, got); err != nil {
		return fault.Wrap(fault.Usage, err, "the backup is cut short")
	}
	if binary.LittleEndian.Uint64(count) != b.count || !bytes.Equal(got, want) {
		return fault.New(fault.Usage, "the backup is damaged: its checksum does not match")
	}
	return nil
}
