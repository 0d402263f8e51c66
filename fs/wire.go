package fs

import (
	"encoding/binary"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Operation codes of the FUSE protocol (include/uapi/linux/fuse.h) that the
// read loop looks at before a request is parsed.
const (
	opLookup        = 1
	opForget        = 2
	opGetattr       = 3
	opSetattr       = 4
	opSymlink       = 6
	opMknod         = 8
	opMkdir         = 9
	opUnlink        = 10
	opRmdir         = 11
	opRename        = 12
	opLink          = 13
	opOpen          = 14
	opRead          = 15
	opWrite         = 16
	opStatfs        = 17
	opRelease       = 18
	opFsync         = 20
	opSetxattr      = 21
	opGetxattr      = 22
	opListxattr     = 23
	opRemovexattr   = 24
	opFlush         = 25
	opInit          = 26
	opReaddir       = 28
	opFsyncdir      = 30
	opCreate        = 35
	opInterrupt     = 36
	opBmap          = 37
	opIoctl         = 39
	opPoll          = 40
	opBatchForget   = 42
	opFallocate     = 43
	opReaddirplus   = 44
	opRename2       = 45
	opCopyRange     = 47
	opSyncfs        = 50
	opTmpfile       = 51
	opCopyRange64   = 53
	headerSize      = int(unsafe.Sizeof(fuse.InHeader{}))
	replyHeaderSize = int(unsafe.Sizeof(fuse.OutHeader{}))
	// fixedReply holds the header and the largest fixed answer of any operation.
	fixedReply = 512
	// inputSlack is what a request carries beside the bytes of a WRITE.
	inputSlack = 8192
	// maxPayload bounds what one request may ask for, whatever it says.
	maxPayload = 16 << 20
)

// header views the first bytes of a request; req is at least headerSize long.
func header(req []byte) *fuse.InHeader {
	return (*fuse.InHeader)(unsafe.Pointer(unsafe.SliceData(req)))
}

// view casts a request to the structure of its operation, or nil when it is
// too short for it.
func view[T any](req []byte) *T {
	var t T
	if len(req) < int(unsafe.Sizeof(t)) {
		return nil
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(req)))
}

// payloadSize is how many bytes the answer to req may carry beside its fixed part.
func payloadSize(req []byte) int {
	switch header(req).Opcode {
	case opRead, opReaddir, opReaddirplus:
		if in := view[fuse.ReadIn](req); in != nil {
			return int(min(in.Size, maxPayload))
		}
	case opGetxattr, opListxattr:
		if in := view[fuse.GetXAttrIn](req); in != nil {
			return int(min(in.Size, maxPayload))
		}
	}
	return 0
}

// appendHeader starts an answer or, with unique 0, a notification whose code is
// in status.
func appendHeader(b []byte, length int, status int32, unique uint64) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(length))
	b = binary.NativeEndian.AppendUint32(b, uint32(status))
	return binary.NativeEndian.AppendUint64(b, unique)
}

// writeDev writes one message to the device.
func (s *Server) writeDev(msg []byte) error {
	for {
		_, err := unix.Write(s.fd, msg)
		if err != unix.EINTR {
			return err
		}
	}
}

// reply sends an answer and says nothing when the request is gone: it was
// aborted, or the file system is.
func (s *Server) reply(msg []byte) {
	err := s.writeDev(msg)
	if err == nil || err == unix.ENOENT || err == unix.ENODEV {
		return
	}
	s.log.Error("answer not accepted", "dir", s.dir, "err", err)
}

// replyErrno answers a request with nothing but a status.
func (s *Server) replyErrno(unique uint64, status fuse.Status) {
	var b [replyHeaderSize]byte
	s.reply(appendHeader(b[:0], replyHeaderSize, -int32(status), unique))
}
