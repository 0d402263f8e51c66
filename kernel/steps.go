package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"astrid/ctl"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/session"
	"astrid/kernel/socket"
	"astrid/kernel/wire"
)

// step is one step of the boot and the way back.
type step struct {
	name string
	do   func(context.Context) error
	undo func(context.Context) error // nil: nothing to take back
}

// Parts of Config.StopTimeout, which the others share as they need it.
const (
	drainShare = 4  // a quarter for operations under way
	ctlShare   = 10 // a tenth for those who hold control files open
)

// steps is the boot, in the order of section 2 of the 0.2 protocol; what that
// does in a step of its own and is not here belongs to MCP servers. The lock comes
// before everything that it guards, and clients last, when all that they can
// reach is there.
func (k *Kernel) steps() []step {
	h := k.config.Home
	return []step{
		{name: "bus", do: k.openBus, undo: func(context.Context) error { k.Bus.Close(); return nil }},
		{name: "home", do: func(context.Context) error { k.Home = h; return h.Ensure() }},
		{name: "lock", do: k.takeLock, undo: k.dropLock},
		{name: "remains", do: func(context.Context) error { return remove(h.Ready(), h.Token()) }},
		{name: "configuration", do: k.configure},
		{name: "state store", do: k.openState, undo: func(context.Context) error { return k.State.Close() }},
		{name: "runtime key", do: k.loadKey},
		{name: "capabilities", do: k.openCaps},
		{name: "audit log", do: k.openAudit, undo: k.closeAudit},
		{name: "sessions", do: k.openSessions, undo: k.closeSessions},
		{name: "socket", do: k.bind, undo: k.unbind},
		{name: "token", do: func(context.Context) (err error) {
			k.Token, err = socket.NewToken(h, os.Getpid())
			return err
		}, undo: func(context.Context) error { return remove(h.Token()) }},
		{name: "allowances", do: k.openAllowances},
		{name: "identity", do: k.openIdentity},
		{name: "approvals", do: k.openApprovals},
		{name: "capsules", do: k.openCapsules, undo: k.closeCapsules},
		{name: "operations", do: k.openTable},
		{name: "control tree", do: k.mountCtl, undo: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, k.config.StopTimeout/ctlShare)
			defer cancel()
			return k.Ctl.Close(ctx)
		}},
		{name: "clients", do: k.openSocket, undo: func(ctx context.Context) error {
			k.Bus.Close() // who follows it is at its end
			ctx, cancel := context.WithTimeout(ctx, k.config.StopTimeout/drainShare)
			defer cancel()
			return k.Socket.Close(ctx)
		}},
		{name: "background", do: k.startBackground, undo: k.stopBackground},
		{name: "ready", do: func(ctx context.Context) error {
			k.boot = time.Since(k.Started)
			k.Ops.Open()
			if err := k.bringUp(ctx); err != nil {
				return err
			}
			if err := k.loadCapsules(ctx); err != nil {
				return err
			}
			return home.WriteFileAtomic(h.Ready(), nil)
		}, undo: func(context.Context) error { return remove(h.Ready()) }},
	}
}

func remove(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.Wrap(fault.KindOf(err), err, "remove %s", path)
		}
	}
	return nil
}

func (k *Kernel) bind(context.Context) (err error) {
	if k.listener = k.config.Listener; k.listener != nil {
		return nil
	}
	k.listener, err = socket.Bind(k.Home.Socket())
	return err
}

func (k *Kernel) unbind(context.Context) error {
	if err := k.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (k *Kernel) openSocket(ctx context.Context) error {
	clients, pending, err := connections()
	if err != nil {
		return err
	}
	k.Socket = socket.New(socket.Config{
		MaxClients: clients, MaxPending: pending,
		Listener: k.listener, Token: k.Token, Table: k.Ops, Bus: k.Bus, Log: k.config.Log,
		Owner: k.Identity.Root(), User: k.Identity.Recognise, Opened: k.clientOpened, Closed: k.clientClosed, Refused: k.noteRefused,
	})
	k.Socket.Start(context.WithoutCancel(ctx))
	return nil
}

// spare is how many descriptors clients leave to everything else at least: a
// store that can open no file takes no more writes.
const spare = 64

// connections is how many clients there may be, and handshakes beside them, with
// the descriptors that this process may have; 0 stands for what is usual.
func connections() (clients, pending int, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, 0, fault.Wrap(fault.KindOf(err), err, "ask for the limit of descriptors")
	}
	if limit.Cur >= 8*socket.MaxClients {
		return 0, 0, nil
	}
	rest := int(limit.Cur) - max(spare, int(limit.Cur)/4)
	if rest < 4 {
		return 0, 0, fault.New(fault.Limit, "this process may have %d descriptors, and a kernel needs %d: raise the limit (ulimit -n)", limit.Cur, 2*spare)
	}
	return min(rest-rest/4, socket.MaxClients), min(rest/4, socket.MaxPending), nil
}

func (k *Kernel) openSessions(context.Context) (err error) {
	k.Sessions, err = session.New(session.Config{
		Home: k.Home, Exe: k.config.Exe, UserHome: k.config.UserHome, Build: k.config.Build,
		Environ: k.config.Environ, Log: k.config.Log, Event: k.viewEvent,
	})
	return err
}

// closeSessions ends every view that nobody uses. A boot that failed leaves
// them all as it found them.
func (k *Kernel) closeSessions(ctx context.Context) error {
	if k.stopping() == "" {
		k.Sessions.Leave()
		return nil
	}
	return k.Sessions.Close(ctx)
}

// bringUp brings the session up that the boot was asked for.
func (k *Kernel) bringUp(ctx context.Context) error {
	if k.config.Workspace == "" {
		return nil
	}
	ctx = op.WithCaller(ctx, k.caller(k.Identity.Root()))
	_, err := op.Run[wire.Up, wire.Session](ctx, k.Ops, op.Up, wire.Up{Dir: k.config.Workspace, Session: k.config.Session}, nil)
	return err
}

func (k *Kernel) openTable(context.Context) error {
	k.Ops = op.New(op.Config{
		Services: op.Services{
			Sessions: accounted{emptied{k.Sessions, k}, k.missed}, Kernel: face{k}, Identity: people{k.Identity, func() { k.Socket.Recheck() }}, Caps: tokens{k.Caps, k.Identity}, Approvals: approvals{k},
			Audit: auditLog{k.Audit}, Bus: messages{k}, State: state{k.State, k.Settings.CapsuleQuota}, Capsules: plugged{k},
		},
		Rights: rights{k.Caps, k.Identity, new(sync.Map)}, Log: k.config.Log, Booting: true, Ended: k.noteEnded,
		Record: k.record, Writable: k.Audit.Err,
	})
	return nil
}

func (k *Kernel) mountCtl(context.Context) (err error) {
	k.Ctl, err = ctl.Mount(k.config.Mount, ctl.Config{Table: k.Ops, Owner: k.Identity.Root(), Spool: k.Home.Tmp(), Log: k.config.Log})
	if err == nil {
		k.control.Store(k.Ctl)
	}
	return err
}

// unwind takes back every step done, in reverse, and returns what went wrong.
func (k *Kernel) unwind(ctx context.Context) error {
	var failed []error
	for i := len(k.undo) - 1; i >= 0; i-- {
		u := k.undo[i]
		if u.do == nil {
			continue
		}
		began := time.Now()
		if err := u.do(ctx); err != nil {
			k.config.Log.Warn("stop step", "step", u.name, "took", time.Since(began), "err", err)
			failed = append(failed, fmt.Errorf("%s: %w", u.name, err))
			continue
		}
		k.config.Log.Info("stop step", "step", u.name, "took", time.Since(began))
	}
	k.undo = nil
	return errors.Join(failed...)
}
