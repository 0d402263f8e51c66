package client

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net"
	"runtime"
	"strings"
	"syscall"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/wire"
)

const (
	handshakeTimeout = 10 * time.Second
	// tokenWait bounds the moment in a kernel's boot between socket and token.
	tokenWait  = 2 * time.Second
	tokenPause = 10 * time.Millisecond
	maxToken   = 256 // bytes of the token file
)

// errNotRunning is what a verb says when there is nobody to talk to.
func errNotRunning(cause error) error {
	return &fault.Error{Kind: fault.NotRunning, Text: "no kernel is running: run `astrid up`", Err: cause}
}

// Options say as whom to connect, and what else comes over the connection. The
// zero Options connect as the owner.
type Options struct {
	Token   string // of a user, 64 hex digits; empty: the owner's, read from the home
	Session string // narrows the connection to one session; empty: what the token is good for
	Name    string // what the client calls itself, at most 64 bytes; default the version
	// Message receives each message of the bus that the kernel sends, on the
	// connection's reader: until it returns, nothing else is read. nil: they are
	// dropped.
	Message func(wire.Message)
}

// Dial connects to the kernel of a home as its owner. Without one the error has
// Kind NotRunning; a home too deep for a socket is one of Kind Usage.
func Dial(ctx context.Context, h home.Home) (*Client, error) { return DialAs(ctx, h, Options{}) }

// DialAs is Dial for anybody. A token or session that is refused is an error of
// Kind Denied.
func DialAs(ctx context.Context, h home.Home, o Options) (*Client, error) {
	if err := home.CheckSocket(h.Socket(), runtime.GOOS); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	sock, err := (&net.Dialer{}).DialContext(ctx, "unix", h.Socket())
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, errNotRunning(err)
	case err != nil:
		return nil, fault.Wrap(fault.KindOf(err), err, "reach the kernel")
	}
	if err := introduce(ctx, sock, h, o); err != nil {
		_ = sock.Close()
		return nil, err
	}
	return newClient(sock, o.Message), nil
}

// introduce shows the token. It is read after the connection stands, since a
// kernel that boots removes the token of its predecessor before it listens.
func introduce(ctx context.Context, sock net.Conn, h home.Home, o Options) error {
	giveUp := context.AfterFunc(ctx, func() { _ = sock.SetDeadline(time.Unix(1, 0)) })
	defer giveUp()
	if o.Token == "" {
		var err error
		if o.Token, err = readToken(ctx, h); err != nil {
			return err
		}
	}
	hello, err := wire.Encode(wire.Hello{
		Token: o.Token, ProtocolVersion: wire.Protocol, ClientVersion: cmp.Or(o.Name, wire.Version), Session: o.Session,
	})
	if err != nil {
		return err
	}
	if err := wire.WriteFrame(sock, hello); err != nil {
		return errNotRunning(err)
	}
	frame, err := wire.ReadFrame(sock, wire.MaxHandshake)
	switch {
	case ctx.Err() != nil:
		return fault.Wrap(fault.Unavailable, ctx.Err(), "the kernel did not answer the handshake")
	case err != nil:
		return errNotRunning(err)
	}
	return judge(frame)
}

// judge looks at the kernel's answer to the handshake.
func judge(frame []byte) error {
	var w wire.Welcome
	if err := wire.Decode(frame, &w); err != nil {
		return fault.Wrap(fault.Unsupported, err, "the kernel's handshake makes no sense")
	}
	switch {
	case w.Status == wire.WelcomeOK:
		return nil
	case w.ProtocolVersion != wire.Protocol:
		return fault.New(fault.Unsupported, "the running kernel speaks protocol %d, this program %d: run `astrid down` with the program that started it", w.ProtocolVersion, wire.Protocol)
	}
	return fault.New(fault.Denied, "the kernel refused this client: %s", w.Reason)
}

func readToken(ctx context.Context, h home.Home) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenWait)
	defer cancel()
	tick := time.NewTicker(tokenPause)
	defer tick.Stop()
	for {
		data, err := home.ReadPrivate(h.Token(), maxToken)
		if err == nil {
			return strings.TrimSpace(string(data)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", errNotRunning(err)
		}
	}
}
