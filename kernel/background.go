package kernel

import (
	"context"
	"path/filepath"
	"time"

	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/idle"
	"astrid/kernel/socket"
	"astrid/kernel/wire"
)

// tickEvery is how often capsules are reminded that time passes (section 6.3 of
// the 0.2 protocol), and how long a token that expired is good at most for a
// connection that is open.
const tickEvery = 5 * time.Second

// startBackground starts what works until the stop: the idle watch, the tick, and
// the rest.
func (k *Kernel) startBackground(ctx context.Context) error {
	ctx, k.quiet = context.WithCancel(context.WithoutCancel(ctx))
	k.Idle = idle.New(idle.Config{Timeout: k.Settings.Idle, Needs: k.needs, Retire: k.Sessions.Retire, Log: k.config.Log})
	k.running.Go(func() {
		if k.Idle.Run(ctx) {
			k.Shutdown("idle_timeout")
		}
	})
	k.running.Go(func() { k.tick(ctx) })
	k.running.Go(func() { k.missed.run(ctx) })
	k.running.Go(func() {
		if err := k.Router.Run(ctx); err != nil {
			k.config.Log.Error("messages are not routed any more", "err", err)
		}
	})
	k.running.Go(func() {
		if err := k.informCapsules(ctx); err != nil {
			k.config.Log.Error("capsules are not told of their sessions", "err", err)
		}
	})
	k.running.Go(func() { k.Capsules.Supervise(ctx) })
	k.running.Go(func() { k.watchCapsules(ctx) })
	return nil
}

func (k *Kernel) stopBackground(context.Context) error {
	k.quiet()
	k.mu.Lock()
	if k.lonely != nil {
		k.lonely.Stop()
	}
	k.mu.Unlock()
	k.running.Wait()
	return nil
}

func (k *Kernel) tick(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			k.Socket.Recheck()
			k.sumDenials(k.denials.end(time.Now(), false))
			k.publish(bus.Message{Topic: "astrid.v1.watchdog.tick", Source: wire.NewUUID(), Transient: true}, wire.Custom(wire.Raw("{}")), nil)
		case <-ctx.Done():
			return
		}
	}
}

// needs says why the kernel must stay, apart from programs that work in views:
// those refuse to retire.
func (k *Kernel) needs() (needs []string) {
	if clients, _, _ := k.Socket.Stats(); clients > 0 {
		needs = append(needs, counted(clients, "client"))
	}
	if n := k.Ops.Running(); n > 0 {
		needs = append(needs, counted(n, "operation"))
	}
	for _, s := range k.Capsules.List() {
		if s.State == capsule.Ready && (s.Capabilities.Uplink || len(s.Uplinks) > 0 || len(s.Crons) > 0) {
			needs = append(needs, "the capsule "+string(s.Package.Name))
		}
	}
	return needs
}

// approvalTimeout is how long a request for approval waits; a workspace may
// shorten it.
func (k *Kernel) approvalTimeout(session string) time.Duration {
	base := k.baseOf(session)
	if base == "" {
		return k.Settings.ApprovalTimeout
	}
	tight, warnings, err := k.Settings.Tighten(filepath.Join(base, ".astrid", "config.toml"))
	for _, w := range warnings {
		k.config.Log.Warn("configuration", "text", w)
	}
	if err != nil {
		k.config.Log.Warn("the configuration of a workspace is not used", "session", session, "err", err)
	}
	return tight.ApprovalTimeout
}

// baseOf is the workspace of a session, empty when there is none of that name.
func (k *Kernel) baseOf(session string) string {
	list, err := k.Sessions.List(context.Background())
	if err != nil {
		return ""
	}
	for _, s := range list {
		if s.Name == session {
			return s.Base
		}
	}
	return ""
}

// loneliness is how long no client may be connected before what was allowed "for
// the session" is forgotten: frontends come back, and commands connect often.
const loneliness = time.Minute

func (k *Kernel) clientOpened(c socket.Client) {
	k.mu.Lock()
	k.clients++
	if k.lonely != nil {
		k.lonely.Stop()
		k.lonely = nil
	}
	k.mu.Unlock()
	k.noteOpened(c)
	k.connected(c)
}

func (k *Kernel) clientClosed(c socket.Client) {
	k.disconnected(c)
	k.noteClosed(c)
	k.mu.Lock()
	k.clients--
	if k.clients == 0 && k.reason == "" {
		k.lonely = time.AfterFunc(loneliness, k.forgetAllowed)
	}
	k.mu.Unlock()
	k.noteEnded("", nil)
}

// forgetAllowed clears what was allowed for sessions.
func (k *Kernel) forgetAllowed() {
	n := 0
	for _, a := range k.Allowances.List() {
		if a.SessionOnly {
			n += k.Allowances.ClearSession(a.Session)
		}
	}
	if n > 0 {
		k.config.Log.Info("last client disconnected, session allowances cleared", "allowances", n)
	}
}
