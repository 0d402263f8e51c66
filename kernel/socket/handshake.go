package socket

import (
	"fmt"
	"net"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// reasonToken is the same for a malformed token and a wrong one, on purpose.
const reasonToken = "authentication failed"

// reasonSession is told to who shows a good token and asks for a session that it
// is not good for, or that no session can be called.
const reasonSession = "this token is not good for that session"

// handshake reads a Hello and refuses a bad one; a good one is answered by
// welcome, once everything is ready for the client. An error means that the
// connection is to be closed; the peer has been told whatever it is to be told.
func (s *Server) handshake(c *net.UnixConn) (Client, error) {
	if err := c.SetDeadline(time.Now().Add(s.config.HandshakeTimeout)); err != nil {
		return Client{}, err
	}
	frame, err := wire.ReadFrame(c, wire.MaxHandshake)
	if err != nil {
		return Client{}, err
	}
	var hello wire.Hello
	if err := wire.Decode(frame, &hello); err != nil {
		return Client{}, err
	}
	about, reason := s.judge(hello)
	if reason == "" {
		return about, nil
	}
	if err := s.welcome(c, reason); err != nil {
		return Client{}, err
	}
	return Client{}, fault.New(fault.Denied, "%s (client %.64q)", reason, hello.ClientVersion)
}

// judge finds out who says Hello, or the reason why it is not good enough.
func (s *Server) judge(hello wire.Hello) (Client, string) {
	if hello.ProtocolVersion != wire.Protocol {
		return Client{}, fmt.Sprintf("Protocol version mismatch (client=%d, server=%d). Restart the daemon with `astrid daemon restart`.",
			hello.ProtocolVersion, wire.Protocol)
	}
	caller, token, ok := s.recognise(hello.Token)
	if !ok {
		return Client{}, reasonToken
	}
	if hello.Session != "" {
		if home.CheckSession(hello.Session) != nil || caller.Session != "" && caller.Session != hello.Session {
			return Client{}, reasonSession
		}
		caller.Session = hello.Session
	}
	name := hello.ClientVersion[:min(len(hello.ClientVersion), 64)]
	return Client{ID: wire.NewUUID(), Caller: caller, Name: name, token: token}, ""
}

// recognise finds whose token is shown, and returns it if it may lapse.
func (s *Server) recognise(shown string) (op.Caller, *Token, bool) {
	token, ok := parseToken(shown)
	switch {
	case !ok:
		return op.Caller{}, nil, false
	case s.config.Token.matches(token):
		return op.Caller{Principal: op.Owner, User: s.config.Owner}, nil, true
	case s.config.User == nil:
		return op.Caller{}, nil, false
	}
	user, session, err := s.config.User(token)
	if err != nil || user == "" {
		return op.Caller{}, nil, false
	}
	principal := op.Principal(user)
	if user == s.config.Owner {
		principal = op.Owner
	}
	return op.Caller{Principal: principal, User: user, Session: session}, &Token{token}, true
}

// welcome answers a Hello; reason is why it is refused, if it is.
func (s *Server) welcome(c *net.UnixConn, reason string) error {
	w := wire.Welcome{Status: wire.WelcomeOK, ProtocolVersion: wire.Protocol, ServerVersion: wire.Version, Reason: reason}
	if reason != "" {
		w.Status = wire.WelcomeError
	}
	data, err := wire.Encode(w)
	if err != nil {
		return err
	}
	if err := c.SetWriteDeadline(time.Now().Add(s.config.HandshakeTimeout)); err != nil {
		return err
	}
	if err := wire.WriteFrame(c, data); err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}
