package kernel

import (
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"time"

	"astrid/kernel/bus"
	"astrid/kernel/config"
	"astrid/kernel/fault"
	"astrid/kernel/op"
)

// Shutdown asks for a stop and returns at once; Run does it. The first reason
// counts.
func (k *Kernel) Shutdown(reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.reason == "" {
		k.reason = reason
		close(k.wanted)
	}
}

// stopping returns the reason of the stop, empty when there is none.
func (k *Kernel) stopping() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reason
}

// Run serves until there is a reason to stop, and stops. The error is that of
// Stop.
func (k *Kernel) Run(ctx context.Context) error {
	linger := time.NewTimer(k.config.Linger)
	defer linger.Stop()
	lost := k.Ctl.Done()
	ending := false // a session was taken down and none was brought up since
	for {
		select {
		case <-ctx.Done():
			return k.Stop("signal")
		case <-k.wanted:
			return k.Stop(k.stopping())
		case <-lost:
			k.config.Log.Error("the control tree was unmounted from outside; it comes back with the next kernel", "dir", k.Home.Ctl())
			lost = nil
		case method := <-k.ended:
			linger.Reset(k.config.Linger)
			if method == op.Up || method == op.Down {
				ending = method == op.Down
			}
			if ending && k.nothingUp() {
				return k.Stop("the last session is down")
			}
		case <-linger.C:
			if k.nothingUp() {
				return k.Stop("no session is up")
			}
			linger.Reset(k.config.Linger)
		}
	}
}

// noteEnded tells Run of an operation that ended. What Run has not taken yet
// is replaced, but the end of a session by nothing but a beginning.
func (k *Kernel) noteEnded(method string, err error) {
	if err != nil {
		method = ""
	}
	for {
		select {
		case k.ended <- method:
			return
		default:
		}
		select {
		case earlier := <-k.ended:
			if earlier == op.Down && method != op.Up {
				method = earlier
			}
		default:
		}
	}
}

// nothingUp tells whether no session is up and nothing needs the kernel, and if so closes the operation
// table in the same instant, so that no session comes up behind its back. A
// kernel that is configured to stay does.
func (k *Kernel) nothingUp() bool {
	if k.Settings.Idle == config.Never {
		return false
	}
	seen := k.Ops.Started()
	if len(k.needs()) > 0 {
		return false
	}
	list, err := k.Sessions.List(context.Background())
	if err != nil {
		return false
	}
	for _, s := range list {
		if s.State != "stopped" {
			return false
		}
	}
	return k.Ops.CloseIfIdle(seen, "no session is up")
}

// Stop stops the kernel: no operation begins any more, those that wait for an
// approval are told, the others under way may end, and the boot is undone in
// reverse, all within Config.StopTimeout; what hangs beyond that is logged with
// the stacks of all goroutines and left. Views that programs work in stay up:
// they are named in the log and are no error. It may be called once, by whoever
// called New if it does not call Run.
func (k *Kernel) Stop(reason string) error {
	k.Shutdown(reason)
	reason = k.stopping()
	k.config.Log.Info("kernel stopping", "reason", reason)
	k.lifecycle("kernel_shutdown", bus.Message{}, map[string]any{"reason": reason})
	k.Ops.Close(reason)
	k.Approvals.Close(reason)
	k.Questions.Close(reason)
	ctx, cancel := context.WithTimeout(context.Background(), k.config.StopTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- k.unwind(ctx) }()
	select {
	case err := <-done:
		return k.stopped(reason, err)
	case <-time.After(k.config.StopTimeout + k.config.StopTimeout/ctlShare):
		var stacks strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
		k.config.Log.Error("the stop hangs", "stacks", stacks.String())
		return fault.New(fault.Internal, "the stop took longer than %v; the log says where it hangs", k.config.StopTimeout)
	}
}

// stopped judges how a stop went.
func (k *Kernel) stopped(reason string, err error) error {
	k.config.Log.Info("kernel stopped", "reason", reason, "err", err)
	if err == nil || fault.Is(err, fault.Busy) {
		return nil
	}
	return fmt.Errorf("stop: %w", err)
}
