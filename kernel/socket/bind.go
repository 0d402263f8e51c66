package socket

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/home"
)

const probeTimeout = 2 * time.Second

// Bind listens on path, whose directory must be private already. A symbolic
// link at path and a socket that nobody listens to are removed; a live one is
// an error of Kind Exists. The socket is 0600 from its first moment and is
// unlinked when the listener is closed.
func Bind(path string) (*net.UnixListener, error) {
	if err := home.CheckSocket(path, runtime.GOOS); err != nil {
		return nil, err
	}
	if err := closedToOthers(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := clearWay(path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: private}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "bind the socket")
	}
	return l.(*net.UnixListener), nil
}

// private gives a socket its mode before it gets its name.
func private(_, _ string, c syscall.RawConn) error {
	var err error
	if ctlErr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); ctlErr != nil {
		return ctlErr
	}
	return err
}

func closedToOthers(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case err != nil:
		return fault.Wrap(fault.KindOf(err), err, "bind the socket")
	case st.Mode().Perm() != 0o700:
		return fault.New(fault.Denied, "%s has mode %#o, not 0700: the socket would be open to others", dir, st.Mode().Perm())
	}
	return nil
}

// clearWay removes what may be removed at path.
func clearWay(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fault.Wrap(fault.KindOf(err), err, "look at the socket")
	case st.Mode()&fs.ModeSymlink == 0:
		if err := probe(path); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.KindOf(err), err, "remove the stale socket")
	}
	return nil
}

// probe returns nil when nobody listens at path.
func probe(path string) error {
	c, err := net.DialTimeout("unix", path, probeTimeout)
	switch {
	case err == nil:
		_ = c.Close()
		return fault.New(fault.Exists, "Another kernel instance is already running on this socket")
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fault.Wrap(fault.KindOf(err), err, "probe the socket %s", path)
}
