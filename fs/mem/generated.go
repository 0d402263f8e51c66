package mem

import (
	"bytes"
	"context"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// generated is the node of a File item. item is guarded by t.mu.
type generated struct {
	node
	item File
}

var (
	_ tree.File   = (*generated)(nil)
	_ tree.Opener = (*generated)(nil)
)

// Open implements tree.Opener.
func (g *generated) Open(c *tree.Caller, flags uint32) (tree.Handle, error) {
	if allow := g.t.opts.Allow; allow != nil {
		if err := allow(c); err != nil {
			return nil, err
		}
	}
	g.t.mu.RLock()
	item := g.item
	g.t.mu.RUnlock()
	reads := flags&unix.O_ACCMODE != unix.O_WRONLY
	writes := flags&unix.O_ACCMODE != unix.O_RDONLY
	switch {
	case item.open != nil:
		return item.open(c, flags)
	case reads && item.source == nil && !writes, writes && item.sink == nil:
		return nil, syscall.EACCES
	}
	return &handle{item: item, caller: *c}, nil
}

// ReadAt implements tree.File: there is nothing outside of an open.
func (g *generated) ReadAt([]byte, int64) (int, error) { return 0, syscall.EBADF }

// WriteAt implements tree.File.
func (g *generated) WriteAt(*tree.Caller, []byte, int64, bool, bool) (int, error) {
	return 0, syscall.EBADF
}

// Fallocate implements tree.File.
func (g *generated) Fallocate(*tree.Caller, uint32, int64, int64) error { return syscall.EOPNOTSUPP }

// Lseek implements tree.File.
func (g *generated) Lseek(int64, int) (int64, error) { return 0, syscall.EINVAL }

// CopyRange implements tree.File; the kernel copies by reading then.
func (g *generated) CopyRange(*tree.Caller, int64, tree.File, int64, int64) (int64, error) {
	return 0, syscall.EOPNOTSUPP
}

// handle is one open of a generated file.
type handle struct {
	item   File
	caller tree.Caller

	mu      sync.Mutex
	content []byte // nil until the first read
	made    bool
	pending []byte // written without a newline so far
}

var _ tree.Handle = (*handle)(nil)

// Read implements tree.Handle.
func (h *handle) Read(ctx context.Context, p []byte, off int64) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.item.source == nil {
		return 0, nil
	}
	if !h.made {
		content, err := h.item.source(ctx)
		if err != nil {
			return 0, err
		}
		h.content, h.made = content, true
	}
	if off >= int64(len(h.content)) {
		return 0, nil
	}
	return copy(p, h.content[off:]), nil
}

// Write implements tree.Handle.
func (h *handle) Write(ctx context.Context, p []byte, _ int64) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.item.sink == nil {
		return 0, syscall.EBADF
	}
	rest := p
	for {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		if len(h.pending)+len(line) > h.item.max {
			h.pending = nil
			return 0, syscall.E2BIG
		}
		h.pending = append(h.pending, line...)
		if !whole {
			return len(p), nil
		}
		if err := h.run(ctx); err != nil {
			return 0, err
		}
		rest = after
	}
}

// run hands the pending line over.
// Preconditions: h.mu is held.
func (h *handle) run(ctx context.Context) error {
	line := string(h.pending)
	h.pending = h.pending[:0]
	return h.item.sink(ctx, &h.caller, line)
}

// Flush implements tree.Handle.
func (h *handle) Flush(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pending) == 0 {
		return nil
	}
	return h.run(ctx)
}

// Release implements tree.Handle.
func (h *handle) Release() {}
