package meta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	magic      = "ASTRIDL1"
	version    = 3
	oldest     = 1 // without Tx.Bury; 2 is without Tx.Seal
	headerSize = 64
	frameSize  = 8
	// MaxRecord bounds a payload, in bytes.
	MaxRecord = 4 << 20
	// preallocate is the step by which the file's space is reserved.
	preallocate = 4 << 20
)

// ErrVersion says that a log was written by a version this one does not know.
var ErrVersion = errors.New("meta: log of an unknown version")

// log is the file: framing, tail, preallocation.
type log struct {
	f        *os.File
	end      int64 // where the next frame goes
	reserved int64 // space allocated up to here
	synced   int64 // end at the last successful fdatasync
	frame    []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func createLog(f *os.File, epoch, below uint64) (*log, error) {
	h := make([]byte, headerSize)
	copy(h, magic)
	binary.LittleEndian.PutUint32(h[8:], version)
	binary.LittleEndian.PutUint64(h[16:], epoch)
	binary.LittleEndian.PutUint64(h[24:], below)
	binary.LittleEndian.PutUint32(h[32:], crc32.Checksum(h[:32], castagnoli))
	if _, err := f.WriteAt(h, 0); err != nil {
		return nil, fmt.Errorf("write log header: %w", err)
	}
	return &log{f: f, end: headerSize}, nil
}

// readHeader returns epoch and below.
func readHeader(f *os.File) (epoch, below uint64, err error) {
	h := make([]byte, headerSize)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, headerSize), h); err != nil {
		return 0, 0, fmt.Errorf("read log header: %w", err)
	}
	if string(h[:8]) != magic || binary.LittleEndian.Uint32(h[32:]) != crc32.Checksum(h[:32], castagnoli) {
		return 0, 0, fmt.Errorf("read log header: %w", ErrFormat)
	}
	if v := binary.LittleEndian.Uint32(h[8:]); v < oldest || v > version {
		return 0, 0, fmt.Errorf("version %d: %w", v, ErrVersion)
	}
	return binary.LittleEndian.Uint64(h[16:]), binary.LittleEndian.Uint64(h[24:]), nil
}

// scan calls apply for each whole record between two offsets (until 0: to the end),
// and returns where the log ends.
func scan(f *os.File, off, until int64, apply func(payload []byte, off int64) error) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	r := &window{f: f, size: st.Size()}
	for {
		if off == until {
			return off, nil
		}
		head, err := r.at(off, frameSize)
		if err != nil || head == nil {
			return off, err
		}
		n, sum := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
		if n == 0 || n > MaxRecord {
			return off, nil
		}
		whole, err := r.at(off, frameSize+int(n))
		if err != nil || whole == nil {
			return off, err
		}
		if frameSum(whole) != sum {
			return off, nil
		}
		if err := apply(whole[frameSize:], off+frameSize); err != nil {
			return off, fmt.Errorf("record at %d: %w", off, err)
		}
		off += frameSize + int64(n)
	}
}

func frameSum(frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[:4], castagnoli), castagnoli, frame[frameSize:])
}

// window reads a file forward through one buffer.
type window struct {
	f    *os.File
	size int64
	off  int64
	buf  []byte
}

// at returns n bytes from off, nil when the file is shorter. They are valid
// until the next call.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off+int64(n) > w.size {
		return nil, nil
	}
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		want := min(max(int64(n), 1<<20), w.size-off)
		if int64(cap(w.buf)) < want {
			w.buf = make([]byte, want)
		}
		w.buf, w.off = w.buf[:want], off
		if _, err := w.f.ReadAt(w.buf, off); err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
	}
	return w.buf[off-w.off:][:n], nil
}

// room checks that a payload of n bytes can be appended.
func (l *log) room(n int) error {
	if n == 0 || n > MaxRecord {
		return fmt.Errorf("record of %d bytes: %w", n, unix.EFBIG)
	}
	return l.reserve(l.end + frameSize + int64(n))
}

// append writes one record, for which there is room, and returns the offset of its payload.
func (l *log) append(payload []byte) (int64, error) {
	n := frameSize + len(payload)
	l.frame = append(l.frame[:0], make([]byte, frameSize)...)
	l.frame = append(l.frame, payload...)
	binary.LittleEndian.PutUint32(l.frame, uint32(len(payload)))
	binary.LittleEndian.PutUint32(l.frame[4:], frameSum(l.frame))
	if _, err := l.f.WriteAt(l.frame, l.end); err != nil {
		return 0, fmt.Errorf("append to log: %w", err)
	}
	off := l.end + frameSize
	l.end += int64(n)
	if cap(l.frame) > 256<<10 {
		l.frame = nil
	}
	return off, nil
}

// reserve keeps preallocated space ahead of the tail. A disk that is full lets
// the reserve be used up; one that cannot preallocate is written to as it is.
func (l *log) reserve(want int64) error {
	if want+frameSize <= l.reserved {
		return nil
	}
	step := (want/preallocate + 2) * preallocate
	err := unix.Fallocate(int(l.f.Fd()), unix.FALLOC_FL_KEEP_SIZE, l.reserved, step-l.reserved)
	switch {
	case err == nil, err == unix.EOPNOTSUPP:
		l.reserved = step
		return nil
	case err == unix.EINTR:
		return l.reserve(want)
	case want <= l.reserved:
		return nil
	}
	return fmt.Errorf("reserve log space: %w", err)
}

func (l *log) sync() error {
	end := l.end
	if l.synced == end {
		return nil
	}
	if err := unix.Fdatasync(int(l.f.Fd())); err != nil {
		return fmt.Errorf("sync log: %w", err)
	}
	l.synced = end
	return nil
}
