package kernel

import (
	"context"
	"os"
	"runtime"
	"slices"
	"time"

	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// face is the kernel as the operation table sees it.
type face struct{ k *Kernel }

var _ op.Kernel = face{}

// Version implements op.Kernel.
func (f face) Version() wire.VersionReply {
	return wire.VersionReply{Version: wire.Version, Protocol: wire.Protocol, Build: f.k.config.Build, Go: runtime.Version()}
}

// Status implements op.Kernel.
func (f face) Status(ctx context.Context) (wire.KernelStatus, error) {
	k := f.k
	sessions, err := k.visibleSessions(ctx)
	if err != nil {
		return wire.KernelStatus{}, err
	}
	s := wire.KernelStatus{
		PID: os.Getpid(), Version: wire.Version, Home: k.Home.String(), Started: k.Started,
		Uptime: time.Since(k.Started).Seconds(), Sessions: sessions, BootSeconds: k.boot.Seconds(),
		LastStopCause: k.stopping(),
	}
	s.ShuttingDown = s.LastStopCause != ""
	s.OpsDone, s.OpsFailed = k.Ops.Counts()
	s.Clients, s.Refused, s.SlowClients = k.Socket.Stats()
	s.StaysUp = k.Idle.Why()
	s.AuditHead = k.Audit.Head().Seq
	if err := k.Audit.Err(); err != nil {
		s.AuditFailed = err.Error()
	}
	return s, nil
}

// visibleSessions are the sessions that the caller may know of.
func (k *Kernel) visibleSessions(ctx context.Context) ([]wire.Session, error) {
	list, err := k.Sessions.List(ctx)
	caller := op.CallerOf(ctx)
	return slices.DeleteFunc(list, func(s wire.Session) bool { return !k.Ops.Sees(caller, s.Name) }), err
}

// Shutdown implements op.Kernel.
func (f face) Shutdown(reason string) { f.k.Shutdown(reason) }
