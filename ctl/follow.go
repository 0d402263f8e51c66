package ctl

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// follow opens events.follow: what the bus remembers, and then each message as
// it comes. A read waits for the next one. Who opens it to write too may say where
// it begins, for this open file: since=N, after message N, or new, after the last.
func (t *Tree) follow(c *tree.Caller, flags uint32) (tree.Handle, error) {
	if flags&unix.O_ACCMODE == unix.O_WRONLY {
		return nil, t.failed("", "events.follow", fault.New(fault.Denied, "a beginning counts for one open file: open it to read and write, as in exec 3<>events.follow"))
	}
	if err := t.allow(c); err != nil {
		return nil, err
	}
	f := &follower{tree: t, caller: *c}
	f.begin(wire.EventsRequest{})
	return f, nil
}

// follower is one open of events.follow.
type follower struct {
	tree   *Tree
	caller tree.Caller
	all    sync.WaitGroup // operations

	mu   sync.Mutex
	run  *following // guarded by mu
	rest []byte     // of a piece that did not fit a read, guarded by mu
	line []byte     // of what is written, not whole yet, guarded by mu
}

// following is one operation of a follower.
type following struct {
	cancel context.CancelFunc
	pieces chan []byte   // from the operation
	over   chan struct{} // closed when the operation has ended
	err    error         // of the operation, once over is closed
}

var _ tree.Handle = (*follower)(nil)

// begin follows from somewhere on, instead of where the follower was.
// Preconditions: f.mu is held, or nobody else has f.
func (f *follower) begin(req wire.EventsRequest) {
	if f.run != nil {
		f.run.cancel()
	}
	req.Follow = true
	ctx, cancel := context.WithCancel(f.tree.ctx)
	r := &following{cancel: cancel, pieces: make(chan []byte), over: make(chan struct{})}
	ctx = f.tree.as(ctx, &f.caller)
	f.all.Go(func() {
		defer close(r.over)
		_, r.err = op.Run[wire.EventsRequest, wire.None](ctx, f.tree.config.Table, op.Events, req, pieces{ctx, r.pieces})
	})
	f.run, f.rest = r, nil
}

// Read implements tree.Handle: it waits for something to read.
func (f *follower) Read(ctx context.Context, p []byte, _ int64) (int, error) {
	for {
		f.mu.Lock()
		r := f.run
		if n := copy(p, f.rest); n > 0 {
			f.rest = f.rest[n:]
			f.mu.Unlock()
			return n, nil
		}
		f.mu.Unlock()
		select {
		case piece := <-r.pieces:
			f.mu.Lock()
			if f.run == r {
				f.rest = append(f.rest, piece...)
			}
			f.mu.Unlock()
		case <-r.over:
			if again, err := f.ended(r); !again {
				return 0, err
			}
		case <-ctx.Done():
			return 0, syscall.EINTR
		}
	}
}

// ended tells what a reader does when an operation is over: begin again, if another
// one has taken its place.
func (f *follower) ended(r *following) (again bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.run != r {
		return true, nil
	}
	if r.err != nil {
		err = f.tree.failed("", op.Events, r.err)
	}
	return false, err
}

// Write implements tree.Handle: a line says where to begin.
func (f *follower) Write(_ context.Context, p []byte, _ int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.line = append(f.line, p...)
	for {
		line, rest, whole := bytes.Cut(f.line, []byte{'\n'})
		if !whole {
			break
		}
		f.line = bytes.Clone(rest)
		if err := f.said(string(line)); err != nil {
			return 0, err
		}
	}
	if len(f.line) > maxCursor {
		f.line = nil
		return 0, syscall.EINVAL
	}
	return len(p), nil
}

// maxCursor bounds a line that says where to begin.
const maxCursor = 64

// said obeys one line. Preconditions: f.mu is held.
func (f *follower) said(line string) error {
	line = strings.TrimSpace(line)
	if line == "" {
		return nil
	}
	if line == "new" {
		f.begin(wire.EventsRequest{New: true})
		return nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(line, "since="), 10, 64)
	if err != nil {
		return f.tree.failed("", "events.follow", fault.New(fault.Usage, "%.40q is no place to begin: since=N, or new", line))
	}
	f.begin(wire.EventsRequest{Since: n})
	return nil
}

// Flush implements tree.Handle: a last line may lack its end.
func (f *follower) Flush(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := string(f.line)
	f.line = nil
	return f.said(line)
}

// Release implements tree.Handle.
func (f *follower) Release() {
	f.mu.Lock()
	f.run.cancel()
	f.mu.Unlock()
	f.all.Wait()
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
