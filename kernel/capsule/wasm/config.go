package wasm

import (
	"context"
	"log/slog"
	"time"

	"astrid/kernel/fault"
)

// Bounds of what a module may be and hold, and the defaults of a Config.
const (
	MaxModule    = 64 << 20 // bytes of a module
	MaxFunction  = 2 << 20  // bytes of one function's code
	MaxTables    = 8        // tables of functions
	MaxTable     = 1 << 18  // elements of one
	MaxArena     = 64 << 20 // bytes of the blocks of a call together
	MaxVars      = 1 << 20  // bytes of an instance's Extism variables together
	MaxText      = 64 << 10 // bytes of an error's or log line's text; the rest is cut
	MaxLine      = 4 << 10  // bytes of one line of output; longer ones are folded
	MaxOutput    = 64 << 10 // bytes of output and logs a second; the rest is dropped and counted
	MaxArguments = 5        // of a host function: so many fit through the shim
	MaxPool      = 64       // Config.MaxInstances
	MaxCache     = 1 << 30  // bytes of machine code on disk

	DefaultTimeout = 10 * time.Second // what 0.2 grants; Config.Timeout does not default to it

	defaultPages = 1024
	defaultBlock = 10 << 20
	defaultIdle  = 5 * time.Minute
)

// Result is what a host function returns to the guest.
type Result uint8

// The results: none, the offset of a block of bytes, or a plain integer.
const (
	None Result = iota
	Block
	Raw
)

// Func is one host function of a capsule.
type Func struct {
	Name   string
	Params int // blocks of bytes, at most MaxArguments
	Result Result
	// Limits are the most bytes that each argument may have; where it says
	// nothing or 0, Config.MaxBlock is meant.
	Limits []int
	// Call performs it, on the guest's goroutine: it must return soon after ctx
	// has ended. The arguments are the guest's and may be neither changed nor
	// kept. What it returns is copied. An error ends the guest's call, which
	// fails with it; what a guest is to survive belongs into the result.
	Call func(ctx context.Context, c *Call, args [][]byte) (result []byte, raw int64, err error)
}

// Config is what a Module works with.
type Config struct {
	// Functions are the capsule's host functions; a function's place is its
	// number in the shim.
	Functions    []Func
	MemoryPages  uint32        // of 64 KiB, the most an instance's memory may have; 0: 1024
	MaxBlock     int           // the most bytes of an input, a result or any other block; 0: 10 MiB
	MaxInstances int           // calls at a time; 0: one
	Timeout      time.Duration // for a call, without what Call.Pause excludes; 0: none
	CPU          time.Duration // of a processor's time that the guest's own code may use in a call; 0: any
	Idle         time.Duration // after which an instance that nobody needs is dropped; 0: 5 minutes
	// Stdio gets each line that a guest writes to its standard output and error.
	// It is called on the guest's goroutine.
	Stdio func(line string)
	Log   *slog.Logger // what guests log by Extism's functions, and why they end
}

// check fills in what is not said.
func (c *Config) check() error {
	setDefault(&c.MemoryPages, defaultPages)
	setDefault(&c.MaxBlock, defaultBlock)
	setDefault(&c.MaxInstances, 1)
	setDefault(&c.Idle, defaultIdle)
	if c.Stdio == nil {
		c.Stdio = func(string) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MemoryPages > 1<<16 || c.MaxBlock < 0 || c.MaxBlock > MaxArena/2 || c.MaxInstances < 0 || c.MaxInstances > MaxPool {
		return fault.New(fault.Usage, "a module may have at most %d pages of memory, %d bytes in a block and %d instances", 1<<16, MaxArena/2, MaxPool)
	}
	names := map[string]bool{}
	for _, f := range c.Functions {
		if names[f.Name] {
			return fault.New(fault.Usage, "there are two host functions %s", f.Name)
		}
		names[f.Name] = true
		if f.Params < 0 || f.Params > MaxArguments || len(f.Limits) > f.Params {
			return fault.New(fault.Usage, "the host function %s has %d arguments and %d limits, and %d are the most", f.Name, f.Params, len(f.Limits), MaxArguments)
		}
	}
	return nil
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// limit is the most bytes that argument i of f may have.
func (f *Func) limit(i, most int) int {
	if i < len(f.Limits) && f.Limits[i] > 0 {
		return f.Limits[i]
	}
	return most
}
