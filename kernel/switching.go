package kernel

import (
	"context"
	"slices"

	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Loading capsules again, and switching them on and off.

// Reload implements op.Capsules.
func (p plugged) Reload(ctx context.Context, _ wire.None) (wire.Reloaded, error) {
	ctx = context.WithoutCancel(ctx)
	p.k.installing.Lock()
	problems := p.refreshLinks(ctx)
	did, err := p.k.reloadCapsules(ctx, true)
	p.k.installing.Unlock()
	return wire.Reloaded{
		Status: "reloaded", Loaded: texts(did.Loaded), Kept: texts(did.Kept), Ended: texts(did.Ended), Problems: append(problems, p.problems()...),
	}, err
}

func texts(ids []capsule.ID) []string {
	all := make([]string, 0, len(ids))
	for _, id := range ids {
		all = append(all, string(id))
	}
	return all
}

// problems are what is wrong with the capsules that there are, a sentence each.
func (p plugged) problems() []string {
	all := []string{}
	for _, s := range p.k.Capsules.List() {
		if s.Why != "" {
			all = append(all, "the capsule "+string(s.Package.Name)+" is "+string(s.State)+": "+s.Why)
		}
	}
	for _, problem := range p.k.Capsules.Problems() {
		if text := problem.Text; problem.Dir == "" {
			all = append(all, text)
		} else {
			all = append(all, "in "+problem.Dir+": "+text)
		}
	}
	slices.Sort(all)
	return all
}

// Remove implements op.Capsules.
func (p plugged) Remove(ctx context.Context, req wire.ByID) (done wire.CapsuleSwitched, err error) {
	p.k.installing.Lock()
	defer p.k.installing.Unlock()
	if s, err := p.known(ctx, req.ID); err == nil && s.Listed != nil {
		return done, fault.New(fault.Usage, "the server %s stands in %s: take it out there, and run astrid capsule reload", req.ID, s.Listed.File)
	}
	i := capsule.Installer{Root: p.k.Home.Capsules()}
	err = i.Remove(capsule.ID(req.ID))
	switch {
	case fault.Is(err, fault.NotFound):
		return done, p.absent(ctx, req.ID)
	case err != nil:
		return done, err
	}
	if err := p.k.grants.take(capsule.ID(req.ID)); err != nil {
		return done, err
	}
	return wire.CapsuleSwitched{ID: req.ID, State: "removed"}, p.k.loadCapsules(context.WithoutCancel(ctx))
}

// Enable implements op.Capsules.
func (p plugged) Enable(ctx context.Context, req wire.ByID) (wire.CapsuleSwitched, error) {
	return p.turn(ctx, req.ID, func() error {
		if err := p.k.listed.wake(capsule.ID(req.ID), true); err != nil {
			return err
		}
		_, err := p.k.switches.Delete(req.ID)
		return err
	})
}

// Disable implements op.Capsules.
func (p plugged) Disable(ctx context.Context, req wire.ByID) (wire.CapsuleSwitched, error) {
	return p.turn(ctx, req.ID, func() error {
		if err := p.k.listed.wake(capsule.ID(req.ID), false); err != nil {
			return err
		}
		return p.k.switches.Set(req.ID, []byte("off"))
	})
}

// turn switches a capsule and says what became of it.
func (p plugged) turn(ctx context.Context, id string, flip func() error) (done wire.CapsuleSwitched, err error) {
	if _, err := p.known(ctx, id); err != nil {
		return done, err
	}
	if err := flip(); err != nil {
		return done, err
	}
	if err := p.k.loadCapsules(context.WithoutCancel(ctx)); err != nil {
		return done, err
	}
	state, why := p.outcome(ctx, capsule.ID(id))
	return wire.CapsuleSwitched{ID: id, State: state, Why: why}, nil
}

func (p plugged) known(ctx context.Context, id string) (capsule.Status, error) {
	for _, s := range p.k.Capsules.List() {
		if string(s.Package.Name) == id {
			return s, nil
		}
	}
	return capsule.Status{}, p.absent(ctx, id)
}

// absent says that a capsule is not there, or not yet.
func (p plugged) absent(ctx context.Context, id string) error {
	for _, i := range p.waiting(ctx, nil) {
		if i.ID == id {
			return fault.New(fault.NotFound, "the capsule %s lies in a workspace, and nobody has agreed to it: astrid capsule trust %s", id, id)
		}
	}
	return fault.New(fault.NotFound, "there is no capsule %.64q; astrid capsule list lists those there are", id)
}
