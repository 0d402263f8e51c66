package wire

import (
	"bytes"
	"encoding/binary"
	"io"

	"astrid/kernel/fault"
)

// Limits of a frame's payload in bytes.
const (
	MaxHandshake = 4096
	MaxRequest   = 10 << 20 // client to kernel, kernel to view server
	MaxReply     = 50 << 20 // the way back
)

const (
	headerLen = 4
	// eager is how much is allocated on the word of a header alone.
	eager = 64 << 10
)

// ReadFrame reads one frame and returns its payload, which may be empty. The
// error is io.EOF when r ended before the first byte, io.ErrUnexpectedEOF when
// it ended inside the frame, and of Kind Limit when the header announces more
// than limit bytes; after any error the stream is out of step and of no use.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	var header [headerLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(header[:]))
	if size > int64(limit) {
		return nil, fault.New(fault.Limit, "a frame of %d bytes is over the limit of %d", size, limit)
	}
	return readBody(r, int(size))
}

func readBody(r io.Reader, size int) ([]byte, error) {
	if size <= eager {
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, unexpected(err)
		}
		return body, nil
	}
	var body bytes.Buffer
	body.Grow(eager)
	if _, err := io.CopyN(&body, r, int64(size)); err != nil {
		return nil, unexpected(err)
	}
	return body.Bytes(), nil
}

// unexpected turns an end inside a frame into what it is.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// WriteFrame writes payload as one frame with one call of w.Write. A payload
// over MaxReply is refused with Kind Limit and nothing is written.
func WriteFrame(w io.Writer, payload []byte) error {
	frame, err := AppendFrame(make([]byte, 0, headerLen+len(payload)), payload)
	if err != nil {
		return err
	}
	_, err = w.Write(frame)
	return err
}

// AppendFrame appends the frame of payload to dst.
func AppendFrame(dst, payload []byte) ([]byte, error) {
	if len(payload) > MaxReply {
		return dst, fault.New(fault.Limit, "a frame of %d bytes is over the limit of %d", len(payload), MaxReply)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	return append(dst, payload...), nil
}
