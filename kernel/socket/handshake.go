package socket

import (
	"fmt"
	"net"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// reasonToken is the same for a malformed token and a wrong one, on purpose.
const reasonToken = "authentication failed"

// handshake reads a Hello and answers it. An error means that the connection is
// to be closed; the peer has been told whatever it is to be told.
func (s *Server) handshake(c *net.UnixConn) error {
	if err := c.SetDeadline(time.Now().Add(s.config.HandshakeTimeout)); err != nil {
		return err
	}
	frame, err := wire.ReadFrame(c, wire.MaxHandshake)
	if err != nil {
		return err
	}
	var hello wire.Hello
	if err := wire.Decode(frame, &hello); err != nil {
		return err
	}
	reason := s.refuse(hello)
	if err := s.welcome(c, reason); err != nil {
		return err
	}
	if reason != "" {
		return fault.New(fault.Denied, "%s (client %.64q)", reason, hello.ClientVersion)
	}
	s.log.Debug("client connected", "client_version", hello.ClientVersion[:min(len(hello.ClientVersion), 64)])
	return c.SetDeadline(time.Time{})
}

// refuse returns why a Hello is not good enough, empty when it is.
func (s *Server) refuse(hello wire.Hello) string {
	switch {
	case hello.ProtocolVersion != wire.Protocol:
		return fmt.Sprintf("Protocol version mismatch (client=%d, server=%d). Restart the daemon with `astrid daemon restart`.",
			hello.ProtocolVersion, wire.Protocol)
	case !s.config.Token.matches(hello.Token):
		return reasonToken
	}
	return ""
}

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
	return wire.WriteFrame(c, data)
}
