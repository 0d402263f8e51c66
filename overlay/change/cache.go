package change

import (
	"context"
	"crypto/sha256"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/layer"
)

const (
	// cacheMax bounds a Cache; when it is full it starts anew.
	cacheMax = 1 << 17
	// racy is how old a file's times must be before its hash is kept: two
	// writes within one tick of the clock are not told apart by times.
	racy = 2 * time.Second

	bufSize = 128 << 10
)

// Cache keeps hashes of file contents by inode number, size and times, so that
// asking again reads nothing again. It is safe for concurrent use; nil keeps nothing.
type Cache struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu sync.Mutex
	m  map[cacheKey][sha256.Size]byte
}

type cacheKey struct {
	view               bool
	ino                uint64
	size, mtime, ctime int64
}

func (c *Cache) get(k cacheKey) (sum [sha256.Size]byte, ok bool) {
	if c == nil {
		return sum, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	sum, ok = c.m[k]
	return sum, ok
}

func (c *Cache) put(k cacheKey, sum [sha256.Size]byte) {
	if c == nil {
		return
	}
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	if settled := now().Add(-racy).UnixNano(); k.mtime > settled || k.ctime > settled {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= cacheMax {
		c.m = make(map[cacheKey][sha256.Size]byte)
	}
	c.m[k] = sum
}

// hashView hashes a regular file of the view.
func (c *Cache) hashView(ctx context.Context, x overlay.Object) (sum [sha256.Size]byte, err error) {
	a, err := x.Attr()
	if err != nil {
		return sum, err
	}
	k := cacheKey{true, x.Ino, int64(a.Size), a.Mtime.UnixNano(), a.Ctime.UnixNano()}
	if sum, ok := c.get(k); ok {
		return sum, nil
	}
	f, err := x.Open()
	if err != nil {
		return sum, err
	}
	defer f.Close()
	sum, err = sum256(ctx, io.NewSectionReader(f, 0, f.Size()))
	if err == nil {
		c.put(k, sum)
	}
	return sum, err
}

// hashBase hashes a regular file of the base. st is what it is expected to be.
func (c *Cache) hashBase(ctx context.Context, b *base, p string, st *layer.Stat) (sum [sha256.Size]byte, err error) {
	k := cacheKey{false, st.Ino, st.Size, st.Mtime, st.Ctime}
	if sum, ok := c.get(k); ok {
		return sum, nil
	}
	fd, err := b.open(p)
	if err != nil {
		return sum, err
	}
	defer unix.Close(fd)
	var now layer.Stat
	if err := layer.Statx(fd, "", &now); err != nil {
		return sum, err
	}
	if now.Mode&unix.S_IFMT != unix.S_IFREG {
		return sum, unix.ESTALE
	}
	if sum, err = sum256(ctx, fdReader{fd}); err != nil {
		return sum, err
	}
	if now.Ino == st.Ino && now.Size == st.Size && now.Mtime == st.Mtime && now.Ctime == st.Ctime {
		c.put(k, sum)
	}
	return sum, nil
}

func sum256(ctx context.Context, r io.Reader) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if err := stream(ctx, h, r); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// stream copies until the end or until ctx ends.
func stream(ctx context.Context, w io.Writer, r io.Reader) error {
	buf := make([]byte, bufSize)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fdReader reads a descriptor from its start by its offset.
type fdReader struct{ fd int }

func (r fdReader) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(r.fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
