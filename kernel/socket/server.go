package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"

	"astrid/kernel/bus"
	"astrid/kernel/fault"
	"astrid/kernel/op"
)

// What a Server takes at a time by default.
const (
	MaxPending = 1024 // handshakes
	MaxClients = 2048 // past them
)

// Config says what a Server serves. A zero limit means its default.
type Config struct {
	Listener *net.UnixListener // closed by Close
	Token    Token
	Table    *op.Table
	Bus      *bus.Bus // nil: clients get answers only
	Log      *slog.Logger

	Owner string // id of the user that the holder of Token is
	// User finds the user whom a token that is not Token belongs to, and the only
	// session that it is good for, if any; Kind NotFound when the token is not
	// good, or not any more. nil: there are no such tokens.
	User func(token [32]byte) (user, session string, err error)
	// Opened and Closed are told of each client past its handshake, Refused of
	// each peer that did not get there; they must not block for long. Any may be nil.
	Opened  func(Client)
	Closed  func(Client)
	Refused func(uid, pid uint32, err error)

	HandshakeTimeout time.Duration // 5 s, for each direction
	BodyTimeout      time.Duration // 5 s, plus 1 ms a KiB: from the first byte of a frame to its last
	WriteTimeout     time.Duration // 10 s, plus 1 ms a KiB
	MaxPending       int           // handshakes at a time
	MaxClients       int           // clients past their handshake
	MaxReceive       int64         // 64 MiB of large frames that are being read or understood, over all clients
	MaxInflight      int           // 64 operations of one client
	QueueFrames      int           // 64 frames that wait for one client
	QueueBytes       int64         // 512 KiB of them, or one larger frame
}

func (c Config) withDefaults() Config {
	fill(&c.HandshakeTimeout, 5*time.Second)
	fill(&c.BodyTimeout, 5*time.Second)
	fill(&c.WriteTimeout, 10*time.Second)
	fill(&c.MaxPending, MaxPending)
	fill(&c.MaxClients, MaxClients)
	fill(&c.MaxReceive, 64<<20)
	fill(&c.MaxInflight, 64)
	fill(&c.QueueFrames, 64)
	fill(&c.QueueBytes, 512<<10)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Opened == nil {
		c.Opened = func(Client) {}
	}
	if c.Closed == nil {
		c.Closed = func(Client) {}
	}
	if c.Refused == nil {
		c.Refused = func(uint32, uint32, error) {}
	}
	return c
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Client is a connection past its handshake.
type Client struct {
	ID     string // UUID, the source of what it publishes
	Caller op.Caller
	Name   string // what the client calls itself

	token *Token // that it showed; nil for Config.Token
}

// Server accepts clients of one socket.
type Server struct {
	config Config
	log    *slog.Logger
	room   *semaphore.Weighted // of MaxReceive bytes

	refused, slow atomic.Uint64

	wg sync.WaitGroup // the accept loop and one per connection

	mu      sync.Mutex
	closing bool                       // guarded by mu
	pending map[*net.UnixConn]struct{} // in their handshake, guarded by mu
	clients map[*conn]struct{}         // past it, guarded by mu
}

// New makes a Server that does nothing yet.
func New(c Config) *Server {
	c = c.withDefaults()
	return &Server{config: c, log: c.Log, room: semaphore.NewWeighted(c.MaxReceive), pending: map[*net.UnixConn]struct{}{}, clients: map[*conn]struct{}{}}
}

// Start begins to accept. ctx bounds the operations of all clients; Close must
// be called to end the server.
func (s *Server) Start(ctx context.Context) {
	s.wg.Go(func() { s.accept(ctx) })
}

// Stats counts clients now, and refused and slow ones so far.
func (s *Server) Stats() (clients int, refused, slow uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients), s.refused.Load(), s.slow.Load()
}

// acceptPause keeps a persistent error of accept (no descriptors left) from
// taking the processor.
const acceptPause = 100 * time.Millisecond

func (s *Server) accept(ctx context.Context) {
	for {
		c, err := s.config.Listener.AcceptUnix()
		switch {
		case err == nil:
			s.admit(ctx, c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			s.log.Error("accept", "err", err)
			time.Sleep(acceptPause)
		}
	}
}

// admit starts a connection's goroutine, or closes it when there are too many.
func (s *Server) admit(ctx context.Context, c *net.UnixConn) {
	s.mu.Lock()
	crowded := s.closing || len(s.pending) >= s.config.MaxPending
	if !crowded {
		s.pending[c] = struct{}{}
	}
	s.mu.Unlock()
	if crowded {
		s.refused.Add(1)
		_ = c.Close()
		return
	}
	s.wg.Go(func() { s.serve(ctx, c) })
}

// serve is the life of one connection.
func (s *Server) serve(ctx context.Context, c *net.UnixConn) {
	defer c.Close()
	cred, err := peer(c)
	if err != nil {
		s.dismiss(c, &unix.Ucred{}, err)
		return
	}
	about, err := s.introduce(c, cred)
	if err != nil {
		s.dismiss(c, cred, err)
		return
	}
	client := newConn(s, c, about)
	if reason := s.enter(client); reason != "" {
		_ = s.welcome(c, reason)
		return
	}
	if s.lapsed(client) { // since it was recognised; from here on Recheck sees it
		s.leave(client)
		return
	}
	client.listen() // before the client is told that it is in
	defer client.deafen()
	if err := s.welcome(c, ""); err != nil {
		s.leave(client)
		return
	}
	s.log.Debug("client connected", "client_version", about.Name)
	s.config.Opened(about)
	defer s.config.Closed(about)
	defer s.leave(client)
	client.run(op.WithCaller(ctx, about.Caller))
}

// introduce finds out who the peer is.
func (s *Server) introduce(c *net.UnixConn, cred *unix.Ucred) (Client, error) {
	if int(cred.Uid) != os.Geteuid() {
		return Client{}, fault.New(fault.Denied, "peer UID %d does not match daemon UID %d", cred.Uid, os.Geteuid())
	}
	about, err := s.handshake(c)
	about.Caller.Door, about.Caller.UID, about.Caller.PID = op.DoorSocket, cred.Uid, uint32(cred.Pid)
	return about, err
}

// dismiss forgets a connection that did not get in. One that ended before it
// said anything was a probe.
func (s *Server) dismiss(c *net.UnixConn, cred *unix.Ucred, err error) {
	s.mu.Lock()
	delete(s.pending, c)
	s.mu.Unlock()
	if errors.Is(err, io.EOF) {
		s.log.Debug("a probe connected")
		return
	}
	s.refused.Add(1)
	s.log.Warn("client refused", "pid", cred.Pid, "err", err)
	s.config.Refused(cred.Uid, uint32(cred.Pid), err)
}

// enter counts a client in, or says why it is turned away.
func (s *Server) enter(client *conn) (reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, client.sock)
	switch {
	case s.closing:
		reason = "the kernel is stopping"
	case len(s.clients) >= s.config.MaxClients:
		reason = fmt.Sprintf("the kernel has %d clients already and takes no more", s.config.MaxClients)
	default:
		s.clients[client] = struct{}{}
		return ""
	}
	s.refused.Add(1)
	return reason
}

func (s *Server) leave(client *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, client)
}

// Recheck ends every connection at once whose token is not good any more, with
// the operations that run for it. It must be called when a token was revoked,
// and now and then for those that expire.
func (s *Server) Recheck() {
	for _, client := range s.all() {
		if s.lapsed(client) {
			s.log.Info("client cut: its token is not good any more", "pid", client.caller.PID)
			client.cancel()
		}
	}
}

// lapsed tells whether the token of a client is not good any more.
func (s *Server) lapsed(client *conn) bool {
	if client.about.token == nil {
		return false
	}
	_, _, err := s.config.User(client.about.token.secret)
	return fault.Is(err, fault.NotFound)
}

func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.clients))
}

// Close stops accepting, unlinks the socket, lets operations under way end and
// their answers be written until ctx ends, and then closes every connection. It
// returns after the last goroutine. It may be called again.
func (s *Server) Close(ctx context.Context) error {
	err := s.config.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	for _, client := range s.beginClose() {
		client.drain()
	}
	gone := make(chan struct{})
	go func() { s.wg.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-ctx.Done():
		s.cut()
		<-gone
	}
	return err
}

// beginClose turns new clients away, drops those that have not introduced
// themselves, and returns the others.
func (s *Server) beginClose() []*conn {
	s.mu.Lock()
	s.closing = true
	for c := range s.pending {
		_ = c.Close()
	}
	s.mu.Unlock()
	return s.all()
}

// cut ends every connection at once.
func (s *Server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		c.cancel()
	}
}
