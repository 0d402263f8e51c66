package session

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"astrid/kernel/home"
	"astrid/kernel/wire"
)

// This test binary is also the view server of the tables under test: one that
// mounts nothing and behaves as the file "behave" in its workspace says.

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "view-server" {
		os.Exit(fakeView(os.Args[3]))
	}
	goleak.VerifyTestMain(m)
}

// fake is one fake view server.
type fake struct {
	h      home.Home
	record wire.SessionRecord
	nonce  string
	end    chan int
}

func fakeView(name string) int {
	h, _ := home.Resolve(os.Getenv)
	f := &fake{h: h, end: make(chan int, 1)}
	record, err := loadRecord(h, name)
	if err != nil {
		return 9
	}
	f.record = record
	f.nonce, _ = loadNonce(h, name)
	lock, _ := os.OpenFile(h.ViewLock(name), os.O_RDWR|os.O_CREATE, 0o600)
	if unix.Flock(int(lock.Fd()), unix.LOCK_EX) != nil {
		return 9
	}
	lock.Truncate(0)
	fmt.Fprintln(lock, os.Getpid())
	os.Remove(exitFile(h, name))
	if f.behave("refuse") {
		f.exit("", &wire.Error{Code: "unsupported", Text: "no views today"})
		return 1
	}
	if f.behave("crash") {
		return 3
	}
	os.Remove(h.ViewSocket(name))
	l, err := net.Listen("unix", h.ViewSocket(name))
	if err != nil {
		return 9
	}
	go f.accept(l)
	if f.behave("foreign") { // the next version ends by a signal too
		sig := make(chan os.Signal, 1)
		notifyTerm(sig)
		<-sig
		f.exit("ended by signal", nil)
		return 0
	}
	return <-f.end
}

func (f *fake) behave(how string) bool {
	data, _ := os.ReadFile(filepath.Join(f.record.Dir, "behave"))
	return strings.Contains(string(data), how)
}

func (f *fake) exit(why string, failure *wire.Error) {
	changes := 0
	if f.behave("dirty") {
		changes = 3
	}
	data, _ := wire.Encode(wire.ViewExit{PID: os.Getpid(), Why: why, Error: failure, Changes: changes})
	_ = home.WriteFileAtomic(exitFile(f.h, f.record.Name), data)
}

func (f *fake) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go f.converse(conn)
	}
}

func (f *fake) converse(conn net.Conn) {
	defer conn.Close()
	send := func(v any) {
		data, _ := wire.Encode(v)
		_ = wire.WriteFrame(conn, data)
	}
	var hello wire.ViewHello
	data, err := wire.ReadFrame(conn, wire.MaxHandshake)
	if err != nil || wire.Decode(data, &hello) != nil {
		return
	}
	welcome := wire.ViewWelcome{Protocol: wire.ViewProtocol, PID: os.Getpid()}
	if f.behave("foreign") {
		welcome.Protocol, welcome.Error = 99, &wire.Error{Code: "unsupported", Text: "version"}
	} else if hello.Nonce != f.nonce {
		welcome.Error = &wire.Error{Code: "denied", Text: "nonce"}
	}
	send(welcome)
	var req wire.ViewRequest
	data, err = wire.ReadFrame(conn, wire.MaxRequest)
	if err != nil || wire.Decode(data, &req) != nil {
		return
	}
	f.serve(conn, req, send)
}

func (f *fake) serve(conn net.Conn, req wire.ViewRequest, send func(any)) {
	switch req.Op {
	case wire.ViewStatus:
		raw, _ := wire.Encode(wire.Status{Digest: "d", Commits: 7})
		send(wire.ViewReply{Done: true, Result: raw})
	case wire.ViewChanges:
		if f.behave("hang") {
			var one [1]byte
			conn.Read(one[:])
			return
		}
		if f.behave("dies once") && os.Remove(filepath.Join(f.record.Dir, "behave")) == nil {
			os.Exit(4)
		}
		raw, _ := wire.Encode(wire.ChangesReply{Digest: "pid " + strconv.Itoa(os.Getpid())})
		send(wire.ViewReply{Done: true, Result: raw})
	case wire.ViewDiscard:
		if f.behave("too late") { // to give up
			_ = os.WriteFile(filepath.Join(f.record.Dir, "applying"), nil, 0o600)
			var one [1]byte
			conn.Read(one[:])
			raw, _ := wire.Encode(wire.DiscardReply{Kept: "there"})
			send(wire.ViewReply{Done: true, Result: raw})
			return
		}
		os.Exit(4)
	case wire.ViewPatch:
		send(wire.ViewReply{Chunk: []byte("one ")})
		send(wire.ViewReply{Chunk: []byte("two")})
		if f.behave("cut") {
			os.Exit(4)
		}
		send(wire.ViewReply{Done: true})
	case wire.ViewEvents:
		send(wire.ViewReply{Event: &wire.ViewEvent{Seq: 1, Kind: "up"}})
		var one [1]byte
		conn.Read(one[:])
	case wire.ViewStop:
		var in wire.StopRequest
		_ = wire.Decode(req.Params, &in)
		if f.behave("busy") && !in.Force {
			send(wire.ViewReply{Done: true, Error: &wire.Error{Code: "busy", Text: "held by somebody"}})
			return
		}
		f.exit(in.Why, nil)
		send(wire.ViewReply{Done: true})
		conn.Close()
		f.end <- 0
	default:
		send(wire.ViewReply{Done: true})
	}
}

func notifyTerm(c chan os.Signal) { signal.Notify(c, syscall.SIGTERM) }

// bench is a home with tables on it.
type bench struct {
	*testing.T
	home   home.Home
	user   string
	events chan string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	h, err := home.At(filepath.Join(dir, "home"))
	if err == nil {
		err = h.Ensure()
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "user"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, home: h, user: filepath.Join(dir, "user"), events: make(chan string, 64)}
	t.Cleanup(b.killAll)
	return b
}

// killAll ends view servers that a test left on purpose.
func (b *bench) killAll() {
	dirs, _ := os.ReadDir(b.home.Tmp())
	for _, d := range dirs {
		if pid, held := lockHolder(b.home.ViewLock(d.Name())); held && pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func (b *bench) table() *Table {
	b.Helper()
	t, err := New(Config{
		Home: b.home, UserHome: b.user, Build: "test", Environ: append(os.Environ(), "GORACE=atexit_sleep_ms=0"), Log: slog.New(slog.DiscardHandler),
		Event: func(session string, e wire.ViewEvent) {
			select {
			case b.events <- session + " " + e.Kind:
			default:
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(t.Leave)
	return t
}

// dir makes a workspace whose view server behaves in a certain way.
func (b *bench) dir(name, behave string) string {
	b.Helper()
	dir := filepath.Join(b.TempDir(), name)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "behave"), []byte(behave), 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
	return dir
}

func (b *bench) behave(dir, how string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(dir, "behave"), []byte(how), 0o644); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) up(t *Table, dir string) wire.Session {
	b.Helper()
	s, err := t.Up(b.Context(), wire.Up{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// reaches waits for a session to be in a state.
func (b *bench) reaches(t *Table, name, state string) wire.Session {
	b.Helper()
	e, err := t.find(name)
	if err != nil {
		b.Fatal(err)
	}
	if _, note, err := e.await(b.Context(), 20*time.Second, func(s string) bool { return s == state }); err != nil {
		b.Fatalf("not %s: %v (%s)", state, err, note)
	}
	return e.describe()
}
