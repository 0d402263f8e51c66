package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"astrid/kernel/fault"
)

// guestCode builds the guest of testdata once.
var guestCode = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "astrid-guest-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
})

// cacheDir holds what the tests compile: the guest only once.
var cacheDir = filepath.Join(os.TempDir(), fmt.Sprintf("astrid-wasm-%d", os.Getpid()))

// shared is the engine of most tests.
var shared = sync.OnceValues(func() (*Engine, error) { return Open(cacheDir, nil) })

func TestMain(m *testing.M) {
	code := m.Run()
	if e, err := shared(); err != nil || e.Close(context.Background()) != nil {
		fmt.Fprintln(os.Stderr, "a test left a module open")
		code = max(code, 1)
	}
	os.RemoveAll(cacheDir)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func goGuest(t testing.TB) []byte {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the guest cannot be built: there is no go in PATH")
	}
	code, err := guestCode()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func engine(t testing.TB) *Engine {
	t.Helper()
	e, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// errHost is what the function "join" fails with when its first argument asks
// for it.
var errHost = errors.New("the host has no such thing")

// bench is a module with what its guest does to its host.
type bench struct {
	*Module
	mu    sync.Mutex
	lines []string
	log   strings.Builder
	wait  func(ctx context.Context, c *Call) error
}

func (b *bench) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

func (b *bench) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

func (b *bench) functions() []Func {
	return []Func{
		{Name: "join", Params: 2, Result: Block, Limits: []int{64}, Call: func(_ context.Context, _ *Call, args [][]byte) ([]byte, int64, error) {
			switch string(args[0]) {
			case "fail":
				return nil, 0, fault.Wrap(fault.NotFound, errHost, "join")
			case "panic":
				panic("a defect")
			case "big":
				return make([]byte, 11<<20), 0, nil
			}
			return append(append([]byte{}, args[0]...), args[1]...), 0, nil
		}},
		{Name: "wait", Params: 1, Call: func(ctx context.Context, c *Call, _ [][]byte) ([]byte, int64, error) {
			return nil, 0, b.wait(ctx, c)
		}},
		{Name: "answer", Result: Raw, Call: func(context.Context, *Call, [][]byte) ([]byte, int64, error) {
			return nil, 1 << 40, nil
		}},
		{Name: "nothing", Call: func(context.Context, *Call, [][]byte) ([]byte, int64, error) { return nil, 0, nil }},
	}
}

// compile makes a module of code that is closed when the test ends.
func compile(t testing.TB, c Config, code []byte) *bench {
	t.Helper()
	b := &bench{}
	if c.Functions == nil {
		c.Functions = b.functions()
	}
	c.Stdio = func(line string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, line)
	}
	c.Log = slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelWarn}))
	m, err := engine(t).Compile(t.Context(), c, code, "")
	if err != nil {
		t.Fatal(err)
	}
	b.Module = m
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if s := m.Stats(); s.Busy != 0 || s.Idle != 0 {
			t.Errorf("after Close there is %+v", s)
		}
	})
	return b
}

func (b *bench) want(t testing.TB, export, input, output string) {
	t.Helper()
	got, err := b.Call(t.Context(), export, []byte(input))
	if err != nil || string(got) != output {
		t.Errorf("%s(%.40q) = %.80q, %v; want %.80q", export, input, got, err, output)
	}
}

// wantEnded calls an export, which must be ended for a reason; then the module
// must serve as before.
func (b *bench) wantEnded(t testing.TB, export, input string, why Reason, k fault.Kind, text string) error {
	t.Helper()
	_, err := b.Call(t.Context(), export, []byte(input))
	wantEnded(t, err, why, k, text)
	return err
}

func wantEnded(t testing.TB, err error, why Reason, k fault.Kind, text string) {
	t.Helper()
	var ended *Ended
	if !errors.As(err, &ended) || ended.Reason != why {
		t.Errorf("got %v, want an end by %s", err, why)
	}
	wantKind(t, err, k, text)
}

func wantKind(t testing.TB, err error, k fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, k) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %s about %q", err, k.Code(), text)
	}
}
