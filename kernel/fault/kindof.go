package fault

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// KindOf finds the Kind of err: that of the outermost Error in its chain, else
// the Kind that stands for its errno, else that of a context that ended, else
// Internal. A nil err has no Kind; do not ask.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var no syscall.Errno
	if errors.As(err, &no) {
		return fromErrno(no)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return Unavailable
	}
	return Internal
}

// Is reports whether err is not nil and of Kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// ErrnoOf is what a file answers for err.
func ErrnoOf(err error) syscall.Errno { return KindOf(err).Errno() }

// ExitOf is the exit code of a command that ended with err; 0 for nil.
func ExitOf(err error) int {
	if err == nil {
		return 0
	}
	return KindOf(err).Exit()
}

// fromErrno is the way back from the errno of a system call. It knows more
// words than the table prints: several errnos may mean one Kind.
func fromErrno(no syscall.Errno) Kind {
	switch no {
	case syscall.EDQUOT:
		return NoSpace
	case syscall.EPERM, syscall.EROFS:
		return Denied
	case syscall.ETXTBSY, syscall.EADDRINUSE:
		return Busy
	case syscall.ECONNREFUSED:
		return NotRunning
	case syscall.ENOTDIR:
		return NotFound
	case syscall.ENAMETOOLONG, syscall.ELOOP:
		return Usage
	case syscall.EFBIG, syscall.EMFILE, syscall.ENFILE, syscall.EMSGSIZE:
		return Limit
	case syscall.ENOSYS:
		return Unsupported
	case syscall.ETIMEDOUT:
		return Unavailable
	case syscall.ECANCELED:
		return Interrupted
	}
	for k := Usage; k < kinds; k++ {
		if k.Errno() == no {
			return k
		}
	}
	return Internal
}
