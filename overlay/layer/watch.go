package layer

import (
	"bytes"
	"encoding/binary"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	watchMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_MODIFY |
		unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

	// Overflow is the WD of the event that says: others were lost.
	Overflow = -1
)

// Event is one thing that happened in a watched directory.
type Event struct {
	WD   int32  // of the directory, or Overflow
	Mask uint32 // IN_… bits; IN_IGNORED is the last event of a watch
	Name string // empty when it is about the directory itself
}

// Watcher watches directories by inotify. Its channel holds a bounded number of
// events and the system holds another; who receives too slowly gets an Overflow
// and has to assume anything. Nobody is ever blocked by it but its own goroutine.
type Watcher struct {
	file   *os.File
	conn   syscallConn
	events chan Event
	stop   chan struct{}
	once   sync.Once
	done   chan struct{}
}

type syscallConn interface {
	Control(func(fd uintptr)) error
}

// NewWatcher starts a watcher whose channel holds queue events. The caller
// closes it.
func NewWatcher(queue int) (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "inotify")
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	w := &Watcher{
		file:   f,
		conn:   conn,
		events: make(chan Event, queue),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go w.run()
	return w, nil
}

// Events returns the channel; it is closed after Close, and when the descriptor
// fails.
func (w *Watcher) Events() <-chan Event { return w.events }

// Add watches a directory (fd may be O_PATH) and returns the number that its
// events carry. The same directory gets the same number again. A directory that is
// removed while somebody has it open tells nothing of it: its parent does. ENOSPC is the
// limit of the system, ENOMEM a lack of memory; os.ErrClosed after Close.
func (w *Watcher) Add(dirfd int) (wd int32, err error) {
	cerr := w.conn.Control(func(fd uintptr) {
		var n int
		n, err = unix.InotifyAddWatch(int(fd), procPath(dirfd, ""), watchMask)
		wd = int32(n)
	})
	if cerr != nil {
		return -1, os.ErrClosed
	}
	if err != nil {
		return -1, err
	}
	return wd, nil
}

// Remove ends a watch. Events of it that were read before may still come, then
// one with IN_IGNORED. EINVAL when there is no such watch, because the directory
// is gone for instance.
func (w *Watcher) Remove(wd int32) (err error) {
	cerr := w.conn.Control(func(fd uintptr) {
		_, err = unix.InotifyRmWatch(int(fd), uint32(wd))
	})
	if cerr != nil {
		return os.ErrClosed
	}
	return err
}

// Close ends all watches and waits for the goroutine. It may be called twice.
func (w *Watcher) Close() error {
	var err error
	w.once.Do(func() {
		close(w.stop)
		err = w.file.Close()
	})
	<-w.done
	return err
}

func (w *Watcher) run() {
	defer close(w.done)
	defer close(w.events)
	buf := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		if !w.deliver(buf[:n]) {
			return
		}
	}
}

// deliver blocks while the channel is full: the kernel's queue fills meanwhile
// and overflows in its own, well-defined way.
func (w *Watcher) deliver(b []byte) bool {
	for len(b) >= unix.SizeofInotifyEvent {
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		if size > len(b) {
			return true
		}
		e := Event{WD: int32(binary.NativeEndian.Uint32(b)), Mask: binary.NativeEndian.Uint32(b[4:])}
		name := b[unix.SizeofInotifyEvent:size]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		e.Name = string(name)
		b = b[size:]
		if e.Mask&unix.IN_Q_OVERFLOW != 0 {
			e.WD = Overflow
		}
		select {
		case w.events <- e:
		case <-w.stop:
			return false
		}
	}
	return true
}
