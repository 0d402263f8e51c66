package fs

import (
	"math"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// filled is the result of a READ whose bytes already lie where the answer wants
// them; go-fuse's own result would copy them onto themselves.
type filled int

func (r filled) Bytes(buf []byte) ([]byte, fuse.Status)   { return buf[:r], fuse.OK }
func (r filled) Size() int                                { return int(r) }
func (r filled) Done()                                    {}
func (r filled) Readv(_ [][]byte) (n int, st fuse.Status) { return int(r), fuse.OK }

// Read fills buf from a handle or, without one, from the file.
func (f *face) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	if in.Fh != 0 {
		n, st := f.readHandle(cancel, in, buf)
		return filled(n), st
	}
	file, st := f.file(in.NodeId)
	if st != fuse.OK {
		return nil, st
	}
	n, err := file.ReadAt(buf, int64(in.Offset))
	if err != nil {
		return nil, f.errno("read", file.ID(), err)
	}
	return filled(n), fuse.OK
}

// Writev is how go-fuse hands over a WRITE; the read loop gives it in one piece.
func (f *face) Writev(cancel <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	done := uint32(0)
	for _, p := range data {
		n, st := f.writePart(cancel, in, int64(in.Offset)+int64(done), p)
		done += n
		if st != fuse.OK {
			return done, st
		}
	}
	return done, fuse.OK
}

func (f *face) writePart(cancel <-chan struct{}, in *fuse.WriteIn, off int64, p []byte) (uint32, fuse.Status) {
	if in.Fh != 0 {
		return f.writeHandle(cancel, in, off, p)
	}
	file, st := f.file(in.NodeId)
	if st != fuse.OK {
		return 0, st
	}
	if st := f.ledger.begin(file); st != fuse.OK {
		return 0, st
	}
	defer f.ledger.endPages(file)
	// A page written back has its offset, whatever descriptor it is sent with; and
	// where the kernel owns the size, it alone knows where the end is.
	atEnd := in.Flags&unix.O_APPEND != 0 && in.WriteFlags&fuse.WRITE_CACHE == 0 && f.ledger == nil
	kill := in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0
	caller := callerOf(&in.InHeader, 0)
	var n int
	var err error
	if pages, ok := file.(tree.PageWriter); ok && in.WriteFlags&fuse.WRITE_CACHE != 0 && f.ledger != nil {
		n, err = pages.WritePages(caller, p, off, kill)
	} else {
		n, err = file.WriteAt(caller, p, off, atEnd, kill)
	}
	return uint32(n), f.errno("write", file.ID(), err)
}

// Fsync makes a file durable.
func (f *face) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return f.sync(in)
}

func (f *face) sync(in *fuse.FsyncIn) fuse.Status {
	n, st := f.node(in.NodeId)
	if st != fuse.OK {
		return st
	}
	const dataOnly = 1 // FUSE_FSYNC_FDATASYNC
	return f.errno("fsync", n.ID(), n.Fsync(in.FsyncFlags&dataOnly != 0))
}

// Lseek finds data and holes. With write-back only the kernel knows where data is:
// it takes the whole file for data after ENOSYS.
func (f *face) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	if f.ledger != nil {
		return fuse.ENOSYS
	}
	file, st := f.file(in.NodeId)
	if st != fuse.OK {
		return st
	}
	if in.Whence != tree.SeekData && in.Whence != tree.SeekHole {
		return fuse.EINVAL
	}
	if in.Offset > math.MaxInt64 {
		return fuse.Status(syscall.ENXIO)
	}
	off, err := file.Lseek(int64(in.Offset), int(in.Whence))
	out.Offset = uint64(off)
	return f.errno("lseek", file.ID(), err)
}

// Fallocate allocates, punches and zeroes.
func (f *face) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	file, st := f.file(in.NodeId)
	if st != fuse.OK {
		return st
	}
	if in.Length == 0 || in.Offset > math.MaxInt64 || in.Length > math.MaxInt64-in.Offset {
		return fuse.EINVAL
	}
	st, err := f.ledger.within(file, func() error {
		return file.Fallocate(callerOf(&in.InHeader, 0), in.Mode, int64(in.Offset), int64(in.Length))
	})
	if st != fuse.OK {
		return st
	}
	return f.errno("fallocate", file.ID(), err)
}

// maxCopy is the most that one COPY_FILE_RANGE moves; its answer has 32 bits.
const maxCopy = 1 << 30

// CopyFileRange copies within the tree.
func (f *face) CopyFileRange(_ <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	src, st := f.file(in.NodeId)
	if st != fuse.OK {
		return 0, st
	}
	dst, st := f.file(in.NodeIdOut)
	if st != fuse.OK {
		return 0, st
	}
	if in.Flags != 0 || in.OffIn > math.MaxInt64 || in.OffOut > math.MaxInt64 {
		return 0, fuse.EINVAL
	}
	length := int64(min(in.Len, maxCopy))
	var n int64
	st, err := f.ledger.within(dst, func() (err error) {
		n, err = src.CopyRange(callerOf(&in.InHeader, 0), int64(in.OffIn), dst, int64(in.OffOut), length)
		return err
	})
	if st != fuse.OK {
		return 0, st
	}
	return uint32(n), f.errno("copy_file_range", src.ID(), err)
}
