package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"astrid/fs/tree"
)

const (
	// bulk is the size of a read or write that is worth another reader.
	bulk = 256 << 10
	// bulkAlloc is the size of an allocation that is worth another reader.
	bulkAlloc = 1 << 20
)

// mayBlock tells whether answering req may wait for a disk or a program, so
// that somebody else should read on meanwhile. seq is its number.
func (s *Server) mayBlock(req []byte, seq uint64) (block bool) {
	defer func() {
		if r := recover(); r != nil {
			s.panicked(r) // of the tree's hints; the request itself is still answered
			block = true
		}
	}()
	h := header(req)
	switch h.Opcode {
	case opFsync, opFsyncdir, opSyncfs, opCopyRange:
		return true
	case opStatfs:
		return !s.opens && s.flight.busy(seq-1, true)
	case opRead:
		in := view[fuse.ReadIn](req)
		return in != nil && (s.opens || in.Size > bulk || s.readWaits(in))
	case opWrite:
		in := view[fuse.WriteIn](req)
		return in != nil && (s.opens || in.Size > bulk || s.writeWaits(h.NodeId, int64(in.Offset), int(in.Size)))
	case opSetattr:
		in := view[fuse.SetAttrIn](req)
		return in != nil && (s.flushesTimes(in) && s.flight.busy(seq-1, true) ||
			in.Valid&fuse.FATTR_SIZE != 0 && s.writeWaits(h.NodeId, int64(in.Size), 0))
	case opFallocate:
		in := view[fuse.FallocateIn](req)
		return in != nil && (in.Length > bulkAlloc || s.writeWaits(h.NodeId, int64(in.Offset), int(in.Length)))
	case opOpen, opFlush, opRelease:
		return s.opens
	}
	return false
}

// flushesTimes tells whether a SETATTR brings times that the kernel owns: those of
// pages that it has sent before.
func (s *Server) flushesTimes(in *fuse.SetAttrIn) bool {
	return s.face.ledger != nil && in.Valid&fuse.FATTR_CTIME != 0
}

func (s *Server) readWaits(in *fuse.ReadIn) bool {
	b, ok := s.face.table.get(in.NodeId).(tree.MayBlock)
	return ok && b.ReadMayBlock(int64(in.Offset), int(in.Size))
}

func (s *Server) writeWaits(id uint64, off int64, n int) bool {
	b, ok := s.face.table.get(id).(tree.WriteMayBlock)
	return ok && b.WriteMayBlock(off, n)
}
