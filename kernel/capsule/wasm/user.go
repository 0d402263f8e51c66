package wasm

import (
	"fmt"
	"runtime/debug"

	"astrid/kernel/fault"
)

// trap ends the guest's call: the panic leaves the guest, and the call says why.
func (c *Call) trap(reason Reason, err error) {
	c.trapped = &Ended{reason, err}
	panic(c.trapped)
}

// must is trap for a misuse of the ABI, if there was one.
func (c *Call) must(err error) {
	if err != nil {
		c.trap(Misuse, err)
	}
}

// handle returns what is in the block at an offset, as a Usage when there is
// none; nothing is at 0.
func (c *Call) handle(at uint64) []byte {
	b := c.arena.block(at)
	if b == nil && at != 0 {
		c.must(fault.New(fault.Usage, "the guest names a block at offset %d, and its call has none there", at))
	}
	return b
}

func (f *Func) signature() string {
	if f.Result == None {
		return ""
	}
	return "I"
}

// serve performs f for the guest: offsets of blocks in, an offset out.
func (f *Func) serve(c *Call, stack []uint64) {
	var args [MaxArguments][]byte
	for i := range f.Params {
		args[i] = c.handle(stack[i])
		if most := f.limit(i, c.module.config.MaxBlock); len(args[i]) > most {
			c.must(fault.New(fault.Limit, "%s: memory allocation of %d bytes exceeds maximum allowed limit of %d bytes", f.Name, len(args[i]), most))
		}
	}
	result, raw, err := f.call(c, args[:f.Params])
	if err != nil {
		c.trap(Host, fmt.Errorf("%s: %w", f.Name, err))
	}
	switch f.Result {
	case Raw:
		stack[0] = uint64(raw)
	case Block:
		at, err := c.arena.put(result)
		c.must(err)
		stack[0] = at
	}
}

// call runs outside the guest's budget of the processor. A function that panics
// is a defect of this program, and costs no more than the call.
func (f *Func) call(c *Call, args [][]byte) (result []byte, raw int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.module.config.Log.Error("a host function panicked", "function", f.Name, "panic", p, "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, "it has a defect: %v", p)
		}
	}()
	if c.cpu != nil {
		c.cpu.pause()
		defer c.cpu.resume()
	}
	return f.Call(c.ctx, c, args)
}

// table is the functions as the shim shows them, by number.
type table []Func

// The shim's codes of types.
const (
	shimVoid = 0
	shimI64  = 2
)

func (t table) argument(_ *Call, stack []uint64) {
	n, i := uint32(stack[0]), uint32(stack[1])
	stack[0] = shimVoid
	if uint64(n) < uint64(len(t)) && uint64(i) < uint64(t[n].Params) {
		stack[0] = shimI64
	}
}

func (t table) result(_ *Call, stack []uint64) {
	n := uint32(stack[0])
	stack[0] = shimVoid
	if uint64(n) < uint64(len(t)) && t[n].Result != None {
		stack[0] = shimI64
	}
}

func (t table) invoke(c *Call, stack []uint64) {
	n := uint32(stack[0])
	if uint64(n) >= uint64(len(t)) {
		c.must(fault.New(fault.Usage, "the guest calls the host function number %d, and there are %d", n, len(t)))
	}
	args := [MaxArguments]uint64(stack[1:])
	if t[n].Params == 0 {
		args[0] = 0
	}
	f := &t[n]
	if f.serve(c, args[:]); f.Result == None {
		args[0] = 0
	}
	stack[0] = args[0]
}
