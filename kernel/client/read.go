package client

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// read hands responses to their calls until the connection ends.
func (c *Client) read() {
	defer close(c.ended)
	in := bufio.NewReader(c.sock)
	for {
		frame, err := wire.ReadFrame(in, wire.MaxReply)
		if err != nil {
			_ = c.fail(gone(err))
			c.abandon()
			return
		}
		if len(frame) > 0 {
			c.deliver(frame)
		}
	}
}

// gone is the error of calls whose kernel went away.
func gone(cause error) error {
	if errors.Is(cause, io.EOF) {
		return fault.New(fault.NotRunning, "the kernel ended before it answered")
	}
	return fault.Wrap(fault.NotRunning, cause, "the connection to the kernel broke")
}

// fail records why the connection ended, once, closes it, and returns the reason.
func (c *Client) fail(why error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil && why != nil {
		c.broken = why
		_ = c.sock.Close()
	}
	return c.broken
}

// abandon wakes every call that waits; only the reader, which alone sends to
// the channels, may close them.
func (c *Client) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, k := range c.waiting {
		close(k.answers)
		delete(c.waiting, id)
	}
}

// deliver gives one frame to the call that it answers, a message of the bus to
// who asked for them; what is neither (a call given up) is dropped. A slow caller holds up the others of the
// same connection, but not for longer than it listens.
func (c *Client) deliver(frame []byte) {
	m, err := wire.ParseMessage(frame)
	if err != nil {
		return
	}
	id, ok := strings.CutPrefix(m.Topic, wire.ResponsePrefix)
	if !ok {
		if c.message != nil {
			c.message(m)
		}
		return
	}
	c.mu.Lock()
	k := c.waiting[id]
	c.mu.Unlock()
	var r wire.Response
	if k == nil || wire.Decode(m.Payload, &r) != nil {
		return
	}
	select {
	case k.answers <- r:
	case <-k.given:
	}
}

var _ io.Closer = (*Client)(nil)
