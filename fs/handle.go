package fs

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"astrid/fs/tree"
)

// Bounds of a control tree: open handles, and calls into handles under way. The
// second keeps a goroutine free to read the interrupts of the others.
const (
	maxHandles = 4096
	maxBlocked = maxSlots - 32
)

// handles are the open control files by the number that the kernel sends back.
type handles struct {
	blocked atomic.Int32

	mu   sync.Mutex
	last uint64
	open map[uint64]tree.Handle
}

func (h *handles) init() { h.open = make(map[uint64]tree.Handle) }

// add keeps a handle under a new number; false when there are too many.
func (h *handles) add(t tree.Handle) (uint64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.open) >= maxHandles {
		return 0, false
	}
	h.last++
	h.open[h.last] = t
	return h.last, true
}

func (h *handles) get(fh uint64) tree.Handle {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open[fh]
}

func (h *handles) remove(fh uint64) tree.Handle {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.open[fh]
	delete(h.open, fh)
	return t
}

// clear releases what the kernel never will: the mount is gone.
func (h *handles) clear() {
	h.mu.Lock()
	left := h.open
	h.open = make(map[uint64]tree.Handle)
	h.mu.Unlock()
	for _, t := range left {
		t.Release()
	}
}

// Open gives each open of a control file its handle. In a view it is answered
// with ENOSYS once, and the kernel opens by itself from then on.
func (f *face) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if !f.opens {
		return fuse.ENOSYS
	}
	n, st := f.node(in.NodeId)
	if st != fuse.OK {
		return st
	}
	out.OpenFlags = fuse.FOPEN_DIRECT_IO
	o, ok := n.(tree.Opener)
	if !ok {
		return fuse.OK
	}
	h, err := o.Open(callerOf(&in.InHeader, 0), in.Flags)
	if err != nil {
		return f.errno("open", n.ID(), err)
	}
	if out.Fh, ok = f.handles.add(h); !ok {
		h.Release()
		return fuse.Status(syscall.ENFILE)
	}
	return fuse.OK
}

// OpenDir keeps no state: cookies are the tree's.
func (f *face) OpenDir(_ <-chan struct{}, _ *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	if !f.opens {
		return fuse.ENOSYS
	}
	return fuse.OK
}

// enter prepares a call into a handle that may block: its context ends with an
// interrupt and with the mount. leave must be called afterwards.
func (f *face) enter(cancel <-chan struct{}, fh uint64) (h tree.Handle, ctx context.Context, leave func(), st fuse.Status) {
	if h = f.handles.get(fh); h == nil {
		return nil, nil, nil, fuse.EBADF
	}
	if f.handles.blocked.Add(1) > maxBlocked {
		f.handles.blocked.Add(-1)
		return nil, nil, nil, fuse.EAGAIN
	}
	ctx, end := context.WithCancel(f.ctx)
	unhook := context.AfterFunc(&fuse.Context{Cancel: cancel}, end)
	return h, ctx, func() {
		unhook()
		end()
		f.handles.blocked.Add(-1)
	}, fuse.OK
}

func (f *face) readHandle(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (int, fuse.Status) {
	h, ctx, leave, st := f.enter(cancel, in.Fh)
	if st != fuse.OK {
		return 0, st
	}
	defer leave()
	n, err := h.Read(ctx, buf, int64(in.Offset))
	return n, f.errno("read", in.NodeId, err)
}

func (f *face) writeHandle(cancel <-chan struct{}, in *fuse.WriteIn, off int64, p []byte) (uint32, fuse.Status) {
	h, ctx, leave, st := f.enter(cancel, in.Fh)
	if st != fuse.OK {
		return 0, st
	}
	defer leave()
	n, err := h.Write(ctx, p, off)
	return uint32(n), f.errno("write", in.NodeId, err)
}

// Flush comes with each close(2); what it answers is what close returns.
func (f *face) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	switch {
	case !f.opens:
		return fuse.ENOSYS
	case in.Fh == 0:
		return fuse.OK
	}
	h, ctx, leave, st := f.enter(cancel, in.Fh)
	if st != fuse.OK {
		return st
	}
	defer leave()
	return f.errno("flush", in.NodeId, h.Flush(ctx))
}

// Release ends a handle.
func (f *face) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	if in.Fh == 0 {
		return
	}
	if h := f.handles.remove(in.Fh); h != nil {
		h.Release()
	}
}

// ReleaseDir has nothing to end.
func (f *face) ReleaseDir(*fuse.ReleaseIn) {}
