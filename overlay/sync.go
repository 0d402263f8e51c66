package overlay

import (
	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Fsync makes names and attributes survive a power cut.
func (n *node) Fsync(bool) error { return n.o.syncLog() }

// Fsync makes the file survive a power cut: its bytes, and the log that names it.
func (f *fileNode) Fsync(dataOnly bool) error {
	o := f.o
	o.mu.RLock()
	_, x := o.rec(f.ino)
	if x == nil {
		o.mu.RUnlock()
		return nil // as it is in the base: nothing of ours
	}
	id := x.DataID
	inFile := x.Where == meta.Data
	o.mu.RUnlock()
	if inFile {
		fd, err := o.openData(id)
		if err != nil {
			return err
		}
		defer o.fds.put(fd)
		sync := unix.Fsync
		if dataOnly {
			sync = unix.Fdatasync
		}
		if err := ignoringEINTR(func() error { return sync(fd.fd) }); err != nil {
			return err
		}
		if err := o.syncDataDir(); err != nil {
			return err
		}
	}
	return o.syncLog()
}

// syncDataDir makes the names of data files survive, if any was made since the
// last time.
func (o *Overlay) syncDataDir() error {
	made := o.dataMade.Load()
	if o.dataSynced.Load() >= made {
		return nil
	}
	fd, err := layer.Open(o.data, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := layer.SyncDir(fd); err != nil {
		return err
	}
	o.dataSynced.Store(made)
	return nil
}

// syncLog syncs every log of the stack without holding the lock meanwhile.
// Deeper logs were synced when they were frozen.
func (o *Overlay) syncLog() error {
	o.mu.RLock()
	fd, err := unix.FcntlInt(uintptr(o.top().SyncFd()), unix.F_DUPFD_CLOEXEC, 0)
	o.mu.RUnlock()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return ignoringEINTR(func() error { return unix.Fdatasync(fd) })
}
