package fs

import (
	"context"
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// maxErrno is the largest error that the kernel takes from a server.
const maxErrno = 511

// errno turns an error of the tree into what the caller sees. An error without
// an errno is logged with the operation and the node and is EIO.
func (f *face) errno(op string, id uint64, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	var e syscall.Errno
	switch {
	case errors.As(err, &e) && e == syscall.ENOSYS:
		// The kernel would remember ENOSYS for the whole mount.
		return fuse.Status(syscall.EOPNOTSUPP)
	case errors.As(err, &e) && e > 0 && e <= maxErrno:
		return fuse.Status(e)
	case errors.Is(err, context.Canceled):
		return fuse.EINTR
	}
	f.log.Error("operation failed without an errno", "op", op, "node", id, "err", err)
	return fuse.EIO
}
