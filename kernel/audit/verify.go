package audit

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

// Reason says what is wrong with a record.
type Reason string

// The reasons.
const (
	BadSignature Reason = "bad signature"    // it was changed
	BrokenLink   Reason = "broken link"      // it does not follow the one before
	Gap          Reason = "missing record"   // in the middle
	Truncated    Reason = "truncated"        // at the end
	Beyond       Reason = "beyond the head"  // the head knows nothing of it
	BadHead      Reason = "bad head"         // the head is gone, was changed, or names another record
	ForeignKey   Reason = "foreign key"      // signed by a key that is not the log's
	Malformed    Reason = "malformed record" // signed, but no record
	BadBase      Reason = "bad base"         // where the log begins was changed

	MissingArchive Reason = "archive missing"
	ChangedArchive Reason = "archive changed" // it is no archive, or tells something else than was signed
)

// Bad is the first thing wrong in a log.
type Bad struct {
	Seq    uint64 // 0 when it is about no record
	Reason Reason
}

func (b *Bad) err() error {
	return fault.New(fault.Internal, "the audit log is broken at record %d (%s): keep a copy of it and find out who did that before you go on", b.Seq, b.Reason)
}

// Report is what Verify found.
type Report struct {
	From, To    uint64 // To is the head's
	Hash        Hash   // likewise
	Live        uint64 // the first record that is not archived
	Records     int    // verified before the first bad one
	Archived    int    // of those, in archives
	Checkpoints int
	Bad         *Bad   // nil: the log is whole
	Archive     string // the name of the archive that Bad is in; empty: in the store
}

// Err is the report as an error; nil when the log is whole.
func (r Report) Err() error {
	if r.Bad == nil {
		return nil
	}
	if r.Archive != "" {
		return fault.New(fault.Internal, "the audit log is broken at record %d (%s: %s): bring the archive back, or find out who did that", r.Bad.Seq, r.Archive, r.Bad.Reason)
	}
	return r.Bad.err()
}

const chunkLength = 1024

// chunk is the result of verifying a run of records.
type chunk struct {
	first, last uint64
	previous    Hash // what the first record follows
	hash        Hash // of the last record
	records     int
	checkpoints int
	bad         *Bad
}

// Verify reads the log from record from on (0 and 1 are the first) on all
// processors: every signature, every link, and the head; first the archives,
// unless from is a record after them. The log may be appended to and archived
// meanwhile. The error is about reading; what is wrong with the log is in the
// report.
func (l *Log) Verify(ctx context.Context, from uint64) (Report, error) {
	r := Report{From: max(from, 1)}
	l.moving.RLock()
	defer l.moving.RUnlock()
	b, err := l.readBase()
	if fault.Is(err, fault.Internal) {
		r.Bad = &Bad{Reason: BadBase}
		return r, nil
	}
	if err != nil {
		return r, err
	}
	head, err := l.readHead()
	if err != nil {
		if fault.Is(err, fault.Internal) || fault.Is(err, fault.NotFound) {
			r.Bad = &Bad{Reason: BadHead}
			return r, nil
		}
		return r, err
	}
	r.To, r.Hash, r.Live = head.Seq, head.Hash, b.Seq+1
	if r.From <= b.Seq {
		if err := l.verifyArchives(ctx, &r, r.From, b); err != nil || r.Bad != nil {
			return r, err
		}
	}
	chunks := split(max(r.From, b.Seq+1), r.To)
	if err := l.verifyAll(ctx, chunks); err != nil {
		return r, err
	}
	r.join(chunks, b, head)
	if r.Bad == nil {
		r.Bad, err = l.beyond(head.Seq)
	}
	return r, err
}

func split(from, to uint64) []*chunk {
	var all []*chunk
	for first := from; first <= to; first += chunkLength {
		all = append(all, &chunk{first: first, last: min(first+chunkLength-1, to)})
	}
	return all
}

func (l *Log) verifyAll(ctx context.Context, chunks []*chunk) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(chunks)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(chunks) && ctx.Err() == nil; i = next.Add(1) - 1 {
				if err := l.verifyChunk(ctx, chunks[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "verify the audit log")
	}
	return nil
}

func (l *Log) verifyChunk(ctx context.Context, c *chunk) error {
	next := c.first
	err := l.records.EachAfter("", recordKey(c.first-1), func(key string, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		seq, err := strconv.ParseUint(key, 16, 64)
		switch {
		case err != nil || recordKey(seq) != key:
			c.bad = &Bad{next, Malformed}
		case next > c.last:
			return store.Stop
		case seq != next:
			c.bad = &Bad{next, Gap}
		default:
			c.bad = c.take(l, seq, value)
		}
		if c.bad != nil {
			return store.Stop
		}
		next++
		return nil
	})
	if err == nil && c.bad == nil && next <= c.last {
		c.bad = &Bad{next, Truncated}
	}
	return err
}

// take verifies the next record of c.
func (c *chunk) take(l *Log, seq uint64, value sealed) *Bad {
	body, signature, ok := value.split()
	if !ok {
		return &Bad{seq, Malformed}
	}
	hash := hashOf(body)
	if !verified(l.pinned, hash, signature) {
		if r, err := decode(body); err == nil && r.KeyID != keyID(l.pinned) {
			return &Bad{seq, ForeignKey}
		}
		return &Bad{seq, BadSignature}
	}
	r, err := decode(body)
	switch {
	case err != nil:
		return &Bad{seq, Malformed}
	case r.Seq != seq, c.records > 0 && r.Previous != c.hash:
		return &Bad{seq, BrokenLink}
	}
	if c.records == 0 {
		c.previous = r.Previous
	}
	if r.Action.Type == Checkpoint {
		c.checkpoints++
	}
	c.hash = hash
	c.records++
	return nil
}

// join puts the chunks together and compares their end with the head.
func (r *Report) join(chunks []*chunk, b base, head Head) {
	last := b.Hash
	for i, c := range chunks {
		if (i > 0 || c.first == b.Seq+1) && c.records > 0 && c.previous != last {
			r.Bad = &Bad{c.first, BrokenLink}
			return
		}
		r.Records += c.records
		r.Checkpoints += c.checkpoints
		if c.bad != nil {
			r.Bad = c.bad
			return
		}
		last = c.hash
	}
	if (len(chunks) > 0 || head.Seq == 0) && last != head.Hash {
		r.Bad = &Bad{head.Seq, BadHead}
	}
}

// beyond finds a record after the head that no append under way has put there.
func (l *Log) beyond(seq uint64) (*Bad, error) {
	items, _, err := l.records.Page("", recordKey(seq), 1)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	now, err := l.readHead()
	if err != nil {
		return nil, err
	}
	if found, err := strconv.ParseUint(items[0].Key, 16, 64); err != nil || found > now.Seq {
		return &Bad{seq + 1, Beyond}, nil
	}
	return nil, nil
}
