package ctl

import (
	"context"
	"io"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// follow opens events.follow: what the bus remembers, and then each message as
// it comes. A read waits for the next one.
func (t *Tree) follow(c *tree.Caller, flags uint32) (tree.Handle, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, syscall.EACCES
	}
	if err := t.allow(c); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(t.ctx)
	f := &follower{tree: t, cancel: cancel, pieces: make(chan []byte), over: make(chan struct{})}
	ctx = t.as(ctx, c)
	go func() {
		defer close(f.over)
		_, f.err = op.Run[wire.EventsRequest, wire.None](ctx, t.config.Table, op.Events, wire.EventsRequest{Follow: true}, pieces{ctx, f.pieces})
	}()
	return f, nil
}

// follower is one open of events.follow.
type follower struct {
	tree   *Tree
	cancel context.CancelFunc
	pieces chan []byte   // from the operation
	over   chan struct{} // closed when the operation has ended
	err    error         // of the operation, once over is closed

	mu   sync.Mutex
	rest []byte // of a piece that did not fit a read, guarded by mu
}

var _ tree.Handle = (*follower)(nil)

// Read implements tree.Handle: it waits for something to read.
func (f *follower) Read(ctx context.Context, p []byte, _ int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.rest) == 0 {
		select {
		case f.rest = <-f.pieces:
		case <-f.over:
			if f.err != nil {
				return 0, f.tree.failed("", op.Events, f.err)
			}
			return 0, nil
		case <-ctx.Done():
			return 0, syscall.EINTR
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// Write implements tree.Handle.
func (f *follower) Write(context.Context, []byte, int64) (int, error) { return 0, syscall.EBADF }

// Flush implements tree.Handle.
func (f *follower) Flush(context.Context) error { return nil }

// Release implements tree.Handle.
func (f *follower) Release() {
	f.cancel()
	<-f.over
}

// pieces hands what is written to a reader, one piece at a time, so that a
// reader who does not read holds up nothing but its own subscription.
type pieces struct {
	ctx context.Context
	to  chan<- []byte
}

var _ io.Writer = pieces{}

// Write waits for the reader.
func (w pieces) Write(p []byte) (int, error) {
	select {
	case w.to <- append([]byte(nil), p...):
		return len(p), nil
	case <-w.ctx.Done():
		return 0, w.ctx.Err()
	}
}
