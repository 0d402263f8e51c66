package wasm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"astrid/kernel/fault"
)

// Call is one call of a guest, as its host functions see it.
type Call struct {
	module *Module
	export string
	run    bool
	ctx    context.Context // ends with the call's limits too
	end    context.CancelCauseFunc
	wall   *stopwatch // nil: it has no deadline
	cpu    *stopwatch // nil: no budget

	// The rest belongs to the guest's goroutine.
	arena     arena
	input     []byte // a live block, or empty
	inputAt   uint64
	output    []byte
	trouble   []byte // what the guest says went wrong
	troubleAt uint64
	instance  *instance // nil: none yet
	trapped   *Ended    // why a host function trapped the guest
}

// callKey is the key of a Call in the context of what it runs.
type callKey struct{}

// guestContext is the context that the guest's imports get. It finds its Call
// without a search.
type guestContext struct {
	context.Context
	call *Call
}

func (g guestContext) Value(key any) any {
	if key == (callKey{}) {
		return g.call
	}
	return g.Context.Value(key)
}

func callOf(ctx context.Context) *Call { return ctx.Value(callKey{}).(*Call) }

// Export is the name of what is called.
func (c *Call) Export() string { return c.export }

// Pause stops the clock of the call's deadline, for as long as a person thinks.
// resume lets it go on; pauses may overlap, and a second resume of one does
// nothing.
func (c *Call) Pause() (resume func()) {
	if c.wall == nil {
		return func() {}
	}
	c.wall.pause()
	return sync.OnceFunc(c.wall.resume)
}

// Call calls an export with an input and returns what the guest set as output.
// It waits for an instance as long as ctx allows; the deadline counts from then
// on. An instance serves one call at a time and, unless the call broke it,
// others after it.
//
// A GuestError is the guest's own answer. An Ended is why the guest could not
// answer: its instance is gone, the next call gets a fresh one. Both are within
// a fault.Error; a host function's own error is within the Ended.
func (m *Module) Call(ctx context.Context, export string, input []byte) ([]byte, error) {
	if !m.Has(export) {
		return nil, fault.New(fault.NotFound, "call %s: the module exports no such function without parameters", export)
	}
	if len(input) > m.config.MaxBlock {
		return nil, fault.New(fault.Limit, "call %s: the input has %d bytes, and at most %d are allowed", export, len(input), m.config.MaxBlock)
	}
	c, err := m.begin(ctx, export, false)
	if err != nil {
		return nil, err
	}
	defer m.finish(c)
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-c.ctx.Done():
		return nil, c.ended(nil)
	}
	if c.inputAt, err = c.arena.put(input); err != nil {
		return nil, err
	}
	c.input = c.arena.block(c.inputAt)
	return c.perform(m.take(), m.config.Timeout, m.config.CPU)
}

// Run calls the export "run", which is to go on for as long as the capsule does:
// on an instance of its own, without deadline or budget, and with an arena that
// forgets its oldest blocks instead of being full. It returns when the guest
// does, nil when the guest found no fault, and when ctx or the Module ends. One
// Run goes on at a time, a second is Busy.
func (m *Module) Run(ctx context.Context) error {
	if !m.Has("run") {
		return fault.New(fault.NotFound, "run the module: it exports no run without parameters")
	}
	c, err := m.begin(ctx, "run", true)
	if err != nil {
		return err
	}
	defer m.finish(c)
	_, err = c.perform(nil, 0, 0)
	return err
}

// perform calls the guest on an instance, nil: on one that it makes.
func (c *Call) perform(i *instance, timeout, cpu time.Duration) ([]byte, error) {
	code, i, err := c.limited(i, timeout, cpu)
	whole := err == nil && c.ctx.Err() == nil && !i.module.IsClosed()
	if err != nil {
		err = c.ended(err)
	}
	if i != nil {
		c.module.leave(i, whole, c.run)
	}
	switch {
	case err != nil:
		return nil, err
	case code != 0:
		return nil, guestError(c.export, code, c.trouble)
	}
	return c.output, nil
}

// limited enters the guest and leaves it, within its limits.
func (c *Call) limited(i *instance, timeout, cpu time.Duration) (uint64, *instance, error) {
	if cpu > 0 {
		now, release := threadClock()
		defer release()
		c.cpu = startWatch(cpu, now, func() {
			c.stop(CPU, fault.Limit, fmt.Sprintf("it used the processor for longer than %v and was ended", cpu))
		})
		defer c.cpu.stop()
	}
	if timeout > 0 {
		c.wall = startWatch(timeout, wallClock(), func() {
			c.stop(Deadline, fault.Unavailable, fmt.Sprintf("it took longer than %v and was ended", timeout))
		})
		defer c.wall.stop()
	}
	if i == nil {
		fresh, err := c.instantiate()
		if err != nil {
			return 0, fresh, err
		}
		i = fresh
	}
	code, err := i.enter(c)
	return code, i, err
}
