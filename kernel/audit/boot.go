package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"strconv"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

// Keys of the namespace audit:head.
const (
	nameHead = "head"
	nameKey  = "key"
	nameBase = "base"
)

// boot finds the end of the log, or begins it.
func (l *Log) boot(on OnBroken) error {
	pinned, err := l.heads.Get(nameKey)
	if fault.Is(err, fault.NotFound) {
		if begun, err := l.begin(); begun || err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	l.pinned = pinned
	bad, err := l.suspect()
	if err != nil || bad == nil {
		return err
	}
	if on != Warn {
		return bad.err()
	}
	l.max = 0 // what is damaged is not moved
	l.log.Error("the audit log is broken; it goes on after the damage", "seq", bad.Seq, "reason", bad.Reason)
	return l.goOn(bad)
}

// begin pins the key and seals an empty log, unless there is something already.
func (l *Log) begin() (begun bool, err error) {
	for _, p := range []*store.Space{l.records, l.heads} {
		if items, _, err := p.Page("", "", 1); err != nil || len(items) > 0 {
			return false, err
		}
	}
	head := Head{Time: l.now()}
	raw := head.sign(l.key)
	own := l.key.Public().(ed25519.PublicKey)
	err = l.records.Update(func(tx *store.Tx) error {
		if err := tx.Set(l.heads, nameKey, own); err != nil {
			return err
		}
		return tx.Set(l.heads, nameHead, raw)
	})
	if err != nil {
		return false, err
	}
	l.pinned = own
	l.head.Store(&head)
	return true, nil
}

// suspect verifies the log since its last checkpoint and takes its head over.
func (l *Log) suspect() (*Bad, error) {
	own := l.key.Public().(ed25519.PublicKey)
	if len(l.pinned) != ed25519.PublicKeySize {
		l.pinned = own
		return &Bad{Reason: ForeignKey}, nil
	}
	if !bytes.Equal(l.pinned, own) {
		return &Bad{Reason: ForeignKey}, nil
	}
	head, err := l.readHead()
	if err != nil {
		return &Bad{Reason: BadHead}, nil
	}
	l.head.Store(&head)
	b, err := l.readBase()
	if err != nil {
		return &Bad{Reason: BadBase}, nil
	}
	l.base.Store(&b)
	report, err := l.Verify(context.Background(), max(head.Checkpoint, b.Seq+1))
	return report.Bad, err
}

func (l *Log) readHead() (Head, error) {
	raw, err := l.heads.Get(nameHead)
	if err != nil {
		return Head{}, err
	}
	return openHead(l.pinned, raw)
}

// goOn continues after the last record there is, whatever it is worth, with one
// that tells of the damage.
func (l *Log) goOn(bad *Bad) error {
	head := Head{Time: l.now()}
	if known := l.head.Load(); known != nil {
		head.Seq, head.Checkpoint, head.Hash = known.Seq, known.Checkpoint, known.Hash
	}
	err := l.records.EachAfter("", recordKey(head.Seq), func(key string, value []byte) error {
		seq, err := strconv.ParseUint(key, 16, 64)
		if body, _, ok := sealed(value).split(); ok && err == nil {
			head.Seq, head.Hash = seq, hashOf(body)
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.head.Store(&head)
	c := l.chain()
	c.add(l.own(LogBroken, Fields{"seq": strconv.FormatUint(bad.Seq, 10), "reason": string(bad.Reason)}))
	return l.store(c)
}
