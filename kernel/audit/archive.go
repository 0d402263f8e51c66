package audit

import (
	"context"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

const (
	// maxSegment is how many bytes of records are moved into one archive.
	maxSegment = 64 << 20

	// retryArchive is how long an archive that could not be written is left alone.
	retryArchive = time.Minute

	// dropLength is how many archived records are removed in one transaction.
	dropLength = 500
)

// overfull begins to archive when the log is larger than it may be, unless that
// is under way. Only the writer calls it, and Open before there is one.
func (l *Log) overfull() {
	if l.max <= 0 || l.size.Load() <= l.max || l.now().UnixNano() < l.nextTry.Load() {
		return
	}
	l.startArchiver()
}

func (l *Log) startArchiver() {
	if !l.archiving.CompareAndSwap(false, true) {
		return
	}
	l.archiver.Go(func() {
		defer l.archiving.Store(false)
		err := l.archive()
		if err == nil || l.ending() {
			return
		}
		l.nextTry.Store(l.now().Add(retryArchive).UnixNano())
		l.log.Error("the audit log is larger than it may be and was not archived; nothing is lost, and it is tried again", "err", err)
	})
}

// ending tells whether Close waits.
func (l *Log) ending() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// archive moves the oldest records out, so many at a time that half of what the
// log may hold is left: each archive is a record too, and must be worth it. It
// begins with what an earlier archiver was interrupted in.
func (l *Log) archive() error {
	if err := l.drop(); err != nil {
		return err
	}
	for l.max > 0 && l.size.Load() > l.max {
		b := l.begins()
		s, err := l.leftSegment(b)
		if err == nil && s == nil {
			s, err = l.writeSegment(b, min(l.size.Load()-l.max/2, maxSegment))
		}
		if err == nil {
			err = l.cut(s)
		}
		if err == nil {
			err = l.drop()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leftSegment is the archive that was written and not cut off before a crash;
// nil when there is none. It is used as it is, once it proved to hold what the
// log holds, and never written over.
func (l *Log) leftSegment(b base) (*segment, error) {
	all, err := segments(l.archives)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(s *segment) bool { return s.last <= b.Seq })
	if len(all) == 0 {
		return nil, nil
	}
	s := all[0]
	c, err := l.verifySegment(context.Background(), s)
	if err != nil {
		return nil, err
	}
	value, err := l.records.Get(recordKey(s.last))
	body, _, _ := sealed(value).split()
	if len(all) > 1 || s.first != b.Seq+1 || err != nil || c.bad != nil || c.previous != b.Hash || c.hash != hashOf(body) {
		return nil, fault.New(fault.Conflict, "the archive %s holds other records than the audit log: find out where it comes from and move it away", s.name())
	}
	s.hash = c.hash
	return s, nil
}

// writeSegment archives about want bytes of records after b, and never the last
// record of the log.
func (l *Log) writeSegment(b base, want int64) (*segment, error) {
	w, err := newSegmentWriter(l.archives)
	if err != nil {
		return nil, err
	}
	s, err := l.fill(w, b, want)
	if err != nil {
		w.abandon()
		return nil, err
	}
	return s, w.finish(s)
}

func (l *Log) fill(w *segmentWriter, b base, want int64) (*segment, error) {
	head, size := l.Head(), int64(0)
	c := &chunk{first: b.Seq + 1}
	s := &segment{first: b.Seq + 1, last: b.Seq}
	err := l.records.EachAfter("", recordKey(b.Seq), func(key string, value []byte) error {
		seq := s.last + 1
		switch {
		case l.ending():
			return fault.New(fault.Unavailable, "the audit log is closed")
		case size >= want || seq >= head.Seq:
			return store.Stop
		case recordKey(seq) != key:
			return (&Bad{seq, Gap}).err()
		}
		if bad := c.take(l, seq, value); bad != nil {
			return bad.err()
		}
		if seq == s.first && c.previous != b.Hash {
			return (&Bad{seq, BrokenLink}).err()
		}
		body, signature, _ := sealed(value).split()
		r, err := decode(body)
		if err != nil {
			return err
		}
		s.last, s.hash = seq, c.hash
		size += int64(len(key) + len(value))
		return w.add(Entry{Record: r, Hash: c.hash, body: body, signature: signature})
	})
	if err == nil && s.last < s.first {
		err = fault.New(fault.Limit, "the audit log has a single record, which is larger than the log may be")
	}
	return s, err
}

// cut has the writer let the log begin after s.
func (l *Log) cut(s *segment) error {
	s.done = make(chan error, 1)
	select {
	case l.cuts <- s:
	case <-l.stop:
		return fault.New(fault.Unavailable, "the audit log is closed")
	}
	return <-s.done
}

// commitCut records that s was archived, with where the log begins now, in one
// transaction.
func (l *Log) commitCut(s *segment) {
	s.done <- l.attempt(func() error {
		c := l.chain()
		c.base = &base{Seq: s.last, Hash: s.hash}
		c.add(l.own(Archived, Fields{
			"first": strconv.FormatUint(s.first, 10), "last": strconv.FormatUint(s.last, 10),
			"hash": hex.EncodeToString(s.hash[:]), "file": filepath.Base(s.name()),
		}))
		return l.store(c)
	})
}

// drop removes the records that are archived.
func (l *Log) drop() error {
	for b := l.begins(); b.Seq > 0; {
		n, err := l.dropSome(b)
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}

func (l *Log) dropSome(b base) (n int, err error) {
	l.moving.Lock()
	defer l.moving.Unlock()
	items, _, err := l.records.Page("", "", dropLength)
	if err != nil {
		return 0, err
	}
	items = slices.DeleteFunc(items, func(i store.Item) bool {
		seq, err := strconv.ParseUint(i.Key, 16, 64)
		return err != nil || recordKey(seq) != i.Key || seq > b.Seq
	})
	if len(items) == 0 {
		return 0, nil
	}
	size := 0
	err = l.records.Update(func(tx *store.Tx) error {
		for _, i := range items {
			if _, err := tx.Delete(l.records, i.Key); err != nil {
				return err
			}
			size += len(i.Key) + len(i.Value)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	l.size.Add(-int64(size))
	return len(items), nil
}

// begins is what the records in the store follow.
func (l *Log) begins() base {
	if b := l.base.Load(); b != nil {
		return *b
	}
	return base{}
}

// readBase reads what the records in the store follow, verified; nothing was
// ever archived when there is none.
func (l *Log) readBase() (base, error) {
	raw, err := l.heads.Get(nameBase)
	if fault.Is(err, fault.NotFound) {
		return base{}, nil
	}
	if err != nil {
		return base{}, err
	}
	return openBase(l.pinned, raw)
}

// measure finds out how large the log is and ends what a crash left half done.
func (l *Log) measure() error {
	size, err := l.records.Usage()
	if err != nil {
		return err
	}
	l.size.Store(size)
	items, _, err := l.records.Page("", "", 1)
	if err == nil && len(items) > 0 && l.begins().Seq > 0 && items[0].Key <= recordKey(l.begins().Seq) {
		l.startArchiver()
	}
	l.overfull()
	return err
}
