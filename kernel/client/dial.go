package client

import (
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

// Dial connects to the kernel of a home. Without one the error has Kind
// NotRunning; a home too deep for a socket is one of Kind Usage.
func Dial(ctx context.Context, h home.Home) (*Client, error) {
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
	if err := introduce(ctx, sock, h); err != nil {
		_ = sock.Close()
		return nil, err
	}
	return newClient(sock), nil
}

// introduce shows the token. It is read after the connection stands, since a
// kernel that boots removes the token of its predecessor before it listens.
func introduce(ctx context.Context, sock net.Conn, h home.Home) error {
	giveUp := context.AfterFunc(ctx, func() { _ = sock.SetDeadline(time.Unix(1, 0)) })
	defer giveUp()
	token, err := readToken(ctx, h)
	if err != nil {
		return err
	}
	hello, err := wire.Encode(wire.Hello{Token: token, ProtocolVersion: wire.Protocol, ClientVersion: wire.Version})
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
