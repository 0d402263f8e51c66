package overlaytest

import (
	"context"

	"golang.org/x/sys/unix"
)

const (
	kindDir  = unix.S_IFDIR
	kindFile = unix.S_IFREG
	kindLink = unix.S_IFLNK
)

// background is the context of what a model opens: nothing in it is cancelled.
func background() context.Context { return context.Background() }
