package socket

import (
	"bufio"
	"context"
	"errors"
	"os"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// perform runs one request and answers it.
func (c *conn) perform(ctx context.Context, topic string, payload wire.Raw) {
	response, err := c.do(ctx, topic, payload)
	if err != nil {
		response = wire.ErrorResponse(err)
	}
	c.answer(ctx, topic, response)
}

func (c *conn) do(ctx context.Context, topic string, payload wire.Raw) (wire.Response, error) {
	var req wire.Request
	if err := wire.Decode(payload, &req); err != nil {
		return wire.Response{}, err
	}
	out := bufio.NewWriterSize(&chunks{conn: c, ctx: ctx, topic: topic}, chunkSize)
	result, err := c.server.config.Table.Do(ctx, req.Method, req.Params, out)
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

// push queues a frame, waiting for room while the client lives.
func (c *conn) push(ctx context.Context, frame []byte) error {
	select {
	case c.queue <- frame:
		return nil
	case <-ctx.Done():
		return fault.Wrap(fault.Interrupted, ctx.Err(), "the client is gone")
	}
}

// write sends queued frames until the queue is closed or the client fails, and
// then takes what is still queued to nowhere, so that nobody waits.
func (c *conn) write(ctx context.Context, cancel context.CancelFunc) {
	for frame := range c.queue {
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

// chunks turns written bytes into Chunk messages.
type chunks struct {
	conn  *conn
	ctx   context.Context
	topic string
	seq   uint64
}

// Write sends p as one message for each chunkSize bytes.
func (w *chunks) Write(p []byte) (int, error) {
	sent := 0
	for len(p) > 0 {
		n := min(len(p), chunkSize)
		if err := w.chunk(p[:n]); err != nil {
			return sent, err
		}
		sent, p = sent+n, p[n:]
	}
	return sent, nil
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
