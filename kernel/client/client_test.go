package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/op/optest"
	"astrid/kernel/socket"
	"astrid/kernel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func scratch(t *testing.T) home.Home {
	t.Helper()
	dir, err := os.MkdirTemp("", "astrid-client-")
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

// serve starts a socket in h and returns what stops it.
func serve(t *testing.T, h home.Home, s *optest.Sessions) (stop func()) {
	t.Helper()
	l, err := socket.Bind(h.Socket())
	if err != nil {
		t.Fatal(err)
	}
	token, err := socket.NewToken(h, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	table, _ := optest.New(s)
	server := socket.New(socket.Config{Listener: l, Token: token, Table: table})
	server.Start(context.Background())
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = server.Close(ctx)
	})
	t.Cleanup(stop)
	return stop
}

func connect(t *testing.T, s *optest.Sessions) (*client.Client, func()) {
	t.Helper()
	h := scratch(t)
	stop := serve(t, h, s)
	c, err := client.Dial(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, stop
}

func of(name string) wire.For[wire.None] { return wire.For[wire.None]{Session: name} }

func TestCalls(t *testing.T) {
	s := &optest.Sessions{PatchText: bytes.Repeat([]byte("patch\n"), 200_000)}
	s.Add("x", "a", "\xff")
	c, _ := connect(t, s)
	ctx := context.Background()

	var status wire.Status
	if err := c.Call(ctx, op.Status, of("x"), &status); err != nil || status.Name != "x" || status.Changes.Added != 2 {
		t.Errorf("%+v, %v", status, err)
	}
	var changes wire.ChangesReply
	req := wire.For[wire.ChangesRequest]{Session: "x", Request: wire.ChangesRequest{Paths: wire.Paths{"\xff"}}}
	if err := c.Call(ctx, op.Changes, req, &changes); err != nil || len(changes.Changes) != 1 || changes.Changes[0].Name() != "\xff" {
		t.Errorf("%+v, %v", changes, err)
	}
	var patch bytes.Buffer
	if err := c.CallStream(ctx, op.Patch, of("x"), nil, &patch); err != nil || !bytes.Equal(patch.Bytes(), s.PatchText) {
		t.Errorf("%d bytes of patch, %v", patch.Len(), err)
	}
	if err := c.Call(ctx, op.Down, wire.DownRequest{Session: "x"}, nil); err != nil {
		t.Error(err)
	}
	var list []wire.Session
	if err := c.Call(ctx, op.List, nil, &list); err != nil || len(list) != 1 || list[0].State != "stopped" {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	c, _ := connect(t, &optest.Sessions{})
	for _, k := range fault.All() {
		err := c.Call(context.Background(), op.Status, of("fail-"+strings.ReplaceAll(k.Code(), "_", "-")), nil)
		if fault.KindOf(err) != k || err == nil {
			t.Errorf("%v came as %v: %v", k, fault.KindOf(err), err)
		}
	}
	if err := c.Call(context.Background(), op.Up, wire.Up{Dir: "/\xff"}, nil); !fault.Is(err, fault.Usage) {
		t.Errorf("a directory that cannot be said: %v", err)
	}
	var wrong int
	if err := c.Call(context.Background(), op.List, nil, &wrong); !fault.Is(err, fault.Internal) {
		t.Errorf("a reply of another shape: %v", err)
	}
}

func TestNobodyIsThere(t *testing.T) {
	h := scratch(t)
	dial := func() error {
		_, err := client.Dial(context.Background(), h)
		return err
	}
	check := func(when string) {
		t.Helper()
		if err := dial(); !fault.Is(err, fault.NotRunning) || err.Error() != "no kernel is running: run `astrid up`" {
			t.Errorf("%s: %v", when, err)
		}
	}
	check("no socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.Socket(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	check("nobody listens")
	if err := os.Remove(h.Socket()); err != nil {
		t.Fatal(err)
	}
	nowhere, _ := home.At("/nowhere/at/all")
	if _, err := client.Dial(context.Background(), nowhere); !fault.Is(err, fault.NotRunning) {
		t.Errorf("no home: %v", err)
	}
	deep, _ := home.At("/" + strings.Repeat("d", 120))
	if _, err := client.Dial(context.Background(), deep); !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), "shorter ASTRID_HOME") {
		t.Errorf("a home too deep: %v", err)
	}
}

func TestAWrongTokenIsDenied(t *testing.T) {
	h := scratch(t)
	serve(t, h, &optest.Sessions{})
	if err := home.WriteFileAtomic(h.Token(), []byte(strings.Repeat("0", 64))); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Dial(context.Background(), h); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "authentication failed") {
		t.Errorf("got %v", err)
	}
	if err := os.Chmod(h.Token(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Dial(context.Background(), h); !fault.Is(err, fault.Denied) {
		t.Errorf("a token that others may read: %v", err)
	}
}

func TestAKernelThatEndsFailsTheCallsThatWait(t *testing.T) {
	s := &optest.Sessions{Gate: make(chan struct{})}
	s.Add("x")
	c, stop := connect(t, s)
	results := make(chan error, 3)
	for range 3 {
		go func() { results <- c.Call(context.Background(), op.Status, of("x"), nil) }()
	}
	if err := c.Call(context.Background(), op.List, nil, nil); err != nil {
		t.Fatal(err)
	}
	stop()
	for range 3 {
		if err := <-results; err == nil || fault.KindOf(err) != fault.NotRunning && fault.KindOf(err) != fault.Interrupted {
			t.Errorf("got %v", err)
		}
	}
	if err := c.Call(context.Background(), op.List, nil, nil); !fault.Is(err, fault.NotRunning) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestACallMayBeGivenUp(t *testing.T) {
	s := &optest.Sessions{Gate: make(chan struct{})}
	s.Add("x")
	c, _ := connect(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	go func() { result <- c.Call(ctx, op.Status, of("x"), nil) }()
	cancel()
	if err := <-result; !fault.Is(err, fault.Interrupted) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(s.Gate)
	if err := c.Call(context.Background(), op.List, nil, nil); err != nil {
		t.Errorf("the connection is of no more use: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestAStreamThatNobodyTakesEnds(t *testing.T) {
	s := &optest.Sessions{PatchText: make([]byte, 4<<20)}
	s.Add("x")
	c, _ := connect(t, s)
	if err := c.CallStream(context.Background(), op.Patch, of("x"), nil, failing{}); err == nil || err.Error() != "the disk is full" {
		t.Errorf("got %v", err)
	}
	if err := c.Call(context.Background(), op.List, nil, nil); err != nil {
		t.Errorf("the connection is of no more use: %v", err)
	}
}

func TestCallsSideBySideHammer(t *testing.T) {
	s := &optest.Sessions{PatchText: make([]byte, 300<<10)}
	s.Add("x", "a")
	c, _ := connect(t, s)
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Go(func() {
			for i := range 5 {
				var patch bytes.Buffer
				err := c.CallStream(context.Background(), op.Patch, of("x"), nil, &patch)
				if err != nil || patch.Len() != len(s.PatchText) {
					t.Error(fmt.Sprint(n, ".", i), patch.Len(), err)
				}
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Call(context.Background(), op.List, nil, nil); !fault.Is(err, fault.Interrupted) {
		t.Errorf("a closed client: %v", err)
	}
}

func TestStartDoesNotFightAKernelThatRefusesIt(t *testing.T) {
	h := scratch(t)
	serve(t, h, &optest.Sessions{})
	if err := client.Start(context.Background(), "/bin/false", h, nil); err != nil {
		t.Errorf("one that serves: %v", err)
	}
	if err := home.WriteFileAtomic(h.Token(), []byte(strings.Repeat("0", 64))); err != nil {
		t.Fatal(err)
	}
	if err := client.Start(context.Background(), "/bin/false", h, nil); !fault.Is(err, fault.Denied) {
		t.Errorf("one that refuses: %v", err)
	}
}
