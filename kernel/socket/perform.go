package socket

import (
	"context"
	"errors"
	"os"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// perform runs one request and answers it. It calls understood when the payload
// is needed no more.
func (c *conn) perform(ctx context.Context, topic string, payload wire.Raw, understood func()) {
	response, err := c.do(ctx, topic, payload, understood)
	if err != nil {
		response = wire.ErrorResponse(err)
	}
	c.answer(ctx, topic, response)
}

func (c *conn) do(ctx context.Context, topic string, payload wire.Raw, understood func()) (wire.Response, error) {
	var req wire.Request
	if err := wire.Decode(payload, &req); err != nil {
		return wire.Response{}, err
	}
	out := &chunks{conn: c, ctx: ctx, topic: topic}
	result, err := c.server.config.Table.DoOnce(ctx, req.Method, req.Params, out, understood)
	if err != nil {
		return wire.Response{}, err
	}
	if err := out.Flush(); err != nil {
		return wire.Response{}, err
	}
	data, err := wire.Encode(result.Data)
	if err != nil {
		return wire.Response{}, err
	}
	return wire.Response{Status: result.Status, Data: data}, nil
}

// answer queues one response. A response that is too large for a frame becomes
// an error that says so.
func (c *conn) answer(ctx context.Context, topic string, r wire.Response) {
	frame, err := frameOf(topic, r)
	if err != nil {
		c.server.log.Warn("answer replaced by an error", "topic", topic, "err", err)
		if frame, err = frameOf(topic, wire.ErrorResponse(err)); err != nil {
			c.server.log.Error("answer lost", "topic", topic, "err", err)
			return
		}
	}
	_ = c.push(ctx, frame) // an error means that nobody is there to be told
}

func frameOf(topic string, r wire.Response) ([]byte, error) {
	payload, err := wire.RawJSON(r)
	if err != nil {
		return nil, err
	}
	m := wire.Message{Topic: topic, Payload: payload, SourceID: wire.NilSource, Timestamp: wire.Stamp(time.Now())}
	return m.Append(nil)
}

// push queues a frame, waiting for room while the client lives. A frame that is
// larger than all the room goes alone.
func (c *conn) push(ctx context.Context, frame []byte) error {
	if err := c.room.Acquire(ctx, c.share(frame)); err != nil {
		return fault.Wrap(fault.Interrupted, err, "the client is gone")
	}
	select {
	case c.queue <- frame:
		return nil
	case <-ctx.Done():
		return fault.Wrap(fault.Interrupted, ctx.Err(), "the client is gone")
	}
}

// share is what a frame takes of the room for what is queued.
func (c *conn) share(frame []byte) int64 { return min(int64(len(frame)), c.server.config.QueueBytes) }

// write sends queued frames until the queue is closed or the client fails, and
// then takes what is still queued to nowhere, so that nobody waits.
func (c *conn) write(ctx context.Context, cancel context.CancelFunc) {
	for frame := range c.queue {
		c.room.Release(c.share(frame)) // its successor may be made while it is written
		if ctx.Err() != nil {
			continue
		}
		if err := c.send(frame); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.server.slow.Add(1)
				c.server.log.Warn("client cut: it does not read", "pid", c.caller.PID)
			}
			cancel()
		}
	}
}

// send writes one frame with one call, under its own deadline.
func (c *conn) send(frame []byte) error {
	if err := c.sock.SetWriteDeadline(time.Now().Add(c.server.config.WriteTimeout + perByte(len(frame)))); err != nil {
		return err
	}
	_, err := c.sock.Write(frame)
	return err
}

// chunkSize is how many bytes of a stream one message carries.
const chunkSize = 256 << 10

// chunks turns written bytes into Chunk messages. What does not fill one waits for
// Flush; an operation that writes nothing costs nothing.
type chunks struct {
	conn   *conn
	ctx    context.Context
	topic  string
	seq    uint64
	filled []byte // of the next message, less than chunkSize
}

// Write sends one message for each chunkSize bytes.
func (w *chunks) Write(p []byte) (int, error) {
	taken := 0
	for len(p) > 0 {
		n := min(len(p), chunkSize-len(w.filled))
		w.filled = append(w.filled, p[:n]...)
		taken, p = taken+n, p[n:]
		if len(w.filled) == chunkSize {
			if err := w.Flush(); err != nil {
				return taken, err
			}
		}
	}
	return taken, nil
}

// Flush sends what waits.
func (w *chunks) Flush() error {
	if len(w.filled) == 0 {
		return nil
	}
	err := w.chunk(w.filled)
	w.filled = w.filled[:0]
	return err
}

func (w *chunks) chunk(p []byte) error {
	data, err := wire.Encode(p) // base64
	if err != nil {
		return err
	}
	w.seq++
	frame, err := frameOf(w.topic, wire.Response{Status: wire.StatusChunk, Seq: w.seq, Data: data})
	if err != nil {
		return err
	}
	return w.conn.push(w.ctx, frame)
}
