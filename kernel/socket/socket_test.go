package socket_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"astrid/kernel/bus"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/op/optest"
	"astrid/kernel/socket"
	"astrid/kernel/wire"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("SOCKET_TEST_DIAL"); path != "" {
		stranger(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// stranger is what a process of another user does: it connects, shows the
// token, and prints what comes back.
func stranger(path string) {
	c, err := net.Dial("unix", path)
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	hello := `{"token":"` + os.Getenv("SOCKET_TEST_TOKEN") + `","protocol_version":1,"client_version":"x"}`
	_ = wire.WriteFrame(c, []byte(hello))
	frame, err := wire.ReadFrame(c, wire.MaxHandshake)
	fmt.Printf("%q %v\n", frame, err)
}

// fixture is a server on a real socket in a scratch home.
type fixture struct {
	home   home.Home
	token  string
	server *socket.Server
	bus    *bus.Bus
	heard  *bus.Subscription // what clients published; nil before listen
	log    *safeBuffer
}

// The user alice connects with aliceToken; she may read the session x, publish
// about it, and answer its requests for approval.
const (
	alice      = "a11ce000-0000-4000-8000-000000000000"
	aliceToken = "4242424242424242424242424242424242424242424242424242424242424242"
)

type rights struct{}

func (rights) Allowed(user string, need op.Capability, session string) (func() error, error) {
	switch need {
	case op.SessionRead, op.BusPublish, op.CapabilityApprove:
		if user == alice && session == "x" {
			return nil, nil
		}
	}
	return nil, errors.New("not granted")
}

func userOf(token [32]byte) (user, session string, err error) {
	if token == [32]byte(bytes.Repeat([]byte{0x42}, 32)) {
		return alice, "", nil
	}
	return "", "", fault.New(fault.NotFound, "no such token")
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
func (b *safeBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

func scratch(t *testing.T) home.Home {
	t.Helper()
	dir, err := os.MkdirTemp("", "astrid-socket-") // short: t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h, err := home.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Ensure(); err != nil {
		t.Fatal(err)
	}
	return h
}

func start(t *testing.T, s *optest.Sessions) *fixture {
	t.Helper()
	return startWith(t, s, socket.Config{})
}

func startWith(t *testing.T, s *optest.Sessions, c socket.Config) *fixture {
	t.Helper()
	f := &fixture{home: scratch(t), log: &safeBuffer{}}
	l, err := socket.Bind(f.home.Socket())
	if err != nil {
		t.Fatal(err)
	}
	token, err := socket.NewToken(f.home, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	shown, err := home.ReadPrivate(f.home.Token(), 100)
	if err != nil {
		t.Fatal(err)
	}
	f.token = string(shown)
	c.Listener, c.Token = l, token
	services, _ := optest.Of(s)
	c.Table = op.New(op.Config{Services: services, Rights: rights{}})
	f.bus = bus.New(bus.Config{})
	c.Bus, c.Owner = f.bus, "r00t"
	if c.User == nil {
		c.User = userOf
	}
	c.Log = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.server = socket.New(c)
	f.server.Start(context.Background())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := f.server.Close(ctx); err != nil {
			t.Error(err)
		}
		if strings.Contains(f.log.String(), f.token) {
			t.Error("the token is in the log")
		}
	})
	return f
}

func (f *fixture) dial(t *testing.T) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unix", f.home.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.UnixConn)
}

func (f *fixture) hello(t *testing.T, c *net.UnixConn) {
	t.Helper()
	f.helloAs(t, c, f.token, "")
}

func (f *fixture) helloAs(t *testing.T, c *net.UnixConn, token, session string) {
	t.Helper()
	send(t, c, []byte(`{"token":"`+token+`","protocol_version":1,"client_version":"test","session":"`+session+`"}`))
	frame, err := wire.ReadFrame(c, wire.MaxHandshake)
	if err != nil || !strings.Contains(string(frame), `"status":"ok"`) {
		t.Fatalf("handshake: %s, %v", frame, err)
	}
}

func (f *fixture) client(t *testing.T) *net.UnixConn {
	t.Helper()
	c := f.dial(t)
	f.hello(t, c)
	return c
}

func request(id, method, params string) []byte {
	return fmt.Appendf(nil, `{"topic":"astrid.v1.request.%s","payload":{"type":"raw_json","method":%q,"params":%s}}`, id, method, params)
}

func answer(t *testing.T, c *net.UnixConn) (string, wire.Response) {
	t.Helper()
	frame, err := wire.ReadFrame(c, wire.MaxReply)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.ParseMessage(frame)
	if err != nil {
		t.Fatal(err)
	}
	var r wire.Response
	if err := wire.Decode(m.Payload, &r); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(m.Topic, wire.ResponsePrefix), r
}

// checkServed fails the test unless a new client gets an answer.
func (f *fixture) checkServed(t *testing.T) {
	t.Helper()
	c := f.client(t)
	send(t, c, request("ping", "sessions", "{}"))
	if id, r := answer(t, c); id != "ping" || r.Status != wire.StatusSuccess {
		t.Errorf("got %s: %+v", id, r)
	}
}

func TestASilentClientHoldsUpNobody(t *testing.T) {
	f := startWith(t, &optest.Sessions{}, socket.Config{HandshakeTimeout: 100 * time.Millisecond})
	silent := f.dial(t)
	half := f.dial(t)
	if _, err := half.Write([]byte{0, 0}); err != nil {
		t.Fatal(err)
	}
	f.checkServed(t)
	for _, c := range []*net.UnixConn{silent, half} {
		if _, err := wire.ReadFrame(c, 10); !closed(err) {
			t.Errorf("still open: %v", err)
		}
	}
}

func TestAFrameThatStopsHalfwayEndsItsConnectionOnly(t *testing.T) {
	f := startWith(t, &optest.Sessions{}, socket.Config{BodyTimeout: 100 * time.Millisecond})
	for _, part := range [][]byte{{0}, {0, 0, 0, 9, '{'}} {
		c := f.client(t)
		if _, err := c.Write(part); err != nil {
			t.Fatal(err)
		}
		if _, err := wire.ReadFrame(c, 10); !closed(err) {
			t.Errorf("still open: %v", err)
		}
	}
	f.checkServed(t)
}

func TestRequestsOfOneClientRunSideBySide(t *testing.T) {
	s := &optest.Sessions{Gate: make(chan struct{})}
	s.Add("x")
	f := start(t, s)
	c := f.client(t)
	send(t, c, request("slow", "status", `{"session":"x"}`))
	send(t, c, request("fast", "sessions", "{}"))
	if id, _ := answer(t, c); id != "fast" {
		t.Errorf("the first answer is %q", id)
	}
	s.Gate <- struct{}{}
	if id, _ := answer(t, c); id != "slow" {
		t.Errorf("the second answer is %q", id)
	}
}

func TestTooManyRequestsAtOnceAreAnswered(t *testing.T) {
	s := &optest.Sessions{Gate: make(chan struct{})}
	s.Add("x")
	f := startWith(t, s, socket.Config{MaxInflight: 2})
	c := f.client(t)
	for _, id := range []string{"1", "2", "3"} {
		send(t, c, request(id, "status", `{"session":"x"}`))
	}
	if id, r := answer(t, c); id != "3" || r.Code != fault.Limit.Code() {
		t.Errorf("got %s: %+v", id, r)
	}
	close(s.Gate)
	for range 2 {
		if id, r := answer(t, c); r.Status != wire.StatusSuccess {
			t.Errorf("got %s: %+v", id, r)
		}
	}
}

// A client that asks for more than it reads is cut, and meanwhile nobody else
// notices.
func TestAStalledClientIsCutAndHoldsUpNobody(t *testing.T) {
	s := &optest.Sessions{PatchText: make([]byte, 8<<20)}
	s.Add("x")
	f := startWith(t, s, socket.Config{WriteTimeout: 300 * time.Millisecond, QueueFrames: 2})
	stalled := f.client(t)
	for i := range 4 {
		send(t, stalled, request(fmt.Sprint(i), "patch", `{"session":"x"}`))
	}
	f.checkServed(t)
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		clients, _, slow := f.server.Stats()
		if slow == 1 && clients <= 1 { // checkServed's may still be leaving
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d clients, %d slow", clients, slow)
		}
	}
	f.checkServed(t)
}

func TestALargeStreamArrivesWhole(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	s := &optest.Sessions{PatchText: want}
	s.Add("x")
	c := start(t, s).client(t)
	send(t, c, request("p", "patch", `{"session":"x"}`))
	var got []byte
	for seq := uint64(1); ; seq++ {
		_, r := answer(t, c)
		if r.Status == wire.StatusSuccess {
			break
		}
		var part string
		if err := wire.Decode(r.Data, &part); err != nil || r.Seq != seq {
			t.Fatalf("piece %d: %+v, %v", seq, r, err)
		}
		data, err := base64.StdEncoding.DecodeString(part)
		if err != nil || len(data) > 256<<10 {
			t.Fatalf("piece %d: %d bytes, %v", seq, len(data), err)
		}
		got = append(got, data...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

func TestAClientThatGoesAwayCancelsItsOperations(t *testing.T) {
	s := &optest.Sessions{Gate: make(chan struct{})}
	s.Add("x")
	f := start(t, s)
	c := f.client(t)
	send(t, c, request("1", "status", `{"session":"x"}`))
	_ = c.Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if clients, _, _ := f.server.Stats(); clients == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the operation goes on for nobody")
		}
	}
}

func TestCloseAnswersWhatIsUnderWay(t *testing.T) {
	s := &optest.Sessions{Gate: make(chan struct{})}
	s.Add("x")
	f := start(t, s)
	c := f.client(t)
	f.dial(t) // in its handshake
	send(t, c, request("1", "status", `{"session":"x"}`))
	s.Gate <- struct{}{} // it runs
	send(t, c, request("2", "status", `{"session":"x"}`))
	closing := make(chan error)
	go func() { closing <- f.server.Close(context.Background()) }()
	if id, r := answer(t, c); id != "1" || r.Status != wire.StatusSuccess {
		t.Errorf("got %s: %+v", id, r)
	}
	close(s.Gate) // lets the second end, if it was read before the close
	if err := <-closing; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(f.home.Socket()); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	if err := f.server.Close(context.Background()); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	s := &optest.Sessions{Gate: make(chan struct{})}
	s.Add("x")
	f := start(t, s)
	c := f.client(t)
	send(t, c, request("1", "status", `{"session":"x"}`))
	send(t, c, request("2", "sessions", `{}`))
	if id, _ := answer(t, c); id != "2" { // so the first is under way
		t.Fatal("unexpected answer", id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := f.server.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestHandshakesAreBounded(t *testing.T) {
	f := startWith(t, &optest.Sessions{}, socket.Config{MaxPending: 1, MaxClients: 1})
	first := f.dial(t)
	var second *net.UnixConn
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		second = f.dial(t)
		_ = second.SetDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := wire.ReadFrame(second, 10); closed(err) {
			break // one too many in the handshake
		}
		if time.Now().After(deadline) {
			t.Fatal("never refused")
		}
	}
	f.hello(t, first)
	for clients := 0; clients == 0; clients, _, _ = f.server.Stats() {
		time.Sleep(time.Millisecond) // until the first is no longer pending
	}
	third := f.dial(t)
	send(t, third, []byte(`{"token":"`+f.token+`","protocol_version":1,"client_version":"test"}`))
	if frame, err := wire.ReadFrame(third, wire.MaxHandshake); err != nil || !strings.Contains(string(frame), "takes no more") {
		t.Errorf("one client too many is told %s, %v", frame, err)
	}
}

// Every operation of the table is a method of the socket, under its name and
// with its capability.
func TestMethodsAgreeWithTheTable(t *testing.T) {
	s := &optest.Sessions{PatchText: []byte("p")}
	s.Add("x", "a")
	f := start(t, s)
	c := f.client(t)
	table, _ := optest.New(s)
	for _, e := range table.Entries() {
		if e.Method == "rm" || e.Method == "down" {
			continue // of the session that the others need; see requests.txt
		}
		send(t, c, request(e.Method, e.Method, `{"session":"x","dir":"/x","source":"","request_id":"1","to":"c1"}`))
		id, r := answer(t, c)
		for r.Status == wire.StatusChunk {
			id, r = answer(t, c)
		}
		if id != e.Method || r.Status != e.Status {
			t.Errorf("%s: %s %+v", e.Method, id, r)
		}
	}
}

func TestHammer(t *testing.T) {
	s := &optest.Sessions{PatchText: make([]byte, 300<<10)}
	s.Add("x", "a", "b")
	f := start(t, s)
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Go(func() {
			c := f.client(t)
			for i := range 12 {
				send(t, c, request(fmt.Sprintf("%d.%d", n, i), []string{"status", "changes", "patch", "frobnicate"}[i%4], `{"session":"x"}`))
			}
			if n%2 == 0 {
				return // goes away with answers unread
			}
			for got := 0; got < 12; {
				if _, r := answer(t, c); r.Status != wire.StatusChunk {
					got++
				}
			}
		})
	}
	wg.Wait()
	f.checkServed(t)
}

// Large frames of all clients share one budget: who finds no room is cut, and
// small frames pass.
func TestReceivingIsBoundedOverAllClients(t *testing.T) {
	f := startWith(t, &optest.Sessions{}, socket.Config{MaxReceive: 100 << 10, BodyTimeout: 200 * time.Millisecond})
	holder := f.client(t)
	if _, err := holder.Write([]byte{0, 1, 0x40, 0}); err != nil { // 80 KiB that do not come
		t.Fatal(err)
	}
	second := f.client(t)
	send(t, second, request("big", "version", `{"x":"`+strings.Repeat("x", 60<<10)+`"}`))
	f.checkServed(t)
	if _, err := wire.ReadFrame(holder, 10); !closed(err) {
		t.Errorf("who holds the room for nothing: %v", err)
	}
	third := f.client(t)
	send(t, third, request("big", "version", `{"x":"`+strings.Repeat("x", 60<<10)+`"}`))
	if id, r := answer(t, third); id != "big" || r.Status != wire.StatusSuccess {
		t.Errorf("after the room is free: %s %+v", id, r)
	}
}
