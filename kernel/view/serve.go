package view

import (
	"context"
	"crypto/subtle"
	"net"
	"os"
	"runtime/debug"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

const (
	// maxConns is how many operations are under way at once; further peers
	// wait in the backlog.
	maxConns = 64
	// helloTime is how long a peer may take to say who it is and what it wants.
	helloTime = 5 * time.Second
	// writeTime is how long a peer may leave one frame unread.
	writeTime = 60 * time.Second
)

// accept serves connections until the listener is closed.
func (s *server) accept(ctx context.Context) {
	slots := make(chan struct{}, maxConns)
	for {
		slots <- struct{}{}
		conn, err := s.socket.AcceptUnix()
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("accept", "err", err)
			}
			return
		}
		s.conns.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			s.converse(ctx, conn)
		})
	}
}

// converse holds one conversation: hello, request, replies.
func (s *server) converse(ctx context.Context, conn *net.UnixConn) {
	if !peerIsOwner(conn) {
		s.log.Warn("a peer of another user was turned away")
		return
	}
	conn.SetDeadline(time.Now().Add(helloTime))
	if !s.greet(conn) {
		return
	}
	data, err := wire.ReadFrame(conn, wire.MaxRequest)
	if err != nil {
		return // a probe: hello and goodbye
	}
	conn.SetDeadline(time.Time{})
	var req wire.ViewRequest
	out := &sender{conn: conn}
	if err := wire.Decode(data, &req); err != nil {
		out.done(nil, err)
		return
	}
	result, err := s.perform(ctx, conn, req, out)
	out.done(result, err)
}

// greet answers the hello; false when the peer is to be left.
func (s *server) greet(conn *net.UnixConn) bool {
	data, err := wire.ReadFrame(conn, wire.MaxHandshake)
	if err != nil {
		return false
	}
	var hello wire.ViewHello
	welcome := wire.ViewWelcome{Protocol: wire.ViewProtocol, Build: s.cfg.Build, PID: os.Getpid(), Session: s.record.Name}
	switch {
	case wire.Decode(data, &hello) != nil:
		welcome.Error = wire.ErrorOf(fault.New(fault.Usage, "the hello is malformed"))
	case subtle.ConstantTimeCompare([]byte(hello.Nonce), []byte(s.nonce)) != 1:
		welcome = wire.ViewWelcome{Protocol: wire.ViewProtocol, Error: wire.ErrorOf(fault.New(fault.Denied, "authentication failed"))}
	case hello.Protocol != wire.ViewProtocol:
		welcome.Error = wire.ErrorOf(fault.New(fault.Unsupported,
			"this view server speaks protocol %d and the kernel speaks %d", wire.ViewProtocol, hello.Protocol))
	}
	out := &sender{conn: conn}
	return out.send(welcome) == nil && welcome.Error == nil
}

// perform runs one operation under a context that ends with the connection.
func (s *server) perform(ctx context.Context, conn net.Conn, req wire.ViewRequest, out *sender) (result any, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the connection, which the caller closes
		var one [1]byte
		conn.Read(one[:])
		cancel()
	}()
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("an operation panicked", "op", req.Op, "panic", p, "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, "%s met a defect of Astrid; the view's log has the details", req.Op)
		}
	}()
	return s.dispatch(ctx, req, out)
}

// sender writes frames to a peer.
type sender struct {
	conn   net.Conn
	failed error
}

func (o *sender) send(v any) error {
	if o.failed != nil {
		return o.failed
	}
	data, err := wire.Encode(v)
	if err == nil {
		o.conn.SetWriteDeadline(time.Now().Add(writeTime))
		err = wire.WriteFrame(o.conn, data)
	}
	return err
}

// done ends the conversation. A result too large for a frame becomes an error.
func (o *sender) done(result any, err error) {
	reply := wire.ViewReply{Done: true, Error: wire.ErrorOf(err)}
	if result != nil {
		raw, encodeErr := wire.Encode(result)
		if encodeErr != nil {
			reply.Error = wire.ErrorOf(encodeErr)
		}
		reply.Result = raw
	}
	if err := o.send(reply); fault.Is(err, fault.Limit) {
		o.send(wire.ViewReply{Done: true, Error: wire.ErrorOf(fault.New(fault.Limit,
			"the answer is larger than a frame may be; name the paths that matter"))})
	}
}

// chunkLen is how much of a stream goes into one frame.
const chunkLen = 256 << 10

// Write sends p as chunks; it is how a patch leaves.
func (o *sender) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		n := min(len(p)-sent, chunkLen)
		if err := o.send(wire.ViewReply{Chunk: p[sent : sent+n]}); err != nil {
			o.failed = err
			return sent, err
		}
		sent += n
	}
	return sent, nil
}
