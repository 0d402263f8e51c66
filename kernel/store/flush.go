package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// flusher makes what was committed survive a power cut. Badger's own Sync
// skips a memtable that was full a moment ago and a value log that was just
// begun anew; this one syncs every file a commit may still be in only once.
type flusher struct {
	dir *os.File // the directory, open for as long as the store is

	turn  sync.Mutex // held by the sync under way
	names []string   // the directory at the last sync; guarded by turn

	mu   sync.Mutex
	next *pass // gathers who waits for the next sync; guarded by mu
}

// pass is one sync and those who share it.
type pass struct {
	done chan struct{}
	err  error // set before done is closed
}

// sync returns after a sync that began after the call.
func (f *flusher) sync() error {
	f.mu.Lock()
	p, leads := f.next, f.next == nil
	if leads {
		p = &pass{done: make(chan struct{})}
		f.next = p
	}
	f.mu.Unlock()
	if leads {
		f.lead(p)
	}
	<-p.done
	return p.err
}

func (f *flusher) lead(p *pass) {
	f.turn.Lock()
	defer f.turn.Unlock()
	f.mu.Lock()
	f.next = nil
	f.mu.Unlock()
	p.err = f.syncFiles()
	close(p.done)
}

// syncFiles syncs the logs of the memtables, the value logs written since the
// last time, and the directory when its names changed. A log that vanishes
// meanwhile was written out, synced, as a table. While there is no descriptor
// for a log, the whole file system is synced, and f.names stays: the next sync
// looks at all these files again.
//
// Preconditions: turn is held.
func (f *flusher) syncFiles() error {
	names, err := f.list()
	if err != nil {
		return err
	}
	newest := lastLog(f.names)
	for _, name := range names {
		if strings.HasSuffix(name, ".mem") || isLog(name) && name >= newest {
			err := syncFile(filepath.Join(f.dir.Name(), name))
			if noDescriptor(err) {
				return f.syncDisk(err)
			}
			if err != nil {
				return err
			}
		}
	}
	if !slices.Equal(names, f.names) {
		if err := f.dir.Sync(); err != nil {
			return err
		}
	}
	f.names = names
	return nil
}

// list returns the names in the directory, sorted.
func (f *flusher) list() ([]string, error) {
	if _, err := f.dir.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	names, err := f.dir.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// syncDisk syncs the file system that the store is on, which takes no
// descriptor. FUSE says that it does and does not: there the sync is refused
// with cause.
func (f *flusher) syncDisk(cause error) error {
	fd := int(f.dir.Fd())
	var disk unix.Statfs_t
	if err := unix.Fstatfs(fd, &disk); err != nil {
		return err
	}
	if disk.Type == unix.FUSE_SUPER_MAGIC {
		return cause
	}
	return unix.Syncfs(fd)
}

// noDescriptor tells whether a file could not be opened because the process, or
// the machine, has too many open. Nothing was tried then, so nothing was lost.
func noDescriptor(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

func isLog(name string) bool { return strings.HasSuffix(name, ".vlog") }

// lastLog is the value log that was written to when names, sorted, were read.
func lastLog(names []string) string {
	for _, name := range slices.Backward(names) {
		if isLog(name) {
			return name
		}
	}
	return ""
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
