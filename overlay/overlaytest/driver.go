package overlaytest

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// Driver applies operations to a tree.
type Driver interface {
	// Do applies one operation. Its error is the driver's own: a broken promise
	// that no errno tells, or a process that is gone.
	Do(op *Op) (Result, error)
	// Image reads the whole tree.
	Image() (Image, error)
	// Close lets go of everything.
	Close() error
}

// errno returns the errno in err; anything else is a defect of what returned it.
func errno(err error) (syscall.Errno, error) {
	var no syscall.Errno
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &no):
		return no, nil
	}
	return 0, fmt.Errorf("an error without errno: %w", err)
}

// answer makes a Result of what an operation returned.
func answer(r Result, err error) (Result, error) {
	no, err := errno(err)
	if no != 0 {
		r = Result{Errno: no}
	}
	return r, err
}

// noSlot says that an operation names a slot with nothing in it.
var errNoSlot = errors.New("empty slot")

func components(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}
