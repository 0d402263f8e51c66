package fs

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	// maxBackground is above any queue of write-back requests: a STATFS must
	// never overtake one that waits for its turn.
	maxBackground = 65535
	// epochMinor is the protocol version that can forget all names at once.
	epochMinor = 44
	// expireMinor is the one that has expireOnly, the flag of a notification that
	// a name is to be asked for again (FUSE_EXPIRE_ONLY).
	expireMinor = 38
	expireOnly  = 1
)

// protocolOptions says what is negotiated. ATOMIC_O_TRUNC is never asked for:
// without OPEN requests nobody would see the truncation. Nor is passthrough.
func (s *Server) protocolOptions() *fuse.MountOptions {
	o := &fuse.MountOptions{
		Name:                     s.opts.Subtype,
		MaxWrite:                 s.opts.MaxWrite,
		MaxBackground:            maxBackground,
		EnableSymlinkCaching:     !s.opens,
		EnableAcl:                !s.opens,
		ExplicitDataCacheControl: !s.opts.AutoInval,
		DisableReadDirPlus:       s.opens,
		ExtraCapabilities:        fuse.CAP_DONT_MASK | fuse.CAP_HANDLE_KILLPRIV_V2 | fuse.CAP_ASYNC_DIO,
		DisabledCapabilities: fuse.CAP_PASSTHROUGH | fuse.CAP_ATOMIC_O_TRUNC | fuse.CAP_WRITEBACK_CACHE |
			fuse.CAP_READDIRPLUS_AUTO,
		Debug:        s.opts.Debug,
		Logger:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		PanicHandler: s.panicked,
	}
	if s.face.ledger != nil {
		o.ExtraCapabilities |= fuse.CAP_WRITEBACK_CACHE
		o.DisabledCapabilities &^= fuse.CAP_WRITEBACK_CACHE
	}
	return o
}

// initialize answers INIT, the first request of a connection.
func (s *Server) initialize() error {
	at, err := mountAt(s.dir)
	switch {
	case err != nil:
		return err
	case at == nil:
		return errors.New("the mount did not appear in mountinfo")
	}
	s.minor = at.Minor
	s.proto = fuse.NewProtocolServer(s.face, s.protocolOptions())
	req := make([]byte, s.opts.MaxWrite+inputSlack)
	n, err := readInit(s.fd, req)
	if err != nil {
		return fmt.Errorf("waiting for INIT: %w", err)
	}
	if in := view[fuse.InitIn](req[:n]); in != nil {
		s.face.epoch = in.Major > 7 || in.Minor >= epochMinor
		if in.Major > 7 || in.Minor >= expireMinor {
			s.face.expire = expireOnly
		}
	}
	out := make([]byte, fixedReply)
	n, st := s.proto.HandleRequest([][]byte{req[:n]}, [][]byte{out})
	if st != fuse.OK {
		return fmt.Errorf("answering INIT: %v", st)
	}
	if err := s.writeDev(out[:n]); err != nil {
		return fmt.Errorf("answering INIT: %w", err)
	}
	return nil
}

func readInit(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil:
			return 0, err
		case n < headerSize || header(buf).Opcode != opInit:
			return 0, errors.New("another request came first")
		}
		return n, nil
	}
}
