package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"astrid/ctl"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/session"
	"astrid/kernel/socket"
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

// steps is the boot, in order.
func (k *Kernel) steps() []step {
	h := k.Home
	var listener *net.UnixListener
	var token socket.Token
	return []step{
		{name: "home", do: func(context.Context) error { return h.Ensure() }},
		{name: "lock", do: k.takeLock, undo: k.dropLock},
		{name: "remains", do: func(context.Context) error { return remove(h.Ready(), h.Token()) }},
		{name: "sessions", do: k.openSessions, undo: k.closeSessions},
		{name: "operations", do: k.openTable},
		{name: "control tree", do: k.mountCtl, undo: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, k.config.StopTimeout/ctlShare)
			defer cancel()
			return k.Ctl.Close(ctx)
		}},
		{name: "socket", do: func(context.Context) (err error) {
			listener, err = socket.Bind(h.Socket())
			return err
		}, undo: func(context.Context) error {
			if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		}},
		{name: "token", do: func(context.Context) (err error) {
			token, err = socket.NewToken(h, os.Getpid())
			return err
		}, undo: func(context.Context) error { return remove(h.Token()) }},
		{name: "clients", do: func(ctx context.Context) error {
			k.Socket = socket.New(socket.Config{Listener: listener, Token: token, Table: k.Ops, Log: k.config.Log})
			k.Socket.Start(context.WithoutCancel(ctx))
			return nil
		}, undo: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, k.config.StopTimeout/drainShare)
			defer cancel()
			return k.Socket.Close(ctx)
		}},
		{name: "ready", do: func(context.Context) error {
			k.boot = time.Since(k.Started)
			k.Ops.Open()
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

func (k *Kernel) openSessions(context.Context) (err error) {
	k.Sessions, err = session.New(session.Config{
		Home: k.Home, Exe: k.config.Exe, UserHome: k.config.UserHome, Build: k.config.Build,
		Environ: k.config.Environ, Log: k.config.Log,
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

func (k *Kernel) openTable(context.Context) error {
	k.Ops = op.New(op.Config{Sessions: k.Sessions, Kernel: face{k}, Log: k.config.Log, Booting: true, Ended: k.noteEnded})
	return nil
}

func (k *Kernel) mountCtl(context.Context) (err error) {
	k.Ctl, err = ctl.Mount(k.Home.Ctl(), ctl.Config{Table: k.Ops, Spool: k.Home.Tmp(), Log: k.config.Log})
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
