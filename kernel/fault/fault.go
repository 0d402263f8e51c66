package fault

import (
	"fmt"
	"syscall"
)

// Kind is what sort of trouble an error is. The zero Kind is Internal, so that
// an error nobody classified is never mistaken for a harmless one.
type Kind uint8

// The kinds. Their wire codes, errnos and exit codes are in the table below.
const (
	Internal    Kind = iota // a defect or a failing disk
	Usage                   // the request is malformed
	Conflict                // the base moved, or a digest did
	NotRunning              // no kernel, or no such view
	Busy                    // held by programs
	HeldBack                // applied, but protected paths remain
	Denied                  // not entitled
	NotFound                // no such session, path or thing
	Exists                  // the name is taken
	Unsupported             // this machine or workspace cannot
	NoSpace                 // disk or quota
	Limit                   // rate or size limit
	Interrupted             // the caller gave up
	Unavailable             // restarting; try again
	kinds
)

type row struct {
	code  string
	errno syscall.Errno
	exit  int
}

func (k Kind) row() row {
	switch k {
	case Usage:
		return row{"usage", syscall.EINVAL, 2}
	case Conflict:
		return row{"conflict", syscall.ESTALE, 3}
	case NotRunning:
		return row{"not_running", syscall.ENOTCONN, 4}
	case Busy:
		return row{"busy", syscall.EBUSY, 5}
	case HeldBack:
		return row{"held_back", syscall.EPERM, 6}
	case Denied:
		return row{"denied", syscall.EACCES, 1}
	case NotFound:
		return row{"not_found", syscall.ENOENT, 1}
	case Exists:
		return row{"exists", syscall.EEXIST, 1}
	case Unsupported:
		return row{"unsupported", syscall.EOPNOTSUPP, 1}
	case NoSpace:
		return row{"no_space", syscall.ENOSPC, 1}
	case Limit:
		return row{"limit", syscall.E2BIG, 1}
	case Interrupted:
		return row{"interrupted", syscall.EINTR, 1}
	case Unavailable:
		return row{"unavailable", syscall.EAGAIN, 5}
	}
	return row{"internal", syscall.EIO, 1}
}

// Code is the word for k on the wire.
func (k Kind) Code() string { return k.row().code }

// String is Code, for logs.
func (k Kind) String() string { return k.Code() }

// Errno is what a control file answers for k.
func (k Kind) Errno() syscall.Errno { return k.row().errno }

// Exit is the exit code of the command line for k.
func (k Kind) Exit() int { return k.row().exit }

// FromCode is the inverse of Code; Internal for a word it does not know.
func FromCode(code string) Kind {
	for k := Internal; k < kinds; k++ {
		if k.Code() == code {
			return k
		}
	}
	return Internal
}

// All returns every Kind, for tests of totality.
func All() []Kind {
	all := make([]Kind, 0, kinds)
	for k := Internal; k < kinds; k++ {
		all = append(all, k)
	}
	return all
}

// Error is an error with a Kind. Its text is one sentence for a person: what
// was asked, what stands in the way, what to do next.
type Error struct {
	Kind Kind
	Text string // the whole sentence, the cause's words included
	Err  error  // the cause for errors.Is and errors.As, may be nil; never shown again
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an Error from a format. What %w names stays reachable by errors.Is
// and errors.As, as with fmt.Errorf.
func New(k Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	e := &Error{Kind: k, Text: err.Error()}
	switch err.(type) {
	case interface{ Unwrap() error }, interface{ Unwrap() []error }:
		e.Err = err
	}
	return e
}

// Wrap puts a sentence before a cause and gives the whole a Kind. A nil cause
// makes what New makes.
func Wrap(k Kind, cause error, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if cause != nil {
		text += ": " + cause.Error()
	}
	return &Error{Kind: k, Text: text, Err: cause}
}
