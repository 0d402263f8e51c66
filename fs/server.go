package fs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Server is one mounted tree. Make it with Mount.
type Server struct {
	dir   string // absolute, no symlink in it
	minor uint32 // device number of the mount: 0:minor
	opens bool
	opts  Options
	log   *slog.Logger
	face  *face
	proto *fuse.ProtocolServer
	note  *notifier

	ctx    context.Context // ends when the mount is gone
	cancel context.CancelFunc
	fd     int           // the device; closed when done is
	done   chan struct{} // closed when nothing of the server is left
	panics atomic.Uint64

	// state is the number of the last request read, shifted by one, with the
	// leading bit. Only the leader increases the number.
	state  atomic.Uint64
	flight flight
	asleep atomic.Bool   // the watchdog waits for rouse
	rouse  chan struct{} // capacity 1

	workers sync.WaitGroup

	mu     sync.Mutex
	idle   []*worker // waiting to lead, warmest last
	free   []int     // slots of flight nobody works in
	vacant bool      // nobody leads; the next to become idle does
	ended  bool      // the device is gone
}

// Dir is where the tree is mounted.
func (s *Server) Dir() string { return s.dir }

// Minor is the minor device number of the mount, as mountinfo shows it.
func (s *Server) Minor() uint32 { return s.minor }

// Panics counts requests that ended in a panic of the tree.
func (s *Server) Panics() uint64 { return s.panics.Load() }

// Nodes is how many nodes the kernel holds references to.
func (s *Server) Nodes() int { return s.face.table.len() }

// Wait returns when the mount is gone and nothing of the server is left.
func (s *Server) Wait() { <-s.done }

// Done is closed when Wait would return.
func (s *Server) Done() <-chan struct{} { return s.done }

// start begins to serve; it runs until the device says that the mount is gone.
func (s *Server) start() {
	slots := maxWorkersView
	if s.opens {
		slots = maxSlots
	}
	for i := slots - 1; i >= 0; i-- {
		s.free = append(s.free, i)
	}
	s.face.tree.Watch(s.note.changed)
	s.workers.Go(s.watchdog)
	s.workers.Go(s.note.run)
	s.mu.Lock()
	s.startLocked()
	s.mu.Unlock()
	go s.finish()
}

// finish gives back what the server holds, after its last goroutine.
func (s *Server) finish() {
	s.workers.Wait()
	s.face.tree.Watch(nil)
	s.face.handles.clear()
	s.face.table.clear()
	unix.Close(s.fd)
	close(s.done)
}

const (
	// busyTries and busyPause bound how long Unmount waits for a holder that is
	// just going away: a descriptor on its way through fork and exec.
	busyTries = 20
	busyPause = 10 * time.Millisecond
)

// Unmount takes the mount away and returns when no descriptor, goroutine or
// mount of it is left. It returns a *BusyError when somebody holds the mount or
// has files of it open in another mount namespace, and ctx's error when the mount
// is gone from here but still there in another mount namespace; in both cases the
// tree is still served.
func (s *Server) Unmount(ctx context.Context) error {
	if busy := s.busy(); len(busy.Holders) > 0 && busy.Opened() {
		return busy // umount(2) knows of this namespace only
	}
	for try := 0; ; try++ {
		err := s.umount(0)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("unmount %s: %w", s.dir, err)
		}
		busy := s.busy()
		if len(busy.Holders) > 0 || try >= busyTries {
			return busy
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return busy
		}
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("unmount %s: still in use elsewhere: %w", s.dir, ctx.Err())
	}
}

// Detach takes the mount out of the tree of names at once. Those who hold it
// are served until they let go; Wait returns then.
func (s *Server) Detach() error {
	if err := s.umount(unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach %s: %w", s.dir, err)
	}
	return nil
}

// umount unmounts if the mount at dir is this one.
func (s *Server) umount(flags int) error {
	top, err := mountAt(s.dir)
	if err != nil {
		return err
	}
	if top == nil || top.Minor != s.minor || top.Major != 0 {
		return nil // gone already; what is there now is not ours
	}
	return unmount(s.dir, flags)
}

// busy says who holds the mount.
func (s *Server) busy() *BusyError {
	holders, _ := holdersOf(s.minor, []string{s.dir})
	return &BusyError{Dir: s.dir, Holders: holders, Hidden: len(holders) == 0}
}
