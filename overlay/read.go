package overlay

import (
	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// ReadAt fills p from the content at off.
func (f *fileNode) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, unix.EINVAL
	}
	if err := f.pinForRead(); err != nil {
		return 0, err
	}
	for {
		gen := f.o.hold.gen.Load()
		f.io.RLock()
		n, err := f.readAt(p, off)
		f.io.RUnlock()
		if err == nil || !f.o.hold.again(gen, err) {
			return n, err
		}
	}
}

// readAt is ReadAt with f.io held.
func (f *fileNode) readAt(p []byte, off int64) (int, error) {
	o := f.o
	o.mu.RLock()
	l, x := o.rec(f.ino)
	if x != nil && x.Where == meta.Inline {
		defer o.mu.RUnlock()
		return l.ReadInline(x, p, off)
	}
	src := f.sourceLocked(x)
	o.mu.RUnlock()
	fd, err := src.open()
	if err != nil {
		return 0, err
	}
	defer o.fds.put(fd)
	return pread(fd.fd, p, off)
}

// source is where content that is not inline comes from.
type source struct {
	f    *fileNode
	data uint64 // a data file, when not 0
	key  layer.Key
	any  bool // whatever is at the place: the view changed the file where the base has it
}

// sourceLocked tells where the content of f is. Preconditions: o.mu is held; x
// is f's record in force and its content not inline.
func (f *fileNode) sourceLocked(x *meta.Rec) source {
	if x != nil && x.Where == meta.Data {
		return source{f: f, data: x.DataID}
	}
	return source{f: f, key: f.key, any: x != nil && x.Own&meta.Moved == 0}
}

// open returns a pinned descriptor of the content, for reading.
func (s source) open() (*fdEntry, error) {
	if s.data != 0 {
		return s.f.o.openData(s.data)
	}
	return s.f.openBase(s.key, s.any)
}

// openBase returns a pinned descriptor of the base file: the one with key, or
// any that is at its place.
func (f *fileNode) openBase(key layer.Key, any bool) (*fdEntry, error) {
	o := f.o
	k := fdKey{node: f.id}
	if e := o.fds.get(k); e != nil {
		return e, nil
	}
	l := f.loc.Load()
	if l == nil || l.up == nil {
		return nil, unix.ESTALE
	}
	up, err := o.dirfd(l.up)
	if err != nil {
		return nil, err
	}
	defer o.fds.put(up)
	fd, err := o.retryEMFILE(func() (int, error) {
		return layer.Open(up.fd, l.name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	})
	if err != nil {
		return nil, stale(err)
	}
	var st layer.Stat
	if err := layer.Statx(fd, "", &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || !any && !o.key(st.Key).Same(key) {
		unix.Close(fd)
		return nil, unix.ESTALE
	}
	return o.fds.add(k, fd), nil
}

// pread reads until p is full or the file ends.
func pread(fd int, p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		m, err := unix.Pread(fd, p[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return n, nil
}

// pwrite writes all of p.
func pwrite(fd int, p []byte, off int64) error {
	for len(p) > 0 {
		m, err := unix.Pwrite(fd, p, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p, off = p[m:], off+int64(m)
	}
	return nil
}

// ReadMayBlock tells whether a read may have to wait for a disk: the bytes are
// not in memory. It errs on the side of yes.
func (f *fileNode) ReadMayBlock(off int64, n int) bool {
	o := f.o
	o.mu.RLock()
	_, x := o.rec(f.ino)
	if x != nil && x.Where == meta.Inline {
		o.mu.RUnlock()
		return false
	}
	src := f.sourceLocked(x)
	o.mu.RUnlock()
	fd, err := src.open() // at most some directories are read for it, as by a lookup
	if err != nil {
		return true
	}
	defer o.fds.put(fd)
	var st unix.Stat_t
	if unix.Fstat(fd.fd, &st) != nil {
		return true
	}
	end := min(off+int64(n), st.Size)
	if end <= off {
		return false
	}
	var last [1]byte
	m, err := unix.Preadv2(fd.fd, [][]byte{last[:]}, end-1, unix.RWF_NOWAIT)
	return err != nil || m == 0
}
