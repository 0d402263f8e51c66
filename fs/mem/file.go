package mem

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// chunkSize is the unit in which a file has bytes or a hole.
const chunkSize = 16 << 10

// maxSize bounds a file.
const maxSize = 1 << 43

// file is a regular file: chunks by index; a missing one is a hole. A chunk
// holds zeros beyond the end of the file.
type file struct {
	node
	chunks map[int64]*[chunkSize]byte
}

var _ tree.File = (*file)(nil)

// ReadAt implements tree.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.t.mu.RLock()
	defer f.t.mu.RUnlock()
	return f.readLocked(p, off), nil
}

func (f *file) readLocked(p []byte, off int64) int {
	n := int(max(0, min(int64(len(p)), int64(f.attr.Size)-off)))
	for done := 0; done < n; {
		at := off + int64(done)
		in := at % chunkSize
		part := p[done:min(n, done+int(chunkSize-in))]
		if c := f.chunks[at/chunkSize]; c != nil {
			copy(part, c[in:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return n
}

// WriteAt implements tree.File.
func (f *file) WriteAt(_ *tree.Caller, p []byte, off int64, atEnd, killPriv bool) (int, error) {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	if atEnd {
		off = int64(f.attr.Size)
	}
	if off+int64(len(p)) > maxSize {
		return 0, syscall.EFBIG
	}
	f.writeLocked(p, off)
	delete(f.xattrs, "security.capability")
	if killPriv {
		f.killPriv()
	}
	f.modified()
	return len(p), nil
}

// WritePages implements tree.PageWriter.
func (f *file) WritePages(c *tree.Caller, p []byte, off int64, killPriv bool) (int, error) {
	f.t.mu.Lock()
	mtime, ctime := f.attr.Mtime, f.attr.Ctime
	f.t.mu.Unlock()
	n, err := f.WriteAt(c, p, off, false, killPriv)
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	f.attr.Mtime, f.attr.Ctime = mtime, ctime
	return n, err
}

func (f *file) writeLocked(p []byte, off int64) {
	for done := 0; done < len(p); {
		at := off + int64(done)
		done += copy(f.chunk(at / chunkSize)[at%chunkSize:], p[done:])
	}
	if end := uint64(off) + uint64(len(p)); len(p) > 0 && end > f.attr.Size {
		f.attr.Size = end
	}
}

// chunk returns a chunk, made if it is a hole.
func (f *file) chunk(i int64) *[chunkSize]byte {
	c := f.chunks[i]
	if c == nil {
		if f.chunks == nil {
			f.chunks = make(map[int64]*[chunkSize]byte)
		}
		c = new([chunkSize]byte)
		f.chunks[i] = c
		f.t.bytes += chunkSize
		f.attr.Blocks += chunkSize / 512
	}
	return c
}

// hole frees a chunk.
func (f *file) hole(i int64) {
	if f.chunks[i] != nil {
		delete(f.chunks, i)
		f.t.bytes -= chunkSize
		f.attr.Blocks -= chunkSize / 512
	}
}

func (f *file) modified() {
	f.attr.Mtime = time.Now()
	f.attr.Ctime = f.attr.Mtime
}

// zero makes [off, end) read as zeros, freeing whole chunks.
func (f *file) zero(off, end int64) {
	for off < end {
		i, in := off/chunkSize, off%chunkSize
		to := min(end-i*chunkSize, chunkSize)
		if in == 0 && to == chunkSize {
			f.hole(i)
		} else if c := f.chunks[i]; c != nil {
			clear(c[in:to])
		}
		off = i*chunkSize + to
	}
}

// Setattr implements tree.Node.
func (f *file) Setattr(_ *tree.Caller, in *tree.SetAttr, out *tree.Attr) error {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	if err := f.mayChange(in); err != nil {
		return err
	}
	if in.Valid&tree.SetSize != 0 {
		if in.Size > maxSize {
			return syscall.EFBIG
		}
		f.resize(int64(in.Size))
		delete(f.xattrs, "security.capability")
		f.modified()
	}
	f.setLocked(in)
	*out = f.attr
	return nil
}

// resize cuts or extends the file.
func (f *file) resize(size int64) {
	old := int64(f.attr.Size)
	f.attr.Size = uint64(size)
	if size >= old {
		return
	}
	f.zero(size, min(old, (size+chunkSize-1)/chunkSize*chunkSize))
	for i := range f.chunks {
		if i*chunkSize >= size {
			f.hole(i)
		}
	}
}

// Fallocate implements tree.File.
func (f *file) Fallocate(_ *tree.Caller, mode uint32, off, length int64) error {
	const known = unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_ZERO_RANGE
	end := off + length
	switch {
	case mode&^known != 0:
		return syscall.EOPNOTSUPP
	case end > maxSize:
		return syscall.EFBIG
	}
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	size := int64(f.attr.Size)
	if mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0 {
		f.zeroWithin(off, min(end, size))
	}
	if mode&unix.FALLOC_FL_KEEP_SIZE == 0 && end > size {
		f.attr.Size = uint64(end)
	}
	f.modified()
	return nil
}

// zeroWithin is zero for a range that may be larger than what has bytes.
func (f *file) zeroWithin(off, end int64) {
	for i := range f.chunks {
		from, to := max(off, i*chunkSize), min(end, (i+1)*chunkSize)
		if from < to {
			f.zero(from, to)
		}
	}
}

// Lseek implements tree.File.
func (f *file) Lseek(off int64, whence int) (int64, error) {
	f.t.mu.RLock()
	defer f.t.mu.RUnlock()
	size := int64(f.attr.Size)
	if off < 0 || off >= size {
		return 0, syscall.ENXIO
	}
	if whence == tree.SeekHole {
		for off < size && f.chunks[off/chunkSize] != nil {
			off = (off/chunkSize + 1) * chunkSize
		}
		return min(off, size), nil
	}
	next := int64(-1)
	for i := range f.chunks {
		if i >= off/chunkSize && (next < 0 || i < next) {
			next = i
		}
	}
	if next < 0 || next*chunkSize >= size {
		return 0, syscall.ENXIO
	}
	return max(off, next*chunkSize), nil
}

// CopyRange implements tree.File.
func (f *file) CopyRange(c *tree.Caller, off int64, dst tree.File, dstOff, length int64) (int64, error) {
	to, ok := dst.(*file)
	if !ok || to.t != f.t {
		return 0, syscall.EXDEV
	}
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	if f == to && off < dstOff+length && dstOff < off+length {
		return 0, syscall.EINVAL
	}
	buf := make([]byte, chunkSize)
	var done int64
	for done < length {
		n := f.readLocked(buf[:min(chunkSize, length-done)], off+done)
		if n == 0 {
			break
		}
		if dstOff+done+int64(n) > maxSize {
			return done, syscall.EFBIG
		}
		to.writeLocked(buf[:n], dstOff+done)
		done += int64(n)
	}
	to.killPriv()
	to.modified()
	return done, nil
}
