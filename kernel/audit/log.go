package audit

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

const (
	// CheckpointEvery is how many records there are to a checkpoint.
	CheckpointEvery = 4096

	queueLength = 1024
	noteLength  = 4096
	noteDelay   = 100 * time.Millisecond

	// groupLength is how many records are written in one transaction of the
	// store, half of them notes. It holds so many of any size.
	groupLength = 200
)

// OnBroken says what Open does with a log that does not verify.
type OnBroken uint8

// The zero OnBroken refuses. Warn logs the damage, records it, and goes on
// after the last record there is. It mends nothing.
const (
	Refuse OnBroken = iota
	Warn
)

// Config is what a Log is made of.
type Config struct {
	Store    *store.Store // for this log only; it stays the caller's to close, after the log
	Key      ed25519.PrivateKey
	Now      func() time.Time // default: time.Now
	Log      *slog.Logger     // default: discarded
	OnBroken OnBroken

	// MaxBytes is how large the log may be; 0: as large as it gets. What is over it
	// is moved to files in the directory Archives, which must be there.
	MaxBytes int64
	Archives string
}

// Log is an open audit log. Its methods may be called from any goroutine.
type Log struct {
	records, heads *store.Space
	key            ed25519.PrivateKey
	pinned         ed25519.PublicKey // whose the log is
	now            func() time.Time
	log            *slog.Logger

	appends chan *request
	notes   chan Record
	lost    atomic.Uint64 // notes since the last group
	head    atomic.Pointer[Head]

	stop    chan struct{} // closed when no call is under way any more
	stopped chan struct{} // closed by the writer
	calls   sync.WaitGroup
	failed  atomic.Pointer[error] // set by the writer, once

	max       int64
	archives  string
	size      atomic.Int64 // bytes of the records in the store
	base      atomic.Pointer[base]
	cuts      chan *segment
	archiving atomic.Bool // one at a time
	archiver  sync.WaitGroup
	nextTry   atomic.Int64 // ns since 1970

	moving sync.RWMutex // held while archived records go; shared by who counts on them

	mu     sync.Mutex
	closed bool // guarded by mu
}

type request struct {
	record Record
	done   chan error // holds one
}

// Open opens the log, or begins one, and verifies it from its last checkpoint
// on. Close must be called.
func Open(c Config) (*Log, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	records, err := c.Store.Space(store.AuditRecords, store.SpaceOptions{Sync: true, Quota: store.Unlimited})
	if err != nil {
		return nil, err
	}
	heads, err := c.Store.Space(store.AuditHead, store.SpaceOptions{Sync: true, Quota: store.Unlimited})
	if err != nil {
		return nil, err
	}
	l := &Log{
		records: records, heads: heads, key: c.Key, now: c.Now, log: c.Log,
		appends: make(chan *request, queueLength), notes: make(chan Record, noteLength),
		stop: make(chan struct{}), stopped: make(chan struct{}),
		max: c.MaxBytes, archives: c.Archives, cuts: make(chan *segment),
	}
	if err := l.boot(c.OnBroken); err != nil {
		return nil, err
	}
	if err := l.measure(); err != nil {
		return nil, err
	}
	go l.write()
	return l, nil
}

// Append adds r and returns after it survives a power cut. When ctx ends first,
// the record may be written or not.
func (l *Log) Append(ctx context.Context, r Record) error {
	if err := l.prepare(&r); err != nil {
		return err
	}
	if err := l.enter(); err != nil {
		return err
	}
	defer l.calls.Done()
	q := &request{record: r, done: make(chan error, 1)}
	select {
	case l.appends <- q:
	case <-ctx.Done():
		return fault.Wrap(fault.KindOf(ctx.Err()), ctx.Err(), "append to the audit log")
	}
	select {
	case err := <-q.done:
		return err
	case <-ctx.Done():
		return fault.Wrap(fault.KindOf(ctx.Err()), ctx.Err(), "append to the audit log")
	}
}

// Note adds r within a moment, or counts it as lost. It never waits.
func (l *Log) Note(r Record) {
	if err := l.prepare(&r); err != nil {
		l.log.Error("a note for the audit log is malformed", "err", err)
		return
	}
	if l.enter() != nil {
		return
	}
	defer l.calls.Done()
	select {
	case l.notes <- r:
	default:
		l.lost.Add(1)
	}
}

// prepare checks r and gives it its time and its texts.
func (l *Log) prepare(r *Record) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.Time.IsZero() {
		r.Time = l.now()
	}
	*r = r.clean()
	return nil
}

// enter counts a call in.
func (l *Log) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fault.New(fault.Unavailable, "the audit log is closed")
	}
	l.calls.Add(1)
	return nil
}

// Head returns what the log ends with now.
func (l *Log) Head() Head { return *l.head.Load() }

// Err returns why nothing can be appended any more; nil while it can.
func (l *Log) Err() error {
	if err := l.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Key is the public key that the log belongs to.
func (l *Log) Key() ed25519.PublicKey { return l.pinned }

// Close lets calls under way end, writes what was noted and a checkpoint, and
// ends the writer. When ctx ends first the writer still ends by itself. It may
// be called again.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		go func() {
			l.calls.Wait()
			close(l.stop)
		}()
	}
	select {
	case <-l.stopped:
		return l.Err()
	case <-ctx.Done():
		return fault.Wrap(fault.KindOf(ctx.Err()), ctx.Err(), "close the audit log")
	}
}

func recordKey(seq uint64) string { return fmt.Sprintf("%016x", seq) }
