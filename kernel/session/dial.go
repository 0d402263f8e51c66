package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// greetTime is how long a view server may take to answer a hello.
const greetTime = 5 * time.Second

var (
	// errLost says that the connection ended before the operation did.
	errLost = errors.New("the connection to the view server was lost")
	// errStranger says that the process we watch is not the one that answers.
	errStranger = errors.New("another process answers for the view")
)

// line is one connection to a view server, past the hello.
type line struct {
	conn net.Conn
	pid  int // of the server
	stop func() bool
}

// dial reaches the session's view server. The socket's path goes through a
// descriptor, so that no home is too deep. When ctx ends the line breaks.
func (e *entry) dial(ctx context.Context) (*line, error) {
	h := e.t.cfg.Home
	nonce, err := loadNonce(h, e.name)
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenFile(h.TempDir(e.name), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(h.ViewSocket(e.name))))
	if err != nil {
		return nil, err
	}
	l := &line{conn: conn, stop: context.AfterFunc(ctx, func() { conn.Close() })}
	if err := l.greet(wire.ViewHello{Protocol: wire.ViewProtocol, Nonce: nonce, Build: e.t.cfg.Build}); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// giveUpAfter makes the end of ctx a wish to the server, and breaks the line only
// some time later.
func (l *line) giveUpAfter(ctx context.Context, patience time.Duration) {
	l.stop()
	conn := l.conn
	l.stop = context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(time.Now().Add(patience))
		if half, ok := conn.(*net.UnixConn); ok {
			half.CloseWrite()
		}
	})
}

func (l *line) close() {
	l.stop()
	l.conn.Close()
}

func (l *line) greet(hello wire.ViewHello) error {
	l.conn.SetDeadline(time.Now().Add(greetTime))
	defer l.conn.SetDeadline(time.Time{})
	if err := l.send(hello); err != nil {
		return err
	}
	data, err := wire.ReadFrame(l.conn, wire.MaxHandshake)
	if err != nil {
		return lost(err)
	}
	var welcome wire.ViewWelcome
	if err := wire.Decode(data, &welcome); err != nil {
		return err
	}
	if welcome.Error != nil {
		if welcome.Protocol != wire.ViewProtocol {
			return fault.New(fault.Unsupported,
				"the view server (process %d) speaks protocol %d, this kernel %d: it is left running; end it with kill %d, which loses nothing, and astrid up starts one that fits",
				welcome.PID, welcome.Protocol, wire.ViewProtocol, welcome.PID)
		}
		return welcome.Error.Err()
	}
	l.pid = welcome.PID
	return nil
}

func (l *line) send(v any) error {
	data, err := wire.Encode(v)
	if err == nil {
		err = lost(wire.WriteFrame(l.conn, data))
	}
	return err
}

// ask sends a request and returns the last reply; those before it go to each.
func (l *line) ask(op string, params any, each func(wire.ViewReply) error) (wire.ViewReply, error) {
	req := wire.ViewRequest{Op: op}
	if params != nil {
		raw, err := wire.EncodeExact(params)
		if err != nil {
			return wire.ViewReply{}, err
		}
		req.Params = raw
	}
	if err := l.send(req); err != nil {
		return wire.ViewReply{}, err
	}
	for {
		data, err := wire.ReadFrame(l.conn, wire.MaxReply)
		if err != nil {
			return wire.ViewReply{}, lost(err)
		}
		var reply wire.ViewReply
		if err := wire.Decode(data, &reply); err != nil {
			return wire.ViewReply{}, err
		}
		if reply.Done {
			return reply, reply.Error.Err()
		}
		if each != nil {
			if err := each(reply); err != nil {
				return wire.ViewReply{}, err
			}
		}
	}
}

// lost marks an error of the connection itself.
func lost(err error) error {
	var network *net.OpError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

// ready returns when the view of proc is mounted.
func (e *entry) ready(ctx context.Context, proc *process) error {
	l, err := e.dial(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	if l.pid != proc.pid {
		return errStranger
	}
	_, err = l.ask(wire.ViewReady, nil, nil)
	return err
}

// follow hands on the events of proc until it is gone.
func (e *entry) follow(ctx context.Context, proc *process) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	e.t.running.Go(func() {
		select {
		case <-proc.gone:
			cancel()
		case <-stop:
		}
	})
	for ctx.Err() == nil {
		e.followOnce(ctx)
		select {
		case <-time.After(firstDelay):
		case <-ctx.Done():
		}
	}
}

func (e *entry) followOnce(ctx context.Context) {
	l, err := e.dial(ctx)
	if err != nil {
		return
	}
	defer l.close()
	_, _ = l.ask(wire.ViewEvents, nil, func(r wire.ViewReply) error {
		if r.Event != nil && e.t.cfg.Event != nil {
			e.t.cfg.Event(e.name, *r.Event)
		}
		return nil
	})
}
