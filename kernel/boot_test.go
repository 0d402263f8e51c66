package kernel_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"astrid/kernel"
	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// boot boots a kernel in this process.
func boot(t *testing.T, h home.Home) (*kernel.Kernel, *safeBuffer) {
	t.Helper()
	log := &safeBuffer{}
	exe, _ := os.Executable()
	k, err := kernel.New(context.Background(), kernel.Config{Home: h, Exe: exe, Environ: environ(), Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return k, log
}

func TestBootAndStop(t *testing.T) {
	h := scratch(t, "h")
	k, log := boot(t, h)
	c := dial(t, h)
	var s wire.KernelStatus
	if err := c.Call(context.Background(), op.About, nil, &s); err != nil || s.PID != os.Getpid() || s.Clients != 1 || s.BootSeconds <= 0 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, path := range []string{h.Socket(), h.Token(), h.Ready(), h.Lock()} {
		if st, err := os.Lstat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", path, err)
		}
	}
	if lockedBy(h) != os.Getpid() {
		t.Errorf("the lock names %d", lockedBy(h))
	}
	if err := k.Stop("test"); err != nil {
		t.Error(err)
	}
	gone(t, h.Socket(), h.Token(), h.Ready())
	lockFree(t, h)
	var steps []string
	for line := range strings.Lines(log.String()) {
		for _, word := range []string{"boot", "stop"} {
			if _, rest, ok := strings.Cut(line, `msg="`+word+` step" step=`); ok {
				name, _, _ := strings.Cut(rest, " took")
				steps = append(steps, word+" "+strings.Trim(name, `"`))
			}
		}
	}
	want := strings.Split("boot bus|boot home|boot lock|boot remains|boot configuration|boot state store|boot runtime key|boot capabilities|boot audit log|"+
		"boot sessions|boot socket|boot token|boot allowances|boot identity|boot approvals|boot capsules|boot operations|boot control tree|boot clients|boot background|boot ready|"+
		"stop ready|stop background|stop clients|stop control tree|stop capsules|stop token|stop socket|stop sessions|stop audit log|stop state store|stop lock|stop bus", "|")
	if !slices.Equal(steps, want) {
		t.Errorf("steps: %q", steps)
	}
	if err := c.Call(context.Background(), op.About, nil, nil); !fault.Is(err, fault.NotRunning) {
		t.Errorf("a call afterwards: %v", err)
	}
}

func TestASecondKernelNamesTheFirst(t *testing.T) {
	h := scratch(t, "h")
	pid := begin(t, h)
	_, err := kernel.New(context.Background(), kernel.Config{Home: h})
	if !fault.Is(err, fault.Exists) || !strings.Contains(err.Error(), "with pid "+strings.TrimSpace(itoa(pid))) {
		t.Errorf("got %v", err)
	}
	if again := begin(t, h); again != pid {
		t.Errorf("Start made a second kernel, %d beside %d", again, pid)
	}
}

func TestABootWaitsForAKernelThatIsStopping(t *testing.T) {
	h := scratch(t, "h")
	if err := h.Ensure(); err != nil {
		t.Fatal(err)
	}
	release := hold(t, h)
	booted := make(chan error, 1)
	go func() {
		k, err := kernel.New(context.Background(), kernel.Config{Home: h})
		if err == nil {
			err = k.Stop("test")
		}
		booted <- err
	}()
	select {
	case err := <-booted:
		t.Fatalf("booted beside the other: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	release()
	if err := <-booted; err != nil {
		t.Error(err)
	}
}

func TestALockThatIsNeverGivenBack(t *testing.T) {
	h := scratch(t, "h")
	if err := h.Ensure(); err != nil {
		t.Fatal(err)
	}
	defer hold(t, h)()
	_, err := kernel.New(context.Background(), kernel.Config{Home: h, LockWait: 50 * time.Millisecond})
	if !fault.Is(err, fault.Busy) || !strings.Contains(err.Error(), "pid 4711") {
		t.Errorf("got %v", err)
	}
}

// A boot that fails names its step and leaves nothing.
func TestAFailedBootIsUndone(t *testing.T) {
	h := scratch(t, "h")
	if err := h.Ensure(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(h.Ctl()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.Ctl(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := kernel.New(context.Background(), kernel.Config{Home: h})
	if err == nil || !strings.HasPrefix(err.Error(), "boot, control tree: ") {
		t.Errorf("got %v", err)
	}
	gone(t, h.Socket(), h.Token(), h.Ready())
	lockFree(t, h)
	if err := os.Remove(h.Ctl()); err != nil {
		t.Fatal(err)
	}
	k, _ := boot(t, h)
	if err := k.Stop("test"); err != nil {
		t.Error(err)
	}
}

func TestABootThatIsGivenUpIsUndone(t *testing.T) {
	h := scratch(t, "h")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := kernel.New(ctx, kernel.Config{Home: h}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	gone(t, h.Lock())
}

func TestOneProcessorIsRefusedWithASentence(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "GOMAXPROCS is 1") {
			t.Errorf("it says %q", text)
		}
	}()
	_, _ = kernel.New(context.Background(), kernel.Config{})
	t.Error("it booted")
}

func TestStartTellsWhyAKernelDidNotStart(t *testing.T) {
	h := scratch(t, "h")
	if err := h.Ensure(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(h.Ctl()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.Ctl(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	exe, _ := os.Executable()
	err := client.Start(context.Background(), exe, h, environ())
	if err == nil || !strings.HasPrefix(err.Error(), "the kernel did not start: boot, control tree: ") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(h.Ctl()); err != nil {
		t.Fatal(err)
	}
	for name, exe := range map[string]string{"a program that says nothing": "/bin/true", "no program": "/no/such/program"} {
		if err := client.Start(context.Background(), exe, h, environ()); err == nil {
			t.Errorf("%s: it started", name)
		}
	}
	if st, err := os.Stat(h.KernelLog()); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the log: %v", err)
	}
	_ = os.Remove(h.Lock()) // nothing to end
}

func TestManyStartOneKernel(t *testing.T) {
	h := scratch(t, "h")
	exe, _ := os.Executable()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := client.Start(context.Background(), exe, h, environ()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	dial(t, h)
	if n := len(mountsBelow(t, filepath.Dir(h.Ctl()))); n != 1 {
		t.Errorf("%d control trees", n)
	}
}
