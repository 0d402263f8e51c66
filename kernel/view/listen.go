package view

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// socketName is the last element of home.Home.ViewSocket.
const socketName = "view.sock"

// listen binds view.sock in dir. The path goes through the descriptor, so that
// no home is too deep for the 108 bytes of a socket address. The caller holds
// the lock, so a socket that is there is a dead one.
func listen(dir *os.File) (*net.UnixListener, error) {
	err := unix.Unlinkat(int(dir.Fd()), socketName, 0)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("remove the old %s: %w", socketName, err)
	}
	path := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketName)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", socketName, err)
	}
	l.SetUnlinkOnClose(false)
	if err := unix.Fchmodat(int(dir.Fd()), socketName, 0o600, 0); err != nil {
		l.Close()
		return nil, fmt.Errorf("protect %s: %w", socketName, err)
	}
	return l, nil
}

// peerIsOwner tells whether the process at the other end has our effective uid.
func peerIsOwner(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var cred *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return controlErr == nil && err == nil && int(cred.Uid) == os.Geteuid()
}
