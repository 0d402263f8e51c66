package wasm

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"astrid/kernel/fault"
)

// instance is a guest with its memory and variables. One call at a time has it.
type instance struct {
	module api.Module
	memory *memory
	call   *Call // that has it
	log    *slog.Logger
	stdout lines
	stderr lines
	quota  quota

	vars     map[string][]byte
	varBytes int

	expires *time.Timer // while it is idle
}

// instantiate makes an instance and lets its guest initialise itself, within
// the limits of the call. What it returns is to be closed also after an error.
func (c *Call) instantiate() (*instance, error) {
	m := c.module
	memory, err := reserve(m.config.MemoryPages)
	if err != nil {
		return nil, &Ended{Machine, err}
	}
	i := &instance{memory: memory, log: m.config.Log, vars: map[string][]byte{}, quota: quota{tell: m.config.Stdio}}
	i.stdout.instance, i.stderr.instance = i, i
	i.call, c.instance = c, i
	m.count(func(s *Stats) { s.Made++ })
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions(m.start).
		WithStdout(&i.stdout).WithStderr(&i.stderr).WithRandSource(rand.Reader).
		WithSysWalltime().WithNanotime(nanotime(time.Now()), 1).WithNanosleep(i.sleep)
	ctx := experimental.WithMemoryAllocator(guestContext{c.ctx, c}, memory)
	i.module, err = m.runtime.InstantiateModule(ctx, m.compiled, config)
	if err != nil {
		return i, err
	}
	if i.module.IsClosed() {
		return i, &Ended{Exit, fault.New(fault.Internal, "the guest exited when it was to begin")}
	}
	return i, nil
}

// enter calls the export. An exit with code 0 is an answer like any other.
func (i *instance) enter(c *Call) (uint64, error) {
	i.call, c.instance = c, i
	function := i.module.ExportedFunction(c.export)
	var stack [1]uint64
	err := function.CallWithStack(guestContext{c.ctx, c}, stack[:])
	i.stdout.flush()
	i.stderr.flush()
	i.quota.settle()
	var exit *sys.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 0:
		return 0, nil
	case err != nil || len(function.Definition().ResultTypes()) == 0:
		return 0, err
	case function.Definition().ResultTypes()[0] == api.ValueTypeI32:
		return uint64(uint32(stack[0])), nil
	}
	return stack[0], nil
}

// nanotime is WASI's monotonic clock, which agrees with sleep.
func nanotime(began time.Time) sys.Nanotime {
	return func() int64 { return int64(time.Since(began)) + 1 }
}

// sleep is WASI's: as long as asked, but not longer than the call.
func (i *instance) sleep(ns int64) {
	timer := time.NewTimer(time.Duration(ns))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-i.call.ctx.Done():
	}
}

// close gives everything back. Nothing of the guest may run: what runs is ended
// by its context, never by this, which would take away the memory that it uses.
func (i *instance) close() {
	if i.module != nil {
		if err := i.module.Close(context.Background()); err != nil {
			i.log.Warn("close an instance", "err", err)
		}
	}
	i.memory.Free()
}
