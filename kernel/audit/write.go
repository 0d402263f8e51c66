package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"strconv"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

// group is what is written in one transaction.
type group struct {
	notes   []Record
	appends []*request
}

// write is the one writer. Notes wait for noteDelay, for company or for an append.
func (l *Log) write() {
	defer close(l.stopped)
	defer l.archiver.Wait()
	var g group
	var due <-chan time.Time
	for {
		select {
		case n := <-l.notes:
			g.notes = append(g.notes, n)
			if due == nil {
				due = time.After(noteDelay)
			}
			if len(g.notes) < groupLength/2 {
				continue
			}
		case q := <-l.appends:
			l.gather(&g, q)
		case <-due:
		case s := <-l.cuts:
			l.commitCut(s)
			continue
		case <-l.stop:
			l.finish(g)
			return
		}
		l.commit(g, false)
		g, due = group{}, nil
	}
}

// gather adds q, whoever waits too, and first the notes that came before them.
func (l *Log) gather(g *group, q *request) {
	g.appends = append(g.appends, q)
	for len(g.appends) < groupLength/2 && len(l.appends) > 0 {
		g.appends = append(g.appends, <-l.appends)
	}
	l.gatherNotes(g)
}

func (l *Log) gatherNotes(g *group) {
	for len(g.notes) < groupLength/2 && len(l.notes) > 0 {
		g.notes = append(g.notes, <-l.notes)
	}
}

// finish writes the last notes and a checkpoint, unless the log ends with one.
func (l *Log) finish(g group) {
	for l.gatherNotes(&g); len(l.notes) > 0; l.gatherNotes(&g) {
		l.commit(g, false)
		g = group{}
	}
	l.commit(g, true)
}

// commit writes g and answers those who wait for it.
func (l *Log) commit(g group, last bool) {
	err := l.attempt(func() error { return l.tryCommit(g, last) })
	if !last {
		l.overfull()
	}
	for _, q := range g.appends {
		q.done <- err
	}
}

// attempt writes unless a write failed before, and remembers that one did.
func (l *Log) attempt(write func() error) error {
	err := l.Err()
	if err == nil {
		err = write()
	}
	if err != nil && l.Err() == nil {
		err = fault.Wrap(fault.KindOf(err), err, "the audit log failed after record %d; nothing that must be audited is done until the kernel is started again", l.Head().Seq)
		l.failed.Store(&err)
		l.log.Error("the audit log failed", "err", err)
	}
	return l.Err()
}

func (l *Log) tryCommit(g group, last bool) error {
	c := l.chain()
	if lost := l.lost.Swap(0); lost > 0 {
		c.add(l.own(NotesLost, Fields{"count": strconv.FormatUint(lost, 10)}))
	}
	for _, n := range g.notes {
		c.add(n)
	}
	for _, q := range g.appends {
		c.add(q.record)
	}
	since := c.head.Seq - c.head.Checkpoint
	if since >= CheckpointEvery || last && since > 0 {
		c.add(l.own(Checkpoint, Fields{"records": strconv.FormatUint(since, 10)}))
		c.head.Checkpoint = c.head.Seq
	}
	if len(c.records) == 0 {
		return nil
	}
	return l.store(c)
}

// own is a record that the log writes about itself.
func (l *Log) own(t Type, f Fields) Record {
	return Record{Time: l.now(), Action: Action{t, f}, Authorization: Authorization{System, Fields{"reason": "audit log"}}, Outcome: Outcome{Success: true}}
}

// chain is what is added to the log.
type chain struct {
	key     ed25519.PrivateKey
	keyID   [8]byte
	head    Head // after records
	records []sealed
	base    *base // where the log begins from now on; nil: where it did
}

func (l *Log) chain() *chain {
	return &chain{key: l.key, keyID: keyID(l.key.Public().(ed25519.PublicKey)), head: l.Head()}
}

// add seals r as the next record.
func (c *chain) add(r Record) {
	r.Seq, r.Previous, r.KeyID = c.head.Seq+1, c.head.Hash, c.keyID
	r.ID = newID()
	s, hash := seal(c.key, encode(&r))
	c.records = append(c.records, s)
	c.head.Seq, c.head.Hash, c.head.Time = r.Seq, hash, r.Time
}

// newID is a random UUID.
func newID() (id [16]byte) {
	_, _ = rand.Read(id[:]) // never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// store writes records and head in one transaction.
func (l *Log) store(c *chain) error {
	head := c.head.sign(c.key)
	err := l.records.Update(func(tx *store.Tx) error {
		first := c.head.Seq - uint64(len(c.records)) + 1
		for i, s := range c.records {
			if err := tx.Set(l.records, recordKey(first+uint64(i)), s); err != nil {
				return err
			}
		}
		if c.base != nil {
			if err := tx.Set(l.heads, nameBase, c.base.sign(c.key)); err != nil {
				return err
			}
		}
		return tx.Set(l.heads, nameHead, head)
	})
	if err != nil {
		return err
	}
	l.head.Store(&c.head)
	if c.base != nil {
		l.base.Store(c.base)
	}
	for _, s := range c.records {
		l.size.Add(int64(len(s) + len(recordKey(0))))
	}
	return nil
}
