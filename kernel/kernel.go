package kernel

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"astrid/ctl"
	"astrid/kernel/approve"
	"astrid/kernel/audit"
	"astrid/kernel/bus"
	"astrid/kernel/cap"
	"astrid/kernel/capsule"
	"astrid/kernel/capsule/wasm"
	"astrid/kernel/config"
	"astrid/kernel/home"
	"astrid/kernel/identity"
	"astrid/kernel/idle"
	"astrid/kernel/op"
	"astrid/kernel/question"
	"astrid/kernel/router"
	"astrid/kernel/session"
	"astrid/kernel/socket"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// Kernel is a running kernel. Its exported fields are set by New, in the order
// in which they stand here, and not changed after.
type Kernel struct {
	Bus        *bus.Bus
	Home       home.Home
	Settings   config.Config
	State      *store.Store
	Key        cap.Key
	Capsules   *capsule.Registry
	Router     *router.Router
	Caps       *cap.Store
	Audit      *audit.Log
	Sessions   *session.Table
	Token      socket.Token
	Allowances *cap.Allowances
	Identity   *identity.Store
	Approvals  *approve.Desk
	Questions  *question.Desk
	Ops        *op.Table
	Ctl        *ctl.Server
	Socket     *socket.Server
	Idle       *idle.Watch
	Started    time.Time

	config     Config
	source     string // UUID under which the kernel publishes for others
	boot       time.Duration
	undo       []undo                     // of the steps done, in order
	control    atomic.Pointer[ctl.Server] // Ctl, for what may happen before it is there
	lock       *os.File
	records    *store.Store // of the audit log
	commits    *store.Space
	switches   *store.Space // which capsules are off, and which servers of servers.toml on
	listed     *listed
	wasm       *wasm.Engine
	crons      *crons
	denials    denials
	missed     *missed
	witness    *witness
	grants     grants
	publishers publishers
	loaded     chan struct{} // that capsules were loaded, for who watches their files; capacity 1

	installing sync.Mutex // one installation or removal at a time
	naming     sync.Mutex // one server of a capsule names its tools at a time

	listener *net.UnixListener
	quiet    context.CancelFunc // ends what works in the background
	running  sync.WaitGroup     // counts it
	ended    chan string        // operations that ended, for Run; capacity 1
	wanted   chan struct{}      // closed when somebody asked for a stop

	mu      sync.Mutex
	reason  string      // of the stop, empty before; guarded by mu
	lonely  *time.Timer // runs while no client is connected; guarded by mu
	clients int         // guarded by mu
}

// undo takes back one step of the boot.
type undo struct {
	name string
	do   func(context.Context) error
}

// New boots a kernel: when it returns, clients are served. Run must follow, or
// Stop. An error names the step that failed; everything before it is undone.
//
// It panics when the program is set up so that it would deadlock: with one
// processor for goroutines, a reader of the control tree that is a child of
// this process would wait for the goroutine that it keeps from running.
func New(ctx context.Context, c Config) (*Kernel, error) {
	if n := runtime.GOMAXPROCS(0); n < 2 {
		panic(fmt.Sprintf("kernel: GOMAXPROCS is %d, and a kernel that serves a file system needs 2: raise it before kernel.New", n))
	}
	c, err := c.validated()
	if err != nil {
		return nil, err
	}
	k := &Kernel{Started: time.Now(), config: c, source: wire.NewUUID(), ended: make(chan string, 1), loaded: make(chan struct{}, 1), wanted: make(chan struct{})}
	for _, s := range k.steps() {
		if err := k.step(ctx, s); err != nil {
			k.config.Log.Error("boot failed", "step", s.name, "err", err)
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.StopTimeout)
			defer cancel()
			k.unwind(stopCtx)
			return nil, fmt.Errorf("boot, %s: %w", s.name, err)
		}
	}
	c.Log.Info("kernel ready", "pid", os.Getpid(), "home", c.Home.String(), "took", k.boot)
	k.lifecycle("kernel_started", bus.Message{}, map[string]any{"version": wire.Version})
	return k, nil
}

// step does one step of the boot.
func (k *Kernel) step(ctx context.Context, s step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	began := time.Now()
	if err := s.do(ctx); err != nil {
		return err
	}
	k.undo = append(k.undo, undo{s.name, s.undo})
	k.config.Log.Info("boot step", "step", s.name, "took", time.Since(began))
	return nil
}
