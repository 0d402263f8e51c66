package socket_test

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"astrid/kernel/fault"
	"astrid/kernel/op/optest"
	"astrid/kernel/socket"
	"astrid/kernel/wire"
)

func TestATokenThatIsNotGoodAnyMoreEndsItsConnections(t *testing.T) {
	var over, broken atomic.Bool
	f := startWith(t, &optest.Sessions{}, socket.Config{User: func(token [32]byte) (user, session string, err error) {
		switch {
		case broken.Load():
			return "", "", fault.New(fault.Internal, "the store is broken")
		case over.Load():
			return "", "", fault.New(fault.NotFound, "no such token")
		}
		return userOf(token)
	}})
	owner, c := f.client(t), f.dial(t)
	f.helloAs(t, c, aliceToken, "")
	serves := func(c *net.UnixConn) {
		t.Helper()
		send(t, c, request("v", "version", "{}"))
		if id, r := answer(t, c); id != "v" { // alice may not know, and is told so
			t.Errorf("%s: %+v", id, r)
		}
	}
	f.server.Recheck()
	serves(c)
	broken.Store(true) // nothing is known about the token
	f.server.Recheck()
	serves(c)
	broken.Store(false)
	over.Store(true)
	f.server.Recheck()
	if frame, err := wire.ReadFrame(c, wire.MaxReply); err == nil {
		t.Errorf("it is sent %s", frame)
	}
	serves(owner)
	if strings.Contains(f.log.String(), aliceToken) {
		t.Error("the token is in the log")
	}
}

func TestATokenThatIsRevokedDuringTheHandshakeLetsNobodyIn(t *testing.T) {
	var asked atomic.Int32
	f := startWith(t, &optest.Sessions{}, socket.Config{User: func(token [32]byte) (user, session string, err error) {
		if asked.Add(1) > 1 {
			return "", "", fault.New(fault.NotFound, "no such token")
		}
		return userOf(token)
	}})
	c := f.dial(t)
	send(t, c, []byte(`{"token":"`+aliceToken+`","protocol_version":1,"client_version":"test"}`))
	if frame, err := wire.ReadFrame(c, wire.MaxHandshake); err == nil {
		t.Errorf("it is welcomed: %s", frame)
	}
	f.checkServed(t)
}
