package kernel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"astrid/kernel/approve"
	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// Installing a capsule, and agreeing to one that is there.

// errLook ends an installation that was only to be looked at.
var errLook = errors.New("nothing was installed")

// consent is a question whether a capsule may be loaded.
type consent struct {
	p        plugged
	verb     string // install or trust
	yes, dry bool
	only     string // the source id that was agreed to; empty: whatever there is
	rest     grant  // what else is granted
	anybody  bool   // may have signed it, or nobody
	done     *wire.Installation
}

// Install implements op.Capsules.
func (p plugged) Install(ctx context.Context, req wire.InstallCapsule) (done wire.Installation, err error) {
	if req.Workspace {
		return done, fault.New(fault.Unsupported, "a capsule is installed for the kernel: one of a workspace lies in its .astrid/capsules, and is trusted there")
	}
	p.k.installing.Lock()
	defer p.k.installing.Unlock()
	c := consent{p: p, verb: "install", yes: req.Yes, dry: req.DryRun, only: req.If, anybody: req.NewPublisher, done: &done}
	if req.Link {
		if st, err := os.Stat(req.Source); err != nil || !st.IsDir() {
			return done, fault.New(fault.Usage, "a capsule is linked to the directory that its author works in, and %.256q is none", req.Source)
		}
		c.rest.Link = filepath.Clean(req.Source)
	}
	found, err := p.installer(c.ask).Install(ctx, req.Source)
	if err != nil {
		return c.refused(err)
	}
	return c.load(ctx, found)
}

func (p plugged) installer(agree func(context.Context, capsule.Installation) error) capsule.Installer {
	return capsule.Installer{Root: p.k.Home.Capsules(), Now: time.Now, Agree: agree, Prepare: p.runHook, Granted: func(id capsule.ID) capsule.Rights {
		have, _, err := p.k.grants.of(id)
		if err != nil {
			p.k.config.Log.Warn("what was granted to a capsule is asked for again", "capsule", id, "err", err)
		}
		return have.Rights
	}}
}

// Trust implements op.Capsules.
func (p plugged) Trust(ctx context.Context, req wire.TrustCapsule) (done wire.Installation, err error) {
	p.k.installing.Lock()
	defer p.k.installing.Unlock()
	there, err := p.known(ctx, req.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return done, err
	}
	have, _, err := p.k.grants.of(capsule.ID(req.ID))
	if err != nil {
		return done, err
	}
	c := consent{p: p, verb: "trust", yes: req.Yes, dry: req.DryRun, only: req.If, done: &done}
	if there.Listed != nil {
		return done, fault.New(fault.Usage, "the server %s stands in %s, which is your word: nobody else is asked", req.ID, there.Listed.File)
	}
	if there.Dir == "" || have.Origin.Dir != "" {
		return p.adopt(ctx, req, c)
	}
	in, err := p.installer(nil).Compare(there.Dir)
	if err == nil {
		in.Old, in.Change = nil, ""
		err = c.ask(ctx, in)
	}
	if err != nil {
		return c.refused(err)
	}
	return c.load(ctx, in.New)
}

// adopt copies a capsule of a workspace, if somebody agrees to it.
func (p plugged) adopt(ctx context.Context, req wire.TrustCapsule, c consent) (wire.Installation, error) {
	o, err := p.offer(ctx, req)
	if err != nil {
		return *c.done, err
	}
	sum, err := capsule.SourceOf(o.Dir, o.Package.Name)
	if err != nil {
		return *c.done, err
	}
	c.rest.Origin = origin{o.base, o.Dir, sum}
	f, err := p.installer(func(ctx context.Context, in capsule.Installation) error {
		if string(in.New.Package.Name) != req.ID {
			return fault.New(fault.Conflict, "the files of the capsule %s are changing: look again", req.ID)
		}
		return c.ask(ctx, in)
	}).Install(ctx, o.Dir)
	if err != nil {
		return c.refused(err)
	}
	return c.load(ctx, f)
}

// ask tells what a capsule is, and asks whether it may be loaded if it must.
func (c consent) ask(ctx context.Context, in capsule.Installation) error {
	*c.done = wire.Installation{
		ID: string(in.New.Package.Name), Version: in.New.Package.Version, Source: in.New.Source,
		Change: string(in.Change), Asks: in.Asks, Drops: in.Drops, Notes: in.New.Warnings,
	}
	if in.Old != nil { // what is there already
		c.done.Old = in.Old.Package.Version
	}
	known, err := c.p.k.publishers.of(in.New.Package.Name)
	if err != nil {
		return err
	}
	c.done.Publisher, c.done.Known = string(in.Publisher), string(known)
	if !c.anybody {
		err = c.p.k.publishers.permit(in)
	}
	if err == nil {
		err = c.p.clash(in.New)
	}
	if err != nil {
		return err
	}
	switch {
	case c.dry:
		return errLook
	case c.only != "" && c.only != in.New.Source:
		return fault.New(fault.Conflict, "the files of the capsule %s have changed since you looked: look again", c.done.ID)
	case c.yes, len(in.Asks) == 0 && c.verb == "install" && !c.anybody:
		return nil
	}
	a, err := c.p.k.Approvals.Ask(ctx, approve.Request{
		Action: c.verb + " the capsule " + c.done.ID + " " + c.done.Version, Resource: strings.Join(append(slices.Clone(in.Asks), signedBy(in.Publisher)), "; "), Risk: "high", Principal: op.CallerOf(ctx).User,
	}, 0)
	if err == nil && !a.Approved {
		err = fault.New(fault.Denied, "the capsule %s was not approved, and nothing has changed", c.done.ID)
	}
	return err
}

// signedBy says whose capsule it is.
func signedBy(who capsule.Publisher) string {
	if who == "" {
		return "not signed"
	}
	return "signed by " + string(who)
}

// refused is what is answered when nobody agreed, or nobody was to.
func (c consent) refused(err error) (wire.Installation, error) {
	if errors.Is(err, errLook) {
		return *c.done, nil
	}
	return *c.done, err
}

// load grants a capsule what was agreed to, and loads it.
func (c consent) load(ctx context.Context, f capsule.Found) (wire.Installation, error) {
	c.rest.Principal = op.CallerOf(ctx).User
	if err := c.p.k.publishers.know(f.Package.Name, capsule.Publisher(c.done.Publisher)); err != nil {
		return *c.done, err
	}
	if err := c.p.k.grants.give(f, c.rest); err != nil {
		return *c.done, err
	}
	err := c.p.k.loadCapsules(context.WithoutCancel(ctx))
	c.done.State, c.done.Why = c.p.outcome(ctx, f.Package.Name)
	return *c.done, err
}

// patience is how long an installation waits for servers to tell their tools.
const patience = 15 * time.Second

// outcome is what became of a capsule that was just loaded.
func (p plugged) outcome(ctx context.Context, id capsule.ID) (state, why string) {
	for _, s := range p.k.Capsules.List() {
		if s.Package.Name == id {
			state, why = string(s.State), s.Why
		}
	}
	var loaded *unit
	p.k.Capsules.Each(func(s capsule.Status, u capsule.Unit) bool {
		if s.Package.Name == id {
			loaded, _ = u.(*unit)
		}
		return loaded == nil
	})
	if loaded == nil || loaded.servers == nil {
		return state, why
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-loaded.ready:
		if err := loaded.Alive(); err != nil {
			return string(capsule.Failed), err.Error()
		}
	case <-ctx.Done():
	}
	return state, why
}

// clash refuses a capsule that names a tool which another one serves: calls of it
// would reach one of the two.
func (p plugged) clash(f capsule.Found) error {
	for _, s := range p.k.Capsules.List() {
		if s.Package.Name == f.Package.Name || s.State == capsule.Untrusted {
			continue
		}
		for _, t := range s.Tools {
			if slices.ContainsFunc(f.Tools, func(own capsule.Tool) bool { return own.Name == t.Name }) {
				return fault.New(fault.Exists, "the capsule %s serves a tool %q already: remove that capsule, or give the tool another name", s.Package.Name, t.Name)
			}
		}
	}
	return nil
}
