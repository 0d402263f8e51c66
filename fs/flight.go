package fs

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// maxSlots bounds the goroutines that answer requests of one mount.
const maxSlots = 256

// mutates marks a request that changes the tree.
const mutates = 1

// flight knows the requests under way: one slot per goroutine holds the number
// of its request (shifted by one, with the mutates bit), or 0.
type flight struct {
	slots   [maxSlots]atomic.Uint64
	waiting atomic.Int32

	mu   sync.Mutex
	cond *sync.Cond // on mu; a request ended while somebody waits
}

func (f *flight) init() { f.cond = sync.NewCond(&f.mu) }

// begin notes that slot i works on request seq.
func (f *flight) begin(i int, seq uint64, op uint32) {
	v := seq << 1
	if changesTree(op) {
		v |= mutates
	}
	f.slots[i].Store(v)
}

// done notes that the request of slot i has been answered.
func (f *flight) done(i int) {
	f.slots[i].Store(0)
	if f.waiting.Load() > 0 {
		f.mu.Lock()
		f.cond.Broadcast()
		f.mu.Unlock()
	}
}

// busy tells whether a request numbered up to seq is under way; with onlyMutating
// only those that change the tree count.
func (f *flight) busy(seq uint64, onlyMutating bool) bool {
	for i := range f.slots {
		v := f.slots[i].Load()
		if v != 0 && v>>1 <= seq && (!onlyMutating || v&mutates != 0) {
			return true
		}
	}
	return false
}

// wait returns when busy(seq, onlyMutating) is false or ctx ends.
func (f *flight) wait(ctx context.Context, seq uint64, onlyMutating bool) error {
	f.waiting.Add(1)
	defer f.waiting.Add(-1)
	stop := context.AfterFunc(ctx, func() {
		f.mu.Lock()
		f.cond.Broadcast()
		f.mu.Unlock()
	})
	defer stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.busy(seq, onlyMutating) {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.cond.Wait()
	}
	return nil
}

// changesTree tells whether an operation changes the tree when it succeeds.
func changesTree(op uint32) bool {
	switch op {
	case opSetattr, opSymlink, opMknod, opMkdir, opUnlink, opRmdir, opRename, opRename2, opLink,
		opWrite, opSetxattr, opRemovexattr, opCreate, opTmpfile, opFallocate, opCopyRange:
		return true
	}
	return false
}

// Drain returns after every request that was read before the call has been
// answered, or with ctx's error. Requests go on being served meanwhile.
func (s *Server) Drain(ctx context.Context) error {
	return s.flight.wait(ctx, s.state.Load()>>1, false)
}

// barrier holds a STATFS back until every change read before it is applied, and
// likewise the times that the kernel sends after a file's pages: they are to be
// the last word. Preconditions: the caller no longer leads when it has to wait.
func (s *Server) barrier(seq uint64, req []byte) {
	wait := false
	switch header(req).Opcode {
	case opStatfs:
		wait = !s.opens
	case opSetattr:
		in := view[fuse.SetAttrIn](req)
		wait = in != nil && s.flushesTimes(in)
	}
	if wait {
		_ = s.flight.wait(s.ctx, seq-1, true)
	}
}
