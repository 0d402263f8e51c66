package mcp

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"astrid/kernel/fault"
)

// Bounds of what a program writes and reads.
const (
	MaxMessage      = 8 << 20 // bytes of one message
	MaxUnasked      = 10_000  // notifications and requests of the program in a minute
	MaxUnaskedBytes = 64 << 20
	// readTime is how long a program may leave its input unread.
	readTime = 10 * time.Second
)

// transport connects to a program through its pipes.
type transport struct{ *child }

// Connect implements sdk.Transport.
func (t transport) Connect(ctx context.Context) (sdk.Connection, error) {
	pipes := &sdk.IOTransport{Reader: t.out, Writer: patient{t.in}, MaxLineLength: MaxMessage}
	conn, err := pipes.Connect(ctx)
	return &tap{Connection: conn, child: t.child}, err
}

// patient is the input of a program that must read it in time.
type patient struct{ *os.File }

// Write implements io.Writer.
func (p patient) Write(data []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(readTime)); err != nil {
		return 0, err
	}
	return p.File.Write(data)
}

// tap watches what goes over a connection.
type tap struct {
	sdk.Connection
	*child
}

// Read implements sdk.Connection.
func (t *tap) Read(ctx context.Context) (jsonrpc.Message, error) {
	message, err := t.Connection.Read(ctx)
	if err == nil {
		err = t.count(message)
	}
	if err != nil {
		t.breakOff(t.blame(err))
	}
	return message, err
}

// count refuses a program that says too much unasked.
func (t *tap) count(message jsonrpc.Message) error {
	request, unasked := message.(*jsonrpc.Request)
	if !unasked {
		return nil
	}
	now := t.s.config.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unasked.take(now, 1) && t.bytes.take(now, len(request.Params)) {
		return nil
	}
	return t.s.errorf(fault.Limit, "sent more than %d messages or %d bytes in a minute that nobody asked for, and was ended", MaxUnasked, MaxUnaskedBytes)
}

// blame tells a program that broke the protocol from one that has ended: nil.
func (t *tap) blame(err error) error {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.ErrClosedPipe):
		return nil
	}
	return t.s.errorf(fault.Unavailable, "wrote something that is no message of at most %d bytes, and was ended: %s", MaxMessage, clip(err.Error(), maxErrorText))
}

// Write implements sdk.Connection.
func (t *tap) Write(ctx context.Context, message jsonrpc.Message) error {
	err := t.Connection.Write(ctx, message)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.breakOff(t.s.errorf(fault.Unavailable, "did not read its input for %v, and was ended", readTime))
	case err != nil && ctx.Err() == nil:
		t.writeFailed()
	}
	return err
}

// writeFailed gives the reader the time to find out why.
func (t *tap) writeFailed() {
	_ = t.out.SetReadDeadline(time.Now().Add(drainTime))
}

// Close implements sdk.Connection.
func (t *tap) Close() error {
	t.breakOff(nil)
	return t.Connection.Close()
}
