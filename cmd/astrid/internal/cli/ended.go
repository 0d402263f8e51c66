package cli

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// endTime bounds the wait for a kernel that has nothing left to do.
const endTime = 5 * time.Second

// awaitLast waits, after the last session has gone down, until the kernel has
// ended too, which it does when nobody but this program is connected. It hangs up.
func (a *app) awaitLast(ctx context.Context) {
	var k wire.KernelStatus
	if err := a.kernel.Call(ctx, op.About, nil, &k); err != nil || k.Clients > 1 {
		return
	}
	for _, s := range k.Sessions {
		if s.State != "stopped" {
			return
		}
	}
	a.hangUp()
	a.kernel = nil
	a.awaitEnd(ctx)
}

// awaitEnd waits until no kernel holds the home, so that what a script does
// next finds everything unmounted.
func (a *app) awaitEnd(ctx context.Context) {
	h, err := a.home()
	if err != nil {
		return
	}
	lock, err := os.Open(h.Lock())
	if err != nil {
		return
	}
	defer lock.Close()
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
