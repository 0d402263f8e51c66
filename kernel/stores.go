package kernel

import (
	"cmp"
	"context"
	"errors"
	"time"

	"astrid/kernel/approve"
	"astrid/kernel/audit"
	"astrid/kernel/bus"
	"astrid/kernel/cap"
	"astrid/kernel/config"
	"astrid/kernel/identity"
	"astrid/kernel/idle"
	"astrid/kernel/store"
)

// Steps of the boot that open what the kernel remembers.

func (k *Kernel) openBus(context.Context) error {
	k.Bus = bus.New(bus.Config{Log: k.config.Log})
	return nil
}

func (k *Kernel) configure(context.Context) (err error) {
	var warnings []string
	k.Settings, warnings, err = config.Load(config.Sources{System: k.config.SystemConfig, Home: k.Home.Config(), Lookup: k.config.Lookup})
	for _, w := range warnings {
		k.config.Log.Warn("configuration", "text", w)
	}
	if err == nil {
		k.config.Linger = cmp.Or(k.config.Linger, max(k.Settings.Idle, idle.Grace))
		k.config.StopTimeout = cmp.Or(k.config.StopTimeout, k.Settings.StopTimeout)
		k.config.Level.Set(k.Settings.LogLevel)
	}
	return err
}

func (k *Kernel) openState(context.Context) (err error) {
	if k.State, err = store.Open(k.Home.State(), store.Config{Log: k.config.Log, Failed: k.storeFailed}); err != nil {
		return err
	}
	k.missed = newMissed(k)
	k.commits, err = k.State.Space(committed, store.SpaceOptions{})
	if err != nil {
		err = errors.Join(err, k.State.Close())
	}
	return err
}

// storeFailed ends a kernel that can neither write nor read one of its stores: the
// next one can, and has all that was acknowledged.
func (k *Kernel) storeFailed(err error) {
	k.Shutdown("a store failed, and has all that was acknowledged when the kernel is started again: " + err.Error())
}

func (k *Kernel) loadKey(context.Context) (err error) {
	k.Key, err = cap.LoadKey(k.Home.RuntimeKey())
	return err
}

func (k *Kernel) openCaps(context.Context) error {
	c := cap.Config{Key: k.Key, Pinned: k.Settings.Issuers, Log: k.config.Log}
	for ns, space := range map[store.Namespace]**store.Space{store.CapTokens: &c.Tokens, store.CapRevoked: &c.Revoked, store.CapUsed: &c.Used} {
		p, err := k.State.Space(ns, store.SpaceOptions{Sync: true})
		if err != nil {
			return err
		}
		*space = p
	}
	var err error
	k.Caps, err = cap.Open(c)
	return err
}

// openAudit opens the log in a store of its own and says that the kernel boots.
func (k *Kernel) openAudit(ctx context.Context) (err error) {
	if k.records, err = store.Open(k.Home.Audit(), store.Config{Log: k.config.Log, Failed: k.storeFailed}); err != nil {
		return err
	}
	broken := audit.Warn
	if k.Settings.AuditRefuses {
		broken = audit.Refuse
	}
	k.Audit, err = audit.Open(audit.Config{Store: k.records, Key: k.Key.Private(), Log: k.config.Log, OnBroken: broken, MaxBytes: k.Settings.AuditMax, Archives: k.Home.AuditArchives()})
	if err == nil {
		err = k.Audit.Append(ctx, ownRecord(audit.Boot, audit.Fields{"build": k.config.Build}))
	}
	if err != nil {
		err = errors.Join(err, k.closeAudit(ctx))
	}
	return err
}

func ownRecord(t audit.Type, f audit.Fields) audit.Record {
	return audit.Record{
		Action: audit.Action{Type: t, Fields: f}, Outcome: audit.Outcome{Success: true},
		Authorization: audit.Authorization{Type: audit.System, Fields: audit.Fields{"reason": "kernel"}},
	}
}

// closeAudit says that the kernel ends, and closes the log and its store.
func (k *Kernel) closeAudit(ctx context.Context) error {
	var failed []error
	if k.Audit != nil {
		k.sumDenials(k.denials.end(time.Now(), true))
		if why := k.stopping(); why != "" {
			failed = append(failed, k.Audit.Append(ctx, ownRecord(audit.Shutdown, audit.Fields{"reason": why})))
		}
		failed = append(failed, k.Audit.Close(ctx))
	}
	return errors.Join(append(failed, k.records.Close())...)
}

func (k *Kernel) openAllowances(context.Context) error {
	space, err := k.State.Space(store.Allowances, store.SpaceOptions{Sync: true})
	if err != nil {
		return err
	}
	k.Allowances, err = cap.OpenAllowances(cap.AllowanceConfig{Space: space, Key: k.Key, Log: k.config.Log})
	return err
}

// openIdentity opens the table of users and makes the links that are configured.
func (k *Kernel) openIdentity(context.Context) (err error) {
	if k.Identity, err = identity.Open(k.State, nil); err != nil {
		return err
	}
	for _, l := range k.Settings.Links {
		if err := k.Identity.EnsureLink(l.Platform, l.Account, l.User, l.Method); err != nil {
			k.config.Log.Warn("a configured identity link was not made", "platform", l.Platform, "platform_user_id", l.Account, "err", err)
		}
	}
	return nil
}

func (k *Kernel) openApprovals(context.Context) (err error) {
	k.openQuestions()
	k.Approvals, err = approve.New(approve.Config{
		Store: k.State, Memory: memory{k.Allowances}, Timeout: k.approvalTimeout, Announce: k.announce, Record: k.recordApproval, Log: k.config.Log,
	})
	return err
}
