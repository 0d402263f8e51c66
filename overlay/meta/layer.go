package meta

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

// Layer is one set of changes: its log and what the log says.
type Layer struct {
	Epoch uint64 // grows with each layer made
	Below uint64 // epoch of the layer beneath; 0: the base

	Recs    map[uint64]*Rec
	Dirs    map[uint64]*Delta
	Aliases map[layer.Key]uint64
	Blobs   map[[32]byte]Slice

	LastFold uint64 // number of the last commit folded in, as far as this layer knows
	Sealed   uint64 // data files below this are not written to in place
	// Moved is where a commit took what was at a path of the base: see Tx.Moved.
	Moved map[string]string

	NextIno  uint64 // without OwnBit
	NextData uint64
	Birth    uint64

	log    *log
	broken error
}

func newLayer(epoch, below uint64) *Layer {
	return &Layer{
		Epoch: epoch, Below: below,
		Recs: map[uint64]*Rec{}, Dirs: map[uint64]*Delta{},
		Aliases: map[layer.Key]uint64{}, Blobs: map[[32]byte]Slice{},
		NextIno: 1, NextData: 1, Birth: 1,
	}
}

func logName(epoch uint64) string { return strconv.FormatUint(epoch, 10) + logSuffix }

// Create makes an empty layer in the directory. It is garbage until SetHead
// names it or a layer above it.
func Create(dirfd int, epoch, below uint64) (*Layer, error) {
	return createAs(dirfd, logName(epoch), epoch, below)
}

func createAs(dirfd int, name string, epoch, below uint64) (*Layer, error) {
	f, err := openFile(dirfd, name, unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC)
	if err != nil {
		return nil, fmt.Errorf("create layer %d: %w", epoch, err)
	}
	l := newLayer(epoch, below)
	if l.log, err = createLog(f, epoch, below); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// Load replays a layer. What follows its last whole record is cut unless
// readOnly (a checker looks and does not touch).
func Load(dirfd int, epoch uint64, readOnly bool) (*Layer, error) {
	flags := unix.O_RDWR
	if readOnly {
		flags = unix.O_RDONLY
	}
	f, err := openFile(dirfd, logName(epoch), flags)
	if err != nil {
		return nil, fmt.Errorf("open layer %d: %w", epoch, err)
	}
	l, err := load(f, epoch, readOnly)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("layer %d: %w", epoch, err)
	}
	return l, nil
}

func load(f *os.File, epoch uint64, readOnly bool) (*Layer, error) {
	l, err := replay(f, epoch, 0)
	if err != nil || readOnly {
		return l, err
	}
	if err := f.Truncate(l.log.end); err != nil {
		return nil, fmt.Errorf("cut log: %w", err)
	}
	return l, nil
}

// replay reads a log up to an offset, 0 for all of it.
func replay(f *os.File, epoch uint64, until int64) (*Layer, error) {
	is, below, err := readHeader(f)
	if err != nil {
		return nil, err
	}
	if is != epoch {
		return nil, fmt.Errorf("its header says %d: %w", is, ErrFormat)
	}
	l := newLayer(epoch, below)
	l.log = &log{f: f}
	l.log.end, err = scan(f, headerSize, until, l.apply)
	return l, err
}

func openFile(dirfd int, name string, flags int) (*os.File, error) {
	fd, err := layer.Open(dirfd, name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Commit makes t durable against SIGKILL and applies it. t must not be empty.
// ENOSPC and EFBIG leave the layer whole.
func (l *Layer) Commit(t *Tx) error {
	if l.broken != nil {
		return l.broken
	}
	if err := l.log.room(len(t.buf)); err != nil {
		return err
	}
	off, err := l.log.append(t.buf)
	if err != nil {
		l.broken = err
		return err
	}
	if err := l.apply(t.buf, off); err != nil {
		l.broken = err
		return err
	}
	return nil
}

// Broken returns why the layer takes no more facts, or nil.
func (l *Layer) Broken() error { return l.broken }

// Sync makes every committed fact survive a power cut.
func (l *Layer) Sync() error { return l.log.sync() }

// SyncFd returns the log's descriptor, for an fdatasync without the owner's
// lock held. It is valid until Close.
func (l *Layer) SyncFd() int { return int(l.log.f.Fd()) }

// Trim gives the space back that is reserved for what comes: nothing will.
func (l *Layer) Trim() error {
	l.log.reserved = 0
	return l.log.f.Truncate(l.log.end)
}

// Size returns the length of the log in bytes.
func (l *Layer) Size() int64 { return l.log.end }

// Close closes the log; the layer's maps stay readable.
func (l *Layer) Close() error { return l.log.f.Close() }

// ReadSlice fills p from s, starting at off within it.
func (l *Layer) ReadSlice(p []byte, s Slice, off int64) (int, error) {
	if off >= int64(s.N) {
		return 0, nil
	}
	p = p[:min(int64(len(p)), int64(s.N)-off)]
	n, err := l.log.f.ReadAt(p, s.Off+off)
	if err == io.EOF && n == len(p) {
		err = nil
	}
	return n, err
}

// ReadInline fills p from the inline content of x, a record of this layer, and
// returns how much there was.
func (l *Layer) ReadInline(x *Rec, p []byte, off int64) (int, error) {
	if off >= x.Size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), x.Size-off)]
	n := 0
	if x.Bytes != nil {
		if off < int64(len(x.Bytes)) {
			n = copy(p, x.Bytes[off:])
		}
	} else {
		var err error
		if n, err = l.ReadSlice(p, x.Slice, off); err != nil {
			return n, err
		}
	}
	clear(p[n:])
	return len(p), nil
}

// Blob returns the original kept under h.
func (l *Layer) Blob(h [32]byte) ([]byte, bool, error) {
	s, ok := l.Blobs[h]
	if !ok {
		return nil, false, nil
	}
	b := make([]byte, s.N)
	_, err := l.ReadSlice(b, s, 0)
	return b, true, err
}
