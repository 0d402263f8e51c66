package view

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/wire"
	"astrid/overlay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is an engine and a mount that do nothing, slowly where told.
type stub struct {
	busy  bool
	done  chan struct{}
	began chan struct{} // receives when Changes begins, if not nil
	ended chan error    // receives how Changes ended
}

func (e *stub) Status(context.Context) (wire.Status, error) { return wire.Status{Digest: "d"}, nil }
func (e *stub) Count(context.Context) (int, error)          { return 4, nil }
func (e *stub) Changes(ctx context.Context, in wire.ChangesRequest) (wire.ChangesReply, error) {
	switch {
	case e.began != nil:
		e.began <- struct{}{}
		<-ctx.Done()
		e.ended <- ctx.Err()
		return wire.ChangesReply{}, ctx.Err()
	case len(in.Paths) > 0 && in.Paths[0] == "panic":
		panic("on purpose")
	case len(in.Paths) > 0:
		return wire.ChangesReply{}, os.ErrNotExist
	}
	return wire.ChangesReply{Digest: "x"}, nil
}

func (e *stub) Brake() wire.Brake                                         { return wire.Brake{} }
func (e *stub) SetBrake(wire.Brake, func(why string))                     {}
func (e *stub) Signatures() []overlay.Signature                           { return nil }
func (e *stub) SetSignatures([]overlay.Signature)                         {}
func (e *stub) Signed() uint64                                            { return 0 }
func (e *stub) OnEdit(func(string))                                       {}
func (e *stub) Hunks(context.Context, wire.HunksRequest, io.Writer) error { return nil }

func (e *stub) Patch(_ context.Context, _ wire.PatchRequest, w io.Writer) error {
	_, err := w.Write(bytes.Repeat([]byte("0123456789abcdef"), 2*chunkLen/16))
	return err
}

func (e *stub) Commit(context.Context, wire.CommitRequest) (wire.CommitReply, error) {
	return wire.CommitReply{Number: 2}, nil
}

func (e *stub) Undo(context.Context, wire.UndoRequest) (wire.UndoReply, error) {
	return wire.UndoReply{}, nil
}

func (e *stub) History(context.Context, wire.HistoryRequest) ([]wire.HistoryEntry, error) {
	return nil, nil
}

func (e *stub) Conflicts(context.Context, wire.ConflictsRequest) ([]wire.ConflictInfo, error) {
	return nil, nil
}

func (e *stub) Side(context.Context, wire.SideRequest, io.Writer) error { return nil }

func (e *stub) Resolve(context.Context, wire.ResolveRequest) (wire.DiscardReply, error) {
	return wire.DiscardReply{}, nil
}

func (e *stub) Discard(context.Context, wire.DiscardRequest) (wire.DiscardReply, error) {
	return wire.DiscardReply{}, nil
}
func (e *stub) Checkpoint(context.Context, wire.CheckpointRequest) (wire.Checkpoint, error) {
	return wire.Checkpoint{}, nil
}
func (e *stub) Checkpoints(context.Context) ([]wire.Checkpoint, error) { return nil, nil }
func (e *stub) DropCheckpoints(context.Context, wire.DropRequest) ([]wire.Checkpoint, error) {
	return nil, nil
}
func (e *stub) Rollback(context.Context, wire.RollbackRequest) (wire.RollbackReply, error) {
	return wire.RollbackReply{}, nil
}
func (e *stub) Fork(context.Context, string, wire.ForkRequest) error { return nil }
func (e *stub) Recover(context.Context) (wire.RecoverReply, error)   { return wire.RecoverReply{}, nil }
func (e *stub) Sync() error                                          { return nil }
func (e *stub) Close() error                                         { return nil }
func (e *stub) Drain(context.Context) error                          { return nil }
func (e *stub) Settle(context.Context) error                         { return nil }
func (e *stub) Done() <-chan struct{}                                { return e.done }
func (e *stub) Err() error                                           { return nil }
func (e *stub) Panics() uint64                                       { return 1 }
func (e *stub) Unmount(_ context.Context, force bool) error {
	if e.busy && !force {
		return fault.New(fault.Busy, "held by 1 sleep")
	}
	close(e.done)
	return nil
}

const nonce = "0123"

// serving is a server on a stub, and the error of its Run.
type serving struct {
	*testing.T
	home  home.Home
	stub  *stub
	ended chan error
	sig   chan os.Signal
}

func serve(t *testing.T, e *stub) *serving {
	t.Helper()
	h, err := home.At(filepath.Join(t.TempDir(), strings.Repeat("deep/", 30), "home"))
	if err == nil {
		err = errors.Join(h.Ensure(), h.EnsureSession("s", "/base"))
	}
	record, _ := wire.Encode(wire.SessionRecord{Name: "s", Dir: "/base"})
	err = errors.Join(err, home.WriteFileAtomic(h.SessionFile("s"), record), home.WriteFileAtomic(h.ViewNonce("s"), []byte(nonce)))
	if err != nil {
		t.Fatal(err)
	}
	e.done = make(chan struct{})
	v := &serving{T: t, home: h, stub: e, ended: make(chan error, 1), sig: make(chan os.Signal)}
	s, err := open(t.Context(), Config{Home: h, Session: "s", Build: "test", Signals: v.sig, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.engine, s.mount, s.since = e, e, time.Now()
	close(s.ready)
	go func() { v.ended <- s.attend(context.Background(), s.untilEnd) }()
	t.Cleanup(v.stop)
	return v
}

// stop ends the server if the test did not.
func (v *serving) stop() {
	v.stub.busy = false
	v.talk(wire.ViewStop, nil, nil)
	<-v.ended
}

// talk holds one conversation and returns the last reply.
func (v *serving) talk(op string, params any, each func(wire.ViewReply)) (wire.ViewReply, error) {
	conn, err := v.dial()
	if err != nil {
		return wire.ViewReply{}, err
	}
	defer conn.Close()
	if _, err := hello(conn, wire.ViewHello{Protocol: wire.ViewProtocol, Nonce: nonce}); err != nil {
		return wire.ViewReply{}, err
	}
	return ask(conn, op, params, each)
}

func (v *serving) dial() (net.Conn, error) {
	dir, err := os.Open(v.home.TempDir("s"))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/view.sock", dir.Fd()))
}

func hello(conn net.Conn, h wire.ViewHello) (wire.ViewWelcome, error) {
	var welcome wire.ViewWelcome
	data, _ := wire.Encode(h)
	if err := wire.WriteFrame(conn, data); err != nil {
		return welcome, err
	}
	data, err := wire.ReadFrame(conn, wire.MaxHandshake)
	if err != nil {
		return welcome, err
	}
	return welcome, wire.Decode(data, &welcome)
}

func ask(conn net.Conn, op string, params any, each func(wire.ViewReply)) (wire.ViewReply, error) {
	var reply wire.ViewReply
	req := wire.ViewRequest{Op: op}
	if params != nil {
		req.Params, _ = wire.Encode(params)
	}
	data, _ := wire.Encode(req)
	if err := wire.WriteFrame(conn, data); err != nil {
		return reply, err
	}
	for {
		data, err := wire.ReadFrame(conn, wire.MaxReply)
		if err != nil {
			return reply, err
		}
		reply = wire.ViewReply{}
		if err := wire.Decode(data, &reply); err != nil {
			return reply, err
		}
		if reply.Done {
			return reply, reply.Error.Err()
		}
		each(reply)
	}
}

func TestOnlyThePeerThatKnowsTheNonceAndProtocolIsServed(t *testing.T) {
	v := serve(t, &stub{})
	for name, c := range map[string]struct {
		hello wire.ViewHello
		kind  fault.Kind
		shown bool // whether the server says anything of itself
	}{
		"a wrong nonce":        {wire.ViewHello{Protocol: wire.ViewProtocol, Nonce: "0124"}, fault.Denied, false},
		"no nonce":             {wire.ViewHello{Protocol: wire.ViewProtocol}, fault.Denied, false},
		"another protocol":     {wire.ViewHello{Protocol: 99, Nonce: nonce}, fault.Unsupported, true},
		"both, and a stranger": {wire.ViewHello{Protocol: 99}, fault.Denied, false},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := v.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			w, err := hello(conn, c.hello)
			if err != nil || !fault.Is(w.Error.Err(), c.kind) || (w.PID != 0) != c.shown {
				t.Errorf("%+v, %v", w, err)
			}
			if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the line stays open: %v", err)
			}
		})
	}
	if _, err := v.talk(wire.ViewReady, nil, nil); err != nil {
		t.Errorf("the friend: %v", err)
	}
}

func TestRepliesAndTheirErrors(t *testing.T) {
	v := serve(t, &stub{})
	reply, err := v.talk(wire.ViewStatus, nil, nil)
	var st wire.Status
	if err != nil || wire.Decode(reply.Result, &st) != nil || st.Digest != "d" || st.Panics != 1 || st.Uptime <= 0 {
		t.Errorf("%+v, %v", st, err)
	}
	for name, c := range map[string]struct {
		op     string
		params any
		kind   fault.Kind
	}{
		"an operation nobody knows": {"paint", nil, fault.Unsupported},
		"params of the wrong type":  {wire.ViewChanges, []int{1}, fault.Usage},
		"an error with an errno":    {wire.ViewChanges, wire.ChangesRequest{Paths: wire.Paths{"x"}}, fault.Internal},
		"a defect does not end it":  {wire.ViewChanges, wire.ChangesRequest{Paths: wire.Paths{"panic"}}, fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := v.talk(c.op, c.params, nil); !fault.Is(err, c.kind) {
				t.Errorf("got %v", err)
			}
		})
	}
	var patch bytes.Buffer
	if _, err := v.talk(wire.ViewPatch, nil, func(r wire.ViewReply) { patch.Write(r.Chunk) }); err != nil || patch.Len() != 2*chunkLen {
		t.Errorf("%d bytes, %v", patch.Len(), err)
	}
}

func TestClosingTheLineCancelsTheOperation(t *testing.T) {
	e := &stub{began: make(chan struct{}), ended: make(chan error, 1)}
	v := serve(t, e)
	conn, err := v.dial()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hello(conn, wire.ViewHello{Protocol: wire.ViewProtocol, Nonce: nonce}); err != nil {
		t.Fatal(err)
	}
	data, _ := wire.Encode(wire.ViewRequest{Op: wire.ViewChanges})
	if err := wire.WriteFrame(conn, data); err != nil {
		t.Fatal(err)
	}
	<-e.began
	conn.Close()
	if err := <-e.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	e.began = nil
}

func TestEventsAreKeptInABoundedQueue(t *testing.T) {
	v := serve(t, &stub{})
	for range queueLen + 3 {
		if _, err := v.talk(wire.ViewCommit, wire.CommitRequest{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := v.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := hello(conn, wire.ViewHello{Protocol: wire.ViewProtocol, Nonce: nonce}); err != nil {
		t.Fatal(err)
	}
	var events []wire.ViewEvent
	_, err = ask(conn, wire.ViewEvents, nil, func(r wire.ViewReply) {
		if events = append(events, *r.Event); len(events) == queueLen {
			conn.Close()
		}
	})
	if err == nil || events[0].Seq != 4 || events[0].Lost != 3 || events[0].Kind != "commit" || events[1].Lost != 0 {
		t.Errorf("%+v, %v", events[0], err)
	}
}

func TestABusyViewIsNotStopped(t *testing.T) {
	e := &stub{busy: true}
	v := serve(t, e)
	if _, err := v.talk(wire.ViewStop, wire.StopRequest{}, nil); !fault.Is(err, fault.Busy) {
		t.Errorf("got %v", err)
	}
	v.sig <- os.Interrupt // another refusal, of a signal this time
	if _, err := v.talk(wire.ViewReady, nil, nil); err != nil {
		t.Errorf("it does not live on: %v", err)
	}
	if _, err := v.talk(wire.ViewStop, wire.StopRequest{Force: true, Why: "enough"}, nil); err != nil {
		t.Errorf("by force: %v", err)
	}
	if err := <-v.ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	v.ended <- nil // for the cleanup
	data, err := home.ReadPrivate(filepath.Join(v.home.TempDir("s"), wire.ViewExitFile), smallFile)
	var exit wire.ViewExit
	if err != nil || wire.Decode(data, &exit) != nil || exit.Why != "enough" || exit.PID != os.Getpid() || exit.Changes != 4 {
		t.Errorf("%+v, %v", exit, err)
	}
}

func TestThereIsOneServerASession(t *testing.T) {
	v := serve(t, &stub{})
	cfg := Config{Home: v.home, Session: "s", Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := open(ctx, cfg); !fault.Is(err, fault.Busy) {
		t.Errorf("a second one: %v", err)
	}
}

func TestASilentPeerIsDropped(t *testing.T) {
	v := serve(t, &stub{})
	conn, err := v.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := wire.WriteFrame(conn, bytes.Repeat([]byte("x"), wire.MaxHandshake+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a hello over the limit was answered")
	}
}

func TestTheHomeIsHiddenFromAViewAroundIt(t *testing.T) {
	for _, c := range []struct{ dir, home, want string }{
		{"/src", "/src/.astrid-home", ".astrid-home"}, {"/", "/root/.astrid", "root/.astrid"}, {"/src", "/srcs/home", ""}, {"/src/a", "/src", ""},
	} {
		if got := strings.Join(hidden(c.dir, c.home), " "); got != c.want {
			t.Errorf("%s in %s: %q", c.home, c.dir, got)
		}
	}
}
