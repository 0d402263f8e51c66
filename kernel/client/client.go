package client

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Client is one connection to the kernel. Close it.
type Client struct {
	sock    net.Conn
	reader  sync.WaitGroup
	message func(wire.Message) // nil: messages are dropped

	ended   chan struct{}
	writing sync.Mutex // one frame at a time

	mu      sync.Mutex
	last    uint64           // number of the last call, guarded by mu
	waiting map[string]*call // by the topic of the answer, guarded by mu
	broken  error            // why the connection ended, guarded by mu
}

// call is one request that has not been answered in full.
type call struct {
	answers chan wire.Response
	given   chan struct{} // closed when the caller has stopped listening
}

func newClient(sock net.Conn, message func(wire.Message)) *Client {
	c := &Client{sock: sock, message: message, ended: make(chan struct{}), waiting: map[string]*call{}}
	c.reader.Go(c.read)
	return c
}

// Close ends the connection and every call on it. It may be called again.
func (c *Client) Close() error {
	c.fail(fault.New(fault.Interrupted, "the connection to the kernel was closed"))
	c.reader.Wait()
	return nil
}

// Call runs an operation. params may be nil; reply may be nil, or a pointer
// that receives the data of the answer. The error has the Kind that the kernel
// gave it.
func (c *Client) Call(ctx context.Context, method string, params, reply any) error {
	return c.CallStream(ctx, method, params, reply, nil)
}

// CallStream is Call for an operation that sends bytes before its reply; they
// are written to w as they come. An error of w ends the call.
func (c *Client) CallStream(ctx context.Context, method string, params, reply any, w io.Writer) error {
	payload, err := request(method, params)
	if err != nil {
		return err
	}
	k, topic, err := c.begin()
	if err != nil {
		return err
	}
	defer c.end(k, topic)
	if err := c.send(wire.RequestPrefix+topic, payload); err != nil {
		return err
	}
	for next := uint64(1); ; next++ {
		r, err := c.wait(ctx, k)
		if err != nil {
			return err
		}
		if r.Status != wire.StatusChunk {
			return finish(r, reply)
		}
		if err := chunk(r, next, w); err != nil {
			return err
		}
	}
}

// Publish puts a message on one of the topics that clients may publish on
// (section 3.5 of the 0.2 protocol; all others go by the operation publish). It
// is not acknowledged.
func (c *Client) Publish(topic string, payload wire.Raw) error { return c.send(topic, payload) }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.ended }

// request makes the payload. What is not UTF-8 in params is an error: it would
// arrive as something else.
func request(method string, params any) (wire.Raw, error) {
	req := wire.Request{Method: method}
	if params != nil {
		data, err := wire.EncodeExact(params)
		if err != nil {
			return nil, err
		}
		req.Params = data
	}
	return wire.RawJSON(req)
}

func (c *Client) begin() (*call, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return nil, "", c.broken
	}
	c.last++
	id := strconv.FormatUint(c.last, 10)
	k := &call{answers: make(chan wire.Response, 4), given: make(chan struct{})}
	c.waiting[id] = k
	return k, id, nil
}

func (c *Client) end(k *call, id string) {
	c.mu.Lock()
	delete(c.waiting, id)
	c.mu.Unlock()
	close(k.given)
}

func (c *Client) send(topic string, payload wire.Raw) error {
	m := wire.Message{Topic: topic, Payload: payload, SourceID: wire.NilSource, Timestamp: wire.Stamp(time.Now())}
	frame, err := m.Append(nil)
	if err != nil {
		return err
	}
	if len(frame) > wire.MaxRequest {
		return fault.New(fault.Limit, "the request has %d bytes, the limit is %d: name fewer paths", len(frame), wire.MaxRequest)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, err := c.sock.Write(frame); err != nil {
		return c.fail(gone(err))
	}
	return nil
}

// wait returns the next response of a call.
func (c *Client) wait(ctx context.Context, k *call) (wire.Response, error) {
	select {
	case r, ok := <-k.answers:
		if !ok {
			return r, c.fail(nil)
		}
		return r, nil
	case <-ctx.Done():
		return wire.Response{}, fault.Wrap(fault.KindOf(ctx.Err()), ctx.Err(), "the call was given up")
	}
}

func finish(r wire.Response, reply any) error {
	if err := r.Err(); err != nil {
		return err
	}
	if reply == nil {
		return nil
	}
	if err := wire.Decode(r.Data, reply); err != nil {
		return fault.Wrap(fault.Internal, err, "the kernel's answer makes no sense")
	}
	return nil
}

func chunk(r wire.Response, want uint64, w io.Writer) error {
	var data []byte
	switch err := wire.Decode(r.Data, &data); {
	case err != nil:
		return fault.Wrap(fault.Internal, err, "the kernel's stream makes no sense")
	case r.Seq != want:
		return fault.New(fault.Internal, "the kernel's stream skipped from piece %d to %d", want, r.Seq)
	case w == nil:
		return nil
	}
	_, err := w.Write(data)
	return err
}
