package overlay

import (
	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// fallocModes are the ways of fallocate(2) that a view has.
const fallocModes = unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_ZERO_RANGE

// Fallocate reserves, zeroes or punches out a range.
func (f *fileNode) Fallocate(c *tree.Caller, mode uint32, off, length int64) error {
	switch {
	case off < 0 || length <= 0:
		return unix.EINVAL
	case off > maxFile-length:
		return unix.EFBIG
	case mode&^fallocModes != 0:
		return unix.EOPNOTSUPP
	case mode&unix.FALLOC_FL_PUNCH_HOLE != 0 && mode&unix.FALLOC_FL_KEEP_SIZE == 0:
		return unix.EOPNOTSUPP
	}
	if err := f.o.allowTo(f.ino, reserved(mode, length)); err != nil {
		return err
	}
	by := f.o.by(c)
	f.io.Lock()
	defer f.io.Unlock()
	release, err := f.take()
	if err != nil {
		return err
	}
	defer release()
	f.o.sign(by, f.ino)
	id, size := f.ownContent()
	if id == 0 && f.fitsInline(mode, size, off+length) {
		return f.fallocInline(mode, size, off, length)
	}
	if id == 0 {
		if id, err = f.spill(size); err != nil {
			return err
		}
	}
	fd, err := f.o.openData(id)
	if err != nil {
		return err
	}
	defer f.o.fds.put(fd)
	return ignoringEINTR(func() error { return unix.Fallocate(fd.fd, mode, off, length) })
}

// reserved is how many bytes a fallocate takes of the disk.
func reserved(mode uint32, length int64) int64 {
	if mode&unix.FALLOC_FL_PUNCH_HOLE != 0 {
		return 0
	}
	return length
}

// fitsInline tells whether the change can be made to inline content of a size:
// what only reserves space beyond it cannot.
func (f *fileNode) fitsInline(mode uint32, size, end int64) bool {
	if mode&unix.FALLOC_FL_PUNCH_HOLE != 0 {
		return true
	}
	return end <= meta.MaxInline && (mode&unix.FALLOC_FL_KEEP_SIZE == 0 || end <= size)
}

func (f *fileNode) fallocInline(mode uint32, size, off, length int64) error {
	end := off + length
	zero := mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0
	if mode&unix.FALLOC_FL_PUNCH_HOLE != 0 {
		end = min(end, size)
	}
	return f.o.change(func() error {
		now := f.o.now()
		if end > size {
			f.o.tx.Resize(f.ino, end, now)
		}
		if zero && end > off {
			f.o.tx.Write(f.ino, off, make([]byte, end-off), now)
		}
		if f.o.tx.Len() == 0 {
			f.o.tx.Resize(f.ino, max(size, 0), now)
		}
		return nil
	}, nil)
}

// Lseek finds data or a hole.
func (f *fileNode) Lseek(off int64, whence int) (int64, error) {
	if whence != tree.SeekData && whence != tree.SeekHole {
		return 0, unix.EINVAL
	}
	f.io.RLock()
	defer f.io.RUnlock()
	return retry(f.o, func() (int64, error) { return f.seek(off, whence) })
}

// seek is Lseek with f.io held.
func (f *fileNode) seek(off int64, whence int) (int64, error) {
	o := f.o
	o.mu.RLock()
	_, x := o.rec(f.ino)
	if x != nil && x.Where == meta.Inline {
		size := x.Size
		o.mu.RUnlock()
		return seekSolid(off, size, whence)
	}
	src := f.sourceLocked(x)
	o.mu.RUnlock()
	fd, err := src.open()
	if err != nil {
		return 0, err
	}
	defer o.fds.put(fd)
	return unix.Seek(fd.fd, off, whence)
}

// seekSolid is lseek(2) in a file without holes.
func seekSolid(off, size int64, whence int) (int64, error) {
	if off < 0 || off >= size {
		return 0, unix.ENXIO
	}
	if whence == tree.SeekData {
		return off, nil
	}
	return size, nil
}

// CopyRange copies between files of the view, by clone where the disk can.
func (f *fileNode) CopyRange(c *tree.Caller, off int64, dst tree.File, dstOff, length int64) (int64, error) {
	to, ok := dst.(*fileNode)
	if !ok || to.o != f.o {
		return 0, unix.EXDEV
	}
	if off < 0 || dstOff < 0 || length < 0 || dstOff > maxFile-length {
		return 0, unix.EINVAL
	}
	by := f.o.by(c)
	if n, done, err := f.copyDisk(off, to, dstOff, length); done {
		if err == nil {
			f.o.sign(by, to.ino)
		}
		return n, err
	}
	return f.copyThrough(c, off, to, dstOff, length)
}

// copyDisk has the disk do it; done is false when one side is inline.
func (f *fileNode) copyDisk(off int64, to *fileNode, dstOff, length int64) (n int64, done bool, err error) {
	if dstOff+length <= meta.MaxInline {
		return 0, false, nil
	}
	var a tree.Attr
	if err := f.Getattr(&a); err != nil {
		return 0, true, err
	}
	if err := f.o.allowTo(to.ino, max(0, min(length, int64(a.Size)-off))); err != nil {
		return 0, true, err
	}
	unlock := lockPair(f, to)
	defer unlock()
	release, err := to.take()
	if err != nil {
		return 0, true, err
	}
	defer release()
	o := f.o
	o.mu.RLock()
	_, x := o.rec(f.ino)
	if x != nil && x.Where == meta.Inline {
		o.mu.RUnlock()
		return 0, false, nil
	}
	src := f.sourceLocked(x)
	o.mu.RUnlock()
	from, err := src.open()
	if err != nil {
		return 0, true, err
	}
	defer o.fds.put(from)
	var st layer.Stat
	if err := layer.Statx(from.fd, "", &st); err != nil {
		return 0, true, err
	}
	length = min(length, st.Size-off)
	if length <= 0 {
		return 0, true, nil
	}
	id, size := to.ownContent()
	if id == 0 {
		if id, err = to.spill(size); err != nil {
			return 0, true, err
		}
	}
	into, err := o.openData(id)
	if err != nil {
		return 0, true, err
	}
	defer o.fds.put(into)
	n, err = layer.CopyRange(into.fd, dstOff, from.fd, off, length)
	return n, true, err
}

// lockPair locks the content of both, in an order that all agree on.
func lockPair(from, to *fileNode) (unlock func()) {
	if from == to {
		to.io.Lock()
		return to.io.Unlock
	}
	if from.id < to.id {
		from.io.RLock()
		to.io.Lock()
	} else {
		to.io.Lock()
		from.io.RLock()
	}
	return func() { to.io.Unlock(); from.io.RUnlock() }
}

// copyThrough copies through memory, a piece at a time.
func (f *fileNode) copyThrough(c *tree.Caller, off int64, to *fileNode, dstOff, length int64) (int64, error) {
	buf := make([]byte, min(length, 128<<10))
	var done int64
	for done < length {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), length-done)], off+done)
		if n == 0 || err != nil {
			return done, orNil(err, done)
		}
		if _, err := to.WriteAt(c, buf[:n], dstOff+done, false, false); err != nil {
			return done, orNil(err, done)
		}
		done += int64(n)
	}
	return done, nil
}

// orNil hides an error behind progress: the caller comes again and meets it then.
func orNil(err error, done int64) error {
	if done > 0 {
		return nil
	}
	return err
}
