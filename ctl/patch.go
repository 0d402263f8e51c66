package ctl

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// patch opens a session's patch file.
func (t *Tree) patch(name string) func(*tree.Caller, uint32) (tree.Handle, error) {
	return func(c *tree.Caller, flags uint32) (tree.Handle, error) {
		if flags&unix.O_ACCMODE != unix.O_RDONLY {
			return nil, syscall.EACCES
		}
		return &patchHandle{tree: t, session: name, caller: *c}, nil
	}
}

// patchHandle is one open of a patch file. The patch is made at the first read,
// into a file without a name, since it may be larger than memory.
type patchHandle struct {
	tree    *Tree
	session string
	caller  tree.Caller

	mu    sync.Mutex
	spool *os.File // nil until the first read, guarded by mu
}

var _ tree.Handle = (*patchHandle)(nil)

// Read implements tree.Handle.
func (h *patchHandle) Read(ctx context.Context, p []byte, off int64) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spool == nil {
		if err := h.make(ctx); err != nil {
			return 0, h.tree.failed(h.session, op.Patch, err)
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
func (h *patchHandle) make(ctx context.Context) error {
	fd, err := unix.Open(h.tree.config.Spool, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "make room for the patch in %s", h.tree.config.Spool)
	}
	spool := os.NewFile(uintptr(fd), "patch of "+h.session)
	_, err = op.Run[wire.For[wire.PatchRequest], wire.None](h.tree.as(ctx, &h.caller), h.tree.config.Table, op.Patch,
		wire.For[wire.PatchRequest]{Session: h.session}, spool)
	if err != nil {
		_ = spool.Close()
		return err
	}
	h.spool = spool
	return nil
}

// Write implements tree.Handle.
func (h *patchHandle) Write(context.Context, []byte, int64) (int, error) { return 0, syscall.EBADF }

// Flush implements tree.Handle.
func (h *patchHandle) Flush(context.Context) error { return nil }

// Release implements tree.Handle.
func (h *patchHandle) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spool != nil {
		_ = h.spool.Close()
	}
}
