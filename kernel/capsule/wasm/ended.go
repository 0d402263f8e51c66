package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"astrid/kernel/fault"
)

// Reason is a word for why a guest was ended, for the audit log.
type Reason string

// The reasons.
const (
	Deadline  Reason = "deadline"  // of the call
	CPU       Reason = "cpu"       // budget of the call
	Cancelled Reason = "cancelled" // by the caller
	Closed    Reason = "closed"    // the Module
	Trap      Reason = "trap"      // the guest did what WebAssembly forbids, or gave up
	Exit      Reason = "exit"      // the guest exited with a code
	Misuse    Reason = "misuse"    // of the ABI: a bad offset, too many or too long blocks
	Host      Reason = "host"      // a host function failed
	Machine   Reason = "machine"   // there was no memory for an instance
)

// Ended is why a guest was ended before it could answer. It is within the
// fault.Error that a call returns, and what happened is within it.
type Ended struct {
	Reason Reason
	Err    error
}

// Error tells what happened.
func (e *Ended) Error() string { return e.Err.Error() }

// Unwrap returns what happened.
func (e *Ended) Unwrap() error { return e.Err }

// GuestError is an error that the guest returned. Its instance lives on.
type GuestError struct {
	Text string // in the guest's words, valid UTF-8 of at most MaxText bytes; never empty
	Code uint64 // what the export returned
}

// Error returns Text.
func (e *GuestError) Error() string { return e.Text }

func guestError(export string, code uint64, text []byte) error {
	e := &GuestError{Text: clean(text), Code: code}
	if e.Text == "" {
		e.Text = fmt.Sprintf("%s returned %d and did not say why", export, code)
	}
	return &fault.Error{Kind: fault.Internal, Text: e.Text, Err: e}
}

// ended says why the guest did not answer, of what the runtime says.
func (c *Call) ended(err error) error {
	why := c.why(err)
	return fault.Wrap(fault.KindOf(why.Err), why, "call %s", c.export)
}

// ending is the cause with which a call ends itself. An end that an outer call
// handed down is another's.
type ending struct {
	*Ended
	call *Call
}

// stop ends the call wherever it is.
func (c *Call) stop(reason Reason, k fault.Kind, text string) {
	c.end(&ending{&Ended{reason, &fault.Error{Kind: k, Text: text, Err: context.DeadlineExceeded}}, c})
}

// unload is stop for when the Module is closed.
func (c *Call) unload() { c.end(&ending{unloaded(), c}) }

// why finds the reason. What the runtime says follows from what this package
// did, if it did anything, and then tells less.
func (c *Call) why(err error) *Ended {
	var own *ending
	var why *Ended
	var exit *sys.ExitError
	cause := context.Cause(c.ctx)
	switch {
	case errors.As(cause, &own) && own.call == c:
		return own.Ended
	case cause != nil:
		return &Ended{Cancelled, fault.Wrap(fault.KindOf(cause), cause, "it was given up")}
	case c.trapped != nil:
		return c.trapped
	case errors.As(err, &why):
		return why
	case errors.As(err, &exit):
		return &Ended{Exit, fault.New(fault.Internal, "the guest exited with code %d%s", exit.ExitCode(), c.memory())}
	}
	c.module.config.Log.Debug("a guest trapped", "export", c.export, "trace", clean([]byte(err.Error())))
	text, _, _ := strings.Cut(err.Error(), "\n")
	return &Ended{Trap, fault.New(fault.Internal, "the guest trapped: %s%s", strings.TrimPrefix(text, "wasm error: "), c.memory())}
}

// memory tells how full the guest's memory was: most guests that run out of it
// only trap or exit.
func (c *Call) memory() string {
	if c.instance == nil {
		return ""
	}
	return fmt.Sprintf(", with %d of %d KiB of memory in use", c.instance.memory.size>>10, len(c.instance.memory.all)>>10)
}
