package fs

import (
	"runtime/debug"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	// keepIdle is how many goroutines wait for work with their buffers.
	keepIdle = 4
	// maxWorkersView bounds the goroutines of a view; a further request waits
	// in the kernel.
	maxWorkersView = 64
	// keepReply is the largest answer buffer that an idle goroutine keeps.
	keepReply = 256 << 10
)

// leading is the low bit of Server.state: the leader works on request state>>1.
// When it is clear, the leader is reading, and nobody may take over.
const leading = 1

// worker is one goroutine that reads and answers requests.
type worker struct {
	slot int
	in   []byte
	out  []byte
	wake chan bool // capacity 1: true is "lead", false is "end"

	inVec, outVec [1][]byte
}

// startLocked starts a goroutine that leads at once.
// Preconditions: s.mu is held and a slot is free.
func (s *Server) startLocked() {
	slot := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	w := &worker{
		slot: slot,
		in:   make([]byte, s.opts.MaxWrite+inputSlack),
		wake: make(chan bool, 1),
	}
	s.workers.Go(func() {
		for s.lead(w) && s.rest(w) {
		}
	})
}

// lead reads and answers until somebody else leads (true) or the mount is gone.
func (s *Server) lead(w *worker) bool {
	for {
		n, ok := s.read(w.in)
		if !ok {
			s.end()
			return false
		}
		if n < headerSize {
			s.log.Error("short request", "dir", s.dir, "bytes", n)
			continue
		}
		req := w.in[:n]
		seq := s.state.Load()>>1 + 1
		s.flight.begin(w.slot, seq, header(req).Opcode)
		s.state.Store(seq<<1 | leading)
		s.rouseWatchdog()
		if s.mayBlock(req, seq) {
			s.handOver(seq)
		}
		s.answer(w, req, seq)
		s.flight.done(w.slot)
		if !s.state.CompareAndSwap(seq<<1|leading, seq<<1) {
			return true
		}
	}
}

// read takes the next request from the device; false when the mount is gone.
func (s *Server) read(buf []byte) (int, bool) {
	for {
		n, err := unix.Read(s.fd, buf)
		switch err {
		case nil:
			return n, true
		case unix.EINTR, unix.EAGAIN, unix.ENOENT:
			// ENOENT: the request was given up before we had it.
			continue
		case unix.ENODEV, unix.ECONNABORTED, unix.EBADF:
		default:
			s.log.Error("reading requests", "dir", s.dir, "err", err)
		}
		return 0, false
	}
}

// handOver makes somebody else the leader while request seq is under way. Only
// one caller per request succeeds: the worker itself or the watchdog.
func (s *Server) handOver(seq uint64) {
	if s.state.CompareAndSwap(seq<<1|leading, seq<<1) {
		s.promote()
	}
}

// promote finds a leader: an idle goroutine, a new one, or the next to become idle.
func (s *Server) promote() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := len(s.idle); {
	case s.ended:
	case n > 0:
		w := s.idle[n-1]
		s.idle = s.idle[:n-1]
		w.wake <- true
	case len(s.free) > 0:
		s.startLocked()
	default:
		s.vacant = true
	}
}

// rest waits to be made the leader; false ends the goroutine.
func (s *Server) rest(w *worker) bool {
	s.mu.Lock()
	switch {
	case s.vacant && !s.ended:
		s.vacant = false
		s.mu.Unlock()
		return true
	case s.ended, len(s.idle) >= keepIdle:
		s.free = append(s.free, w.slot)
		s.mu.Unlock()
		return false
	}
	if cap(w.out) > keepReply {
		w.out = nil
	}
	s.idle = append(s.idle, w)
	s.mu.Unlock()
	return <-w.wake
}

// end is called by the leader that met the end of the mount.
func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.cancel()
	for _, w := range s.idle {
		w.wake <- false
	}
	s.idle = nil
}

// answer does what a request asks for and replies.
func (s *Server) answer(w *worker, req []byte, seq uint64) {
	h := header(req)
	unique := h.Unique
	defer func() {
		if r := recover(); r != nil {
			s.panicked(r)
			if h.Opcode != opForget && h.Opcode != opBatchForget {
				s.replyErrno(unique, fuse.EIO)
			}
		}
	}()
	switch h.Opcode {
	case opForget:
		if in := view[fuse.ForgetIn](req); in != nil {
			s.face.table.forget(h.NodeId, in.Nlookup)
		}
		return
	case opBatchForget:
		s.forgetBatch(req)
		return
	case opInterrupt:
		if !s.opens {
			// Interrupts come with every preemption of a Go program. The kernel
			// stops sending them after this.
			s.replyErrno(unique, fuse.ENOSYS)
			return
		}
	case opSyncfs:
		s.replyErrno(unique, s.face.errno("syncfs", 1, s.face.tree.Syncfs()))
		return
	case opIoctl:
		s.replyErrno(unique, fuse.Status(unix.ENOTTY))
		return
	case opPoll, opBmap, opCopyRange64:
		s.replyErrno(unique, fuse.ENOSYS)
		return
	}
	s.barrier(seq, req)
	s.dispatch(w, req)
}

// dispatch lets go-fuse parse a request and call the face.
func (s *Server) dispatch(w *worker, req []byte) {
	h := header(req)
	unique := h.Unique
	if h.NodeId == fuse.FUSE_ROOT_ID {
		h.NodeId = rootAlias
	}
	if need := fixedReply + payloadSize(req); len(w.out) < need {
		w.out = make([]byte, max(need, 8192))
	}
	w.inVec[0], w.outVec[0] = req, w.out
	n, st := s.proto.HandleRequest(w.inVec[:], w.outVec[:])
	switch {
	case st != fuse.OK:
		s.replyErrno(unique, st)
	case n > 0:
		s.reply(w.out[:n])
	}
}

// forgetBatch gives back what a BATCH_FORGET lists; nobody waits for an answer.
func (s *Server) forgetBatch(req []byte) {
	type batch struct {
		fuse.InHeader
		Count, _ uint32
	}
	type one struct{ id, n uint64 }
	in := view[batch](req)
	if in == nil {
		return
	}
	rest := req[unsafe.Sizeof(batch{}):]
	count := min(int(in.Count), len(rest)/int(unsafe.Sizeof(one{})))
	if count == 0 {
		return
	}
	for _, o := range unsafe.Slice((*one)(unsafe.Pointer(unsafe.SliceData(rest))), count) {
		s.face.table.forget(o.id, o.n)
	}
}

// panicked counts and logs a panic of the tree; the request is answered with EIO.
func (s *Server) panicked(r any) fuse.Status {
	s.panics.Add(1)
	s.log.Error("panic in a request", "dir", s.dir, "panic", r, "stack", string(debug.Stack()))
	return fuse.EIO
}
