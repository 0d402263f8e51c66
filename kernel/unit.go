package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"

	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/capsule/wasm"
	"astrid/kernel/fault"
	"astrid/kernel/router"
)

// Limits of capsules that run (sections 8.3 and 8.4 of the 0.2 protocol).
const (
	callCPU         = wasm.DefaultTimeout // a processor's time for one call
	callInstances   = 4                   // calls of one capsule at a time
	maxInterceptors = 64                  // that a capsule with a loop hears
)

// unit is a capsule that runs.
type unit struct {
	k       *Kernel
	found   capsule.Found
	host    *host.Host
	module  *wasm.Module // nil: it has no component
	servers *servers     // nil: it has none
	ready   chan struct{}

	end  context.CancelFunc
	loop sync.WaitGroup // its run export

	mu     sync.Mutex
	loops  bool
	looped error // how run ended; guarded by mu
}

var _ router.Target = (*unit)(nil)

// start loads the component, and begins its loop if it has one.
func (u *unit) start(ctx context.Context) error {
	if len(u.found.Components) == 0 {
		u.becomeReady()
		return nil
	}
	c := u.found.Components[0]
	code, err := u.found.Component(c)
	if err != nil {
		return err
	}
	config := wasm.Config{Functions: functions(u.host), MaxInstances: callInstances, Timeout: wasm.DefaultTimeout, CPU: callCPU, Log: u.k.config.Log.With("capsule", u.found.Package.Name)}
	config.Stdio = func(line string) { config.Log.Info("output", "line", line) }
	if u.found.Capabilities.Uplink || len(u.found.Uplinks) > 0 || len(u.found.Crons) > 0 {
		config.Timeout, config.CPU = 0, 0
	}
	if u.module, err = u.k.wasm.Compile(ctx, config, code, strings.TrimPrefix(c.Hash, "blake3:")); err != nil {
		return err
	}
	if !u.module.Has("run") {
		u.becomeReady()
		return nil
	}
	return u.begin()
}

// becomeReady says that the capsule is ready, once its servers have told their
// tools.
func (u *unit) becomeReady() {
	if u.servers == nil {
		close(u.ready)
		return
	}
	ctx, end := context.WithCancel(context.Background())
	u.end = end
	u.loop.Go(func() {
		defer close(u.ready)
		u.servers.open(ctx)
		if u.servers.alive() == nil {
			u.k.injectSchemas()
		}
	})
}

// begin runs the loop, which hears interceptors by subscription.
func (u *unit) begin() error {
	for i, in := range u.found.Interceptors {
		if i == maxInterceptors {
			return fault.New(fault.Limit, "the capsule %s has a loop and more than %d interceptors", u.found.Package.Name, maxInterceptors)
		}
		if _, err := u.host.Subscribe(in.Event, in.Action); err != nil {
			return err
		}
	}
	ctx, end := context.WithCancel(context.Background())
	u.end, u.loops = end, true
	u.loop.Go(func() {
		err := u.module.Run(host.WithCaller(ctx, host.Caller{}))
		if err == nil {
			err = errors.New("WASM run loop exited unexpectedly")
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.looped = err
	})
	u.loop.Go(func() {
		select {
		case <-u.host.Ready():
			if u.servers != nil {
				u.servers.open(ctx)
			}
			close(u.ready)
		case <-ctx.Done():
		}
	})
	return nil
}

// functions are a Host's as the engine takes them.
func functions(h *host.Host) []wasm.Func {
	list := h.Functions()
	all := make([]wasm.Func, len(list))
	for i, f := range list {
		all[i] = wasm.Func{Name: f.Name, Params: len(f.Args), Limits: f.Args, Result: wasm.Result(f.Result),
			Call: func(ctx context.Context, c *wasm.Call, args [][]byte) ([]byte, int64, error) {
				out, err := f.Call(ctx, c, args)
				return out, 0, err
			},
		}
	}
	return all
}

// Ready implements capsule.Unit.
func (u *unit) Ready() <-chan struct{} { return u.ready }

// Alive implements capsule.Unit.
func (u *unit) Alive() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.looped != nil {
		return u.looped
	}
	return u.servers.alive()
}

// Tools implements capsule.Toolbox.
func (u *unit) Tools() []capsule.Tool { return u.servers.list() }

// Close implements capsule.Unit.
func (u *unit) Close(ctx context.Context) error {
	u.k.crons.forget(u.found.Package.Name)
	if u.end != nil {
		u.end()
	}
	u.host.Close()
	err := u.servers.close(ctx)
	if u.module != nil {
		err = errors.Join(err, u.module.Close(ctx))
	}
	u.loop.Wait()
	u.k.lifecycle("capsule_unloaded", bus.Message{}, map[string]any{"capsule_id": u.found.Package.Name, "capsule_name": u.found.Package.Name})
	return err
}

// envelope is what a guest is called with.
func envelope(name string, arguments []byte) ([]byte, error) {
	numbers := make([]int, len(arguments))
	for i, b := range arguments {
		numbers[i] = int(b)
	}
	return json.Marshal(struct {
		Name      string `json:"name"`
		Arguments []int  `json:"arguments"`
	}{name, numbers})
}

func (u *unit) call(ctx context.Context, export, name string, arguments []byte) ([]byte, error) {
	if u.module == nil || !u.module.Has(export) {
		return nil, fault.New(fault.Unsupported, "the capsule %s has no %s", u.found.Package.Name, export)
	}
	input, err := envelope(name, arguments)
	if err != nil {
		return nil, err
	}
	return u.module.Call(ctx, export, input)
}

// Hook implements router.Target. A capsule with a loop has heard the message
// already.
func (u *unit) Hook(ctx context.Context, action string, payload []byte) ([]byte, error) {
	switch {
	case u.loops:
		return nil, nil
	case u.module == nil && u.servers != nil:
		return u.servers.hook(ctx, action, payload)
	case u.module == nil:
		return nil, nil
	}
	return u.call(ctx, "astrid_hook_trigger", action, payload)
}

// Tool implements router.Target.
func (u *unit) Tool(ctx context.Context, name string, arguments []byte) ([]byte, error) {
	if by := u.servers.find(name); by != nil {
		return u.servers.call(ctx, by, name, arguments)
	}
	return u.call(ctx, "astrid_tool_call", name, arguments)
}

// Command implements router.Target: the text of a static command is its file's.
func (u *unit) Command(ctx context.Context, name string, payload []byte) ([]byte, error) {
	for _, c := range u.found.Commands {
		if c.Name == name && c.File != "" {
			return u.found.Component(capsule.Component{File: c.File})
		}
	}
	return u.call(ctx, "astrid_command_run", name, payload)
}

// CancelCalls implements router.Target.
func (u *unit) CancelCalls(ids []string) { u.host.CancelCalls(ids) }
