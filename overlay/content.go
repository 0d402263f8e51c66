package overlay

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Content is the bytes of a regular file of a snapshot.
type Content struct {
	io.ReaderAt
	size int64
	f    *os.File // nil: in memory
}

// Size returns the length in bytes.
func (c *Content) Size() int64 { return c.size }

// Fd returns a descriptor of a file on disk that has exactly these bytes (for a
// clone, or to find holes), or -1.
func (c *Content) Fd() int {
	if c.f == nil {
		return -1
	}
	return int(c.f.Fd())
}

// Close closes the descriptor.
func (c *Content) Close() error {
	if c.f == nil {
		return nil
	}
	return c.f.Close()
}

// Open opens the content of a regular file: ESTALE when it is the base's and the
// base has another file there.
func (x Object) Open() (*Content, error) {
	if x.kind != unix.S_IFREG {
		return nil, unix.EINVAL
	}
	o := x.s.o
	o.mu.RLock()
	l, r := x.s.rec(x.Ino)
	if r != nil && r.Where == meta.Inline {
		defer o.mu.RUnlock()
		b := make([]byte, r.Size)
		_, err := l.ReadInline(r, b, 0)
		return &Content{ReaderAt: bytes.NewReader(b), size: r.Size}, err
	}
	if r != nil && r.Where == meta.Data {
		fd, err := layer.Open(o.data, dataName(r.DataID), unix.O_RDONLY, 0)
		o.mu.RUnlock()
		if err != nil {
			return nil, err
		}
		return contentOf(fd, nil)
	}
	o.mu.RUnlock()
	return x.openBase(r)
}

func (x Object) openBase(r *meta.Rec) (*Content, error) {
	o := x.s.o
	at := x.place(r)
	if at == nil || at.up == nil {
		return nil, unix.ESTALE
	}
	up, err := o.dirfd(at.up)
	if err != nil {
		return nil, err
	}
	defer o.fds.put(up)
	fd, err := layer.Open(up.fd, at.name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, stale(err)
	}
	return contentOf(fd, func(st *layer.Stat) bool {
		return r == nil || r.Base == nil || o.key(st.Key).Same(r.Base.Key)
	})
}

func contentOf(fd int, same func(*layer.Stat) bool) (*Content, error) {
	var st layer.Stat
	if err := layer.Statx(fd, "", &st); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if same != nil && !same(&st) {
		unix.Close(fd)
		return nil, unix.ESTALE
	}
	f := os.NewFile(uintptr(fd), "content")
	return &Content{ReaderAt: f, size: st.Size, f: f}, nil
}
