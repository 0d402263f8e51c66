package socket

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"astrid/kernel/bus"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// conn is one client past its handshake. Its goroutines are the reader (run),
// the writer and one per operation; run ends last.
type conn struct {
	server *Server
	sock   *net.UnixConn
	about  Client
	caller op.Caller
	sub    *bus.Subscription // nil without a bus

	queue chan []byte         // frames for the writer
	room  *semaphore.Weighted // of QueueBytes, for what is queued
	slots chan struct{}
	ops   sync.WaitGroup

	mu       sync.Mutex
	draining bool               // guarded by mu
	stop     context.CancelFunc // guarded by mu; nil before run
}

func newConn(s *Server, c *net.UnixConn, about Client) *conn {
	return &conn{
		server: s, sock: c, about: about, caller: about.Caller,
		queue: make(chan []byte, s.config.QueueFrames), room: semaphore.NewWeighted(s.config.QueueBytes),
		slots: make(chan struct{}, s.config.MaxInflight),
	}
}

// run serves the client until it goes away, fails, or is drained.
func (c *conn) run(parent context.Context) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	c.adopt(cancel)
	unblock := context.AfterFunc(ctx, func() { _ = c.sock.Close() })
	defer unblock()

	written := make(chan struct{})
	go func() { defer close(written); c.write(ctx, cancel) }()
	forwarding, enough := context.WithCancel(ctx)
	defer enough()
	forwarded := make(chan struct{})
	go func() { defer close(forwarded); c.forward(forwarding) }()
	c.read(ctx)
	if !c.isDraining() {
		cancel() // the client is gone: nobody waits for its operations
	}
	c.ops.Wait()
	enough()
	<-forwarded
	close(c.queue)
	<-written
}

// adopt makes cancel known to drain and cut, which may have come first.
func (c *conn) adopt(cancel context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop = cancel
	if c.draining {
		_ = c.sock.SetReadDeadline(time.Unix(1, 0))
	}
}

// drain stops reading; what runs may end and be answered.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	_ = c.sock.SetReadDeadline(time.Unix(1, 0))
}

func (c *conn) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// cancel ends the connection at once.
func (c *conn) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
	}
	_ = c.sock.Close()
}

// read handles frames until the stream ends or is out of step.
func (c *conn) read(ctx context.Context) {
	in := bufio.NewReader(c.sock)
	for {
		f, err := c.next(ctx, in)
		if err != nil {
			c.goodbye(err)
			return
		}
		if len(f.data) > 0 {
			c.handle(ctx, f)
		}
	}
}

// goodbye says why a connection ends, unless that is ordinary.
func (c *conn) goodbye(err error) {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), c.isDraining():
	case fault.Is(err, fault.Limit):
		c.server.log.Warn("client cut: Payload too large (max 10MB)", "pid", c.caller.PID, "err", err)
	default:
		c.server.log.Warn("client cut", "pid", c.caller.PID, "err", err)
	}
}

// frame is one frame and what gives back its room, which may be called again.
type frame struct {
	data []byte
	done func()
}

// small is the size of a frame that needs no room of Config.MaxReceive: what all
// clients together can send of these is bounded by their number.
const small = 16 << 10

// next reads one frame. It may wait for ever for the first byte, but not for
// the others.
func (c *conn) next(ctx context.Context, in *bufio.Reader) (frame, error) {
	if _, err := in.Peek(1); err != nil {
		return frame{}, err
	}
	if err := c.deadline(0); err != nil {
		return frame{}, err
	}
	header, err := in.Peek(4)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	size := binary.BigEndian.Uint32(header)
	done, err := c.reserve(ctx, min(int64(size), wire.MaxRequest))
	if err != nil {
		return frame{}, err
	}
	if err = c.deadline(min(int(size), wire.MaxRequest)); err == nil {
		var data []byte
		if data, err = wire.ReadFrame(in, wire.MaxRequest); err == nil {
			return frame{data, done}, c.noDeadline()
		}
	}
	done()
	return frame{}, err
}

// reserve waits until a frame of this size may be read.
func (c *conn) reserve(ctx context.Context, size int64) (done func(), err error) {
	if size <= small {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.server.config.BodyTimeout)
	defer cancel()
	if err := c.server.room.Acquire(ctx, size); err != nil {
		return nil, fault.Wrap(fault.Limit, err, "no room for a frame of %d bytes: %d are being received", size, c.server.config.MaxReceive)
	}
	return sync.OnceFunc(func() { c.server.room.Release(size) }), nil
}

// deadline bounds the reading of size more bytes, unless the connection drains,
// when no read may wait at all.
func (c *conn) deadline(size int) error {
	return c.readBy(time.Now().Add(c.server.config.BodyTimeout + perByte(size)))
}

func (c *conn) noDeadline() error { return c.readBy(time.Time{}) }

func (c *conn) readBy(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return os.ErrDeadlineExceeded
	}
	return c.sock.SetReadDeadline(t)
}

// perByte is what size bytes add to a deadline: a millisecond a KiB.
func perByte(size int) time.Duration { return time.Duration(size/1024) * time.Millisecond }

// handle looks at one frame; requests are answered from a goroutine of theirs.
func (c *conn) handle(ctx context.Context, f frame) {
	m, err := wire.ParseMessage(f.data)
	if err != nil {
		f.done()
		if topic := salvage(f.data); strings.HasPrefix(topic, wire.RequestPrefix) {
			c.answer(ctx, wire.ResponseTopic(topic), wire.ErrorResponse(err))
			return
		}
		c.server.log.Debug("frame dropped", "pid", c.caller.PID, "err", err)
		return
	}
	if !strings.HasPrefix(m.Topic, wire.RequestPrefix) || wire.PayloadType(m.Payload) != wire.TypeRawJSON {
		c.ingress(ctx, m)
		f.done()
		return
	}
	topic := wire.ResponseTopic(m.Topic)
	select {
	case c.slots <- struct{}{}:
	default:
		f.done()
		c.answer(ctx, topic, wire.ErrorResponse(fault.New(fault.Limit,
			"%d requests of this connection are under way: wait for one of them", cap(c.slots))))
		return
	}
	payload, done := m.Payload, f.done
	c.ops.Go(func() {
		defer func() { done(); <-c.slots }()
		c.perform(ctx, topic, payload, done)
	})
}
