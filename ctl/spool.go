package ctl

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"astrid/fs/mem"
	"astrid/fs/tree"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// stream is a file to read with the bytes that an operation writes, made anew for
// each open.
func stream[P any](t *Tree, session, method string, params P) mem.File {
	return mem.Func(func(c *tree.Caller, flags uint32) (tree.Handle, error) {
		if flags&unix.O_ACCMODE != unix.O_RDONLY {
			return nil, syscall.EACCES
		}
		return &spooled{tree: t, session: session, method: method, caller: *c, write: func(ctx context.Context, w io.Writer) error {
			_, err := op.Run[P, wire.None](ctx, t.config.Table, method, params, w)
			return err
		}}, nil
	}).Perm(0o400)
}

// patch is a session's patch file.
func (t *Tree) patch(session string) mem.File {
	return stream(t, session, op.Patch, wire.For[wire.PatchRequest]{Session: session})
}

// spooled is one open of such a file. Its bytes are made at the first read, into a
// file without a name, since they may be larger than memory.
type spooled struct {
	tree            *Tree
	session, method string
	caller          tree.Caller
	write           func(context.Context, io.Writer) error

	mu    sync.Mutex
	spool *os.File // nil until the first read, guarded by mu
}

var _ tree.Handle = (*spooled)(nil)

// Read implements tree.Handle.
func (h *spooled) Read(ctx context.Context, p []byte, off int64) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spool == nil {
		if err := h.make(ctx); err != nil {
			return 0, h.tree.failed(h.session, h.method, err)
		}
	}
	n, err := h.spool.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// make fills the spool.
// Preconditions: h.mu is held.
func (h *spooled) make(ctx context.Context) error {
	fd, err := unix.Open(h.tree.config.Spool, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "make room for the answer to %s in %s", h.method, h.tree.config.Spool)
	}
	spool := os.NewFile(uintptr(fd), h.method+" of "+h.session)
	if err := h.write(h.tree.as(ctx, &h.caller), spool); err != nil {
		_ = spool.Close()
		return err
	}
	h.spool = spool
	return nil
}

// Write implements tree.Handle.
func (h *spooled) Write(context.Context, []byte, int64) (int, error) { return 0, syscall.EBADF }

// Flush implements tree.Handle.
func (h *spooled) Flush(context.Context) error { return nil }

// Release implements tree.Handle.
func (h *spooled) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spool != nil {
		_ = h.spool.Close()
	}
}
