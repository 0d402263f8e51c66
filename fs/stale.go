package fs

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const eBusy = syscall.EBUSY

// Health is what a probe of a mount found.
type Health int

const (
	// Unmounted: nothing of ours is mounted there.
	Unmounted Health = iota
	// Alive: its server answered.
	Alive
	// Dead: its server is gone (ENOTCONN).
	Dead
	// Hung: no answer in time.
	Hung
)

func (h Health) String() string {
	return [...]string{"unmounted", "alive", "dead", "hung"}[h]
}

// Stale probes the FUSE mount at dir. The probe is a statfs, which no cache
// answers, in a goroutine of its own: when the server hangs, that goroutine
// stays until the mount is aborted or answers, and Stale returns Hung after
// timeout. It must not be called by the process that serves the mount.
func Stale(dir string, timeout time.Duration) (Health, error) {
	at, err := mountAt(dir)
	if err != nil {
		return Unmounted, err
	}
	if at == nil || !at.fuse() {
		return Unmounted, nil
	}
	answer := make(chan error, 1)
	go func() {
		var st unix.Statfs_t
		answer <- unix.Statfs(dir, &st)
	}()
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case err := <-answer:
		if errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED) {
			return Dead, nil
		}
		return Alive, nil
	case <-late.C:
		return Hung, nil
	}
}

// DetachStale takes the topmost mount at dir, a FUSE one, out of the tree of names, whoever
// stands in it. It is not an error when nothing is mounted there.
func DetachStale(dir string) error {
	at, err := mountAt(dir)
	if err != nil || at == nil {
		return err
	}
	if !at.fuse() {
		return fmt.Errorf("detach %s: a %s is mounted there: %w", dir, at.FSType, unix.EINVAL)
	}
	if err := unmount(dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach %s: %w", dir, err)
	}
	return nil
}
