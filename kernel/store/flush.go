package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// flusher makes what was committed survive a power cut. Badger's own Sync
// skips a memtable that was full a moment ago and a value log that was just
// begun anew; this one syncs every file a commit may still be in only once.
type flusher struct {
	dir string

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
// meanwhile was written out, synced, as a table.
//
// Preconditions: turn is held.
func (f *flusher) syncFiles() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	newest := lastLog(f.names)
	for _, name := range names {
		if strings.HasSuffix(name, ".mem") || isLog(name) && name >= newest {
			if err := syncFile(filepath.Join(f.dir, name)); err != nil {
				return err
			}
		}
	}
	if !slices.Equal(names, f.names) {
		if err := syncFile(f.dir); err != nil {
			return err
		}
	}
	f.names = names
	return nil
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
