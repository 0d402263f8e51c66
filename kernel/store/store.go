package store

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

// Config is what a Store is made of.
type Config struct {
	Log *slog.Logger     // default: discarded
	Now func() time.Time // the clock of expiry; default: time.Now
	// Failed is told once, by a goroutine that writes, of a commit that failed. Only
	// opening the store anew helps: whoever is told must see to that, and not wait for
	// the store meanwhile. May be nil.
	Failed func(error)
}

// Store is one open directory. Its methods may be called from any goroutine.
type Store struct {
	dir   string
	lock  *os.File // the directory, flocked
	log   *slog.Logger
	now   func() time.Time
	db    *badger.DB
	files flusher
	spare reserve
	tell  func(error) // Config.Failed
	hub   hub

	failure  atomic.Pointer[error] // why nothing may be written any more
	unusable atomic.Bool           // nor read: a commit failed

	write     sync.Mutex   // held by the one transaction under way
	snapshots sync.RWMutex // see doc.go

	closing chan struct{}
	tending sync.WaitGroup // the keeper and the watchers
	ops     sync.WaitGroup // calls under way; Add only with mu held and closed false

	mu     sync.Mutex
	closed bool // guarded by mu

	closeOnce sync.Once
	closeErr  error // set by closeOnce
}

// Open opens the store in dir, or makes one, 0700, in a directory that is
// there. It finishes what a crash interrupted. A directory that another process
// has open is an error of Kind Busy. Close must be called.
func Open(dir string, c Config) (*Store, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	db, err := badger.Open(profile(dir, c.Log))
	if err != nil {
		_ = lock.Close()
		return nil, fault.Wrap(fault.KindOf(err), err, "open the store %s", dir)
	}
	s := &Store{dir: dir, lock: lock, log: c.Log, now: c.Now, db: db, closing: make(chan struct{})}
	s.files.dir, s.spare.dir, s.tell = lock, lock, c.Failed
	if err := s.recover(); err != nil {
		_ = errors.Join(db.Close(), lock.Close())
		return nil, err
	}
	s.spare.restore()
	s.tending.Go(s.keep)
	return s, nil
}

// lockDir makes dir, or closes the one that is there to others, and locks it
// until the file is closed.
func lockDir(dir string) (*os.File, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fault.Wrap(fault.KindOf(err), err, "make the store %s", dir)
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "open the store %s", dir)
	}
	if err = closeToOthers(int(f.Fd()), dir); err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fault.New(fault.Busy, "the store %s is open in another process: stop that one first", dir)
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func closeToOthers(fd int, dir string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "look at the store %s", dir)
	}
	switch {
	case int(st.Uid) != os.Geteuid():
		return fault.New(fault.Denied, "the store %s belongs to user %d, not to you (%d)", dir, st.Uid, os.Geteuid())
	case st.Mode&0o022 != 0:
		return fault.New(fault.Denied, "others may write to the store %s (mode %#o): look at it, then chmod 700 it", dir, st.Mode&0o7777)
	case st.Mode&0o7777 == 0o700:
		return nil
	}
	if err := unix.Fchmod(fd, 0o700); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "close the store %s to others", dir)
	}
	return nil
}

// recover checks the format and ends what a crash left half done. Nobody else
// uses the store yet.
func (s *Store) recover() error {
	if _, there, err := s.mark(keyRestoring); err != nil || there {
		if err == nil {
			s.log.Warn("a restore was interrupted: its values are dropped", "store", s.dir)
			err = s.reset()
		}
		if err != nil {
			return err
		}
	}
	format, there, err := s.mark(keyFormat)
	switch {
	case err != nil:
		return err
	case !there:
		if err := s.setMark(keyFormat, formatText); err != nil {
			return err
		}
	case format != formatText:
		return fault.New(fault.Unsupported, "the store %s has the format %q, this kernel reads %q: use the kernel that wrote it", s.dir, clip(format), formatText)
	}
	target, there, err := s.mark(keyClearing)
	if err != nil || !there {
		return err
	}
	_, err = s.clearRest([]byte(target))
	return err
}

// mark reads one of the keys that are no values.
func (s *Store) mark(key string) (text string, there bool, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(key))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		there = true
		return item.Value(func(raw []byte) error { text = string(raw); return nil })
	})
	if err != nil {
		return "", false, fault.Wrap(fault.KindOf(err), err, "read the store %s", s.dir)
	}
	return text, there, nil
}

func (s *Store) setMark(key, text string) error {
	err := s.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(key), []byte(text)) })
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "write the store %s", s.dir)
	}
	return nil
}

// reset empties the store.
func (s *Store) reset() error {
	if err := s.db.DropAll(); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "empty the store %s", s.dir)
	}
	return s.setMark(keyFormat, formatText)
}

// enter counts a call in; leave must follow a nil return.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fault.New(fault.Unavailable, "the store is closed")
	}
	s.ops.Add(1)
	return nil
}

func (s *Store) leave() { s.ops.Done() }

// fail remembers the first error after which the disk cannot be trusted.
func (s *Store) fail(err error) error {
	s.failure.CompareAndSwap(nil, &err)
	s.log.Error("the store failed; it takes no more writes", "store", s.dir, "err", err)
	return err
}

// broken is fail for a commit: Badger may have no memtable any more, and would end
// the process when it is asked again.
func (s *Store) broken(err error) error {
	if s.unusable.Swap(true) {
		return err
	}
	err = s.fail(err)
	if s.tell != nil {
		s.tell(err)
	}
	return err
}

func (s *Store) failed() error {
	if first := s.failure.Load(); first != nil {
		return fault.Wrap(fault.Internal, *first, "the store takes no more writes until the kernel is started again")
	}
	return nil
}

// lost is the failure after which nothing may be read either.
func (s *Store) lost() error {
	if s.unusable.Load() {
		return s.failed()
	}
	return nil
}

// Sync returns after every write acknowledged before the call survives a power cut.
func (s *Store) Sync() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.flush()
}

func (s *Store) flush() error {
	if err := s.failed(); err != nil {
		return err
	}
	err := s.files.sync()
	switch {
	case err == nil:
		return nil
	case noDescriptor(err):
		return fault.Wrap(fault.Limit, err, "sync the store %s: the write is there, but may not survive a power cut", s.dir)
	}
	return s.fail(fault.Wrap(fault.KindOf(err), err, "sync the store %s", s.dir))
}

// leaveAfter is how long Close waits for a store that failed, or that has no
// descriptor: Badger tries to write out what it holds for as long as that fails.
const leaveAfter = 2 * time.Second

// closeFiles ends Badger and lets go of the directory. A store that cannot be
// closed is left, locked until the process ends: the next Open recovers it.
func (s *Store) closeFiles() error {
	done := make(chan error, 1)
	go func() { done <- s.db.Close() }()
	for {
		select {
		case err := <-done:
			return errors.Join(err, s.lock.Close())
		case <-time.After(leaveAfter):
			if s.unusable.Load() || s.spare.none() {
				return fault.New(fault.Unavailable, "it is left as it is; nothing is lost, and the next kernel opens it anew")
			}
		}
	}
}

// Close lets calls under way end, ends the watchers, and closes the files,
// synced. It may be called again.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		close(s.closing)
		s.ops.Wait()
		s.tending.Wait()
		s.spare.drop()
		if err := s.closeFiles(); err != nil {
			s.closeErr = fault.Wrap(fault.KindOf(err), err, "close the store %s", s.dir)
		}
	})
	return s.closeErr
}
