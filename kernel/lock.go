package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/home"
)

const lockPause = 25 * time.Millisecond

// takeLock makes this the one kernel of the home. When another one serves
// clients it says so at once; one that is booting or stopping is waited for.
func (k *Kernel) takeLock(ctx context.Context) error {
	f, err := os.OpenFile(k.Home.Lock(), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "open the lock")
	}
	if err := k.waitLock(ctx, f); err != nil {
		_ = f.Close()
		return err
	}
	if err := writePID(f); err != nil {
		_ = f.Close()
		return fault.Wrap(fault.KindOf(err), err, "write the lock")
	}
	k.lock = f
	return nil
}

func (k *Kernel) waitLock(ctx context.Context, f *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, k.config.LockWait)
	defer cancel()
	tick := time.NewTicker(lockPause)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fault.Wrap(fault.KindOf(err), err, "take the lock")
		case k.answered():
			return fault.New(fault.Exists, "another kernel is already running in %s, with pid %s", k.Home, holder(f))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fault.New(fault.Busy, "a kernel with pid %s holds %s but serves nobody: end it and try again", holder(f), k.Home.Lock())
		}
	}
}

// answered tells whether somebody listens to the socket.
func (k *Kernel) answered() bool {
	c, err := net.DialTimeout("unix", k.Home.Socket(), time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// holder reads the pid that a lock's holder wrote.
func holder(f *os.File) string {
	data := make([]byte, 20)
	n, err := f.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) || n == 0 {
		return "unknown"
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data[:n])))
	if err != nil {
		return "unknown"
	}
	return strconv.Itoa(pid)
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// dropLock lets the next kernel in. The file stays: removing it would let two
// kernels lock two files of one name.
func (k *Kernel) dropLock(context.Context) error {
	err := k.lock.Truncate(0)
	return errors.Join(err, k.lock.Close())
}

// Running tells whether a kernel holds the lock of a home.
func Running(h home.Home) bool {
	f, err := os.OpenFile(h.Lock(), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
