package kernel

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"astrid/kernel/approve"
	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// plugged are the capsules as the operation table sees them.
type plugged struct{ k *Kernel }

var _ op.Capsules = plugged{}

// IDs implements op.Capsules.
func (p plugged) IDs(context.Context, wire.None) ([]string, error) {
	ids := []string{}
	for _, s := range p.k.Capsules.List() {
		ids = append(ids, string(s.Package.Name))
	}
	return ids, nil
}

// Commands implements op.Capsules.
func (p plugged) Commands(context.Context, wire.None) ([]wire.Command, error) {
	list := []wire.Command{}
	for _, s := range p.k.Capsules.List() {
		for _, c := range s.Commands {
			if c.Description == "" {
				c.Description = "No description"
			}
			list = append(list, wire.Command{Name: c.Name, Description: c.Description, ProviderCapsule: string(s.Package.Name)})
		}
	}
	return list, nil
}

// Metadata implements op.Capsules.
func (p plugged) Metadata(context.Context, wire.None) ([]wire.CapsuleMetadata, error) {
	list := []wire.CapsuleMetadata{}
	for _, s := range p.k.Capsules.List() {
		m := wire.CapsuleMetadata{Name: string(s.Package.Name), LLMProviders: []wire.LLMProvider{}, InterceptorEvents: []string{}}
		for _, l := range s.LLMProviders {
			m.LLMProviders = append(m.LLMProviders, wire.LLMProvider{ID: l.ID, Description: l.Description, Capabilities: append([]string{}, l.Capabilities...)})
		}
		for _, i := range s.Interceptors {
			m.InterceptorEvents = append(m.InterceptorEvents, i.Event)
		}
		list = append(list, m)
	}
	return list, nil
}

// Infos implements op.Capsules.
func (p plugged) Infos(context.Context, wire.None) ([]wire.CapsuleInfo, error) {
	list := []wire.CapsuleInfo{}
	for _, s := range p.k.Capsules.List() {
		list = append(list, info(s))
	}
	for _, problem := range p.k.Capsules.Problems() {
		if problem.Dir == "" || strings.HasPrefix(filepath.Base(problem.Dir), ".") {
			continue
		}
		broken := info(capsule.Status{State: capsule.Failed, Why: problem.Text})
		broken.ID, broken.Dir = filepath.Base(problem.Dir), problem.Dir
		list = append(list, broken)
	}
	return list, nil
}

// info is a capsule as people see it.
func info(s capsule.Status) wire.CapsuleInfo {
	i := wire.CapsuleInfo{
		ID: string(s.Package.Name), Version: s.Package.Version, Description: s.Package.Description, State: string(s.State), Why: s.Why,
		Since: s.Since.UTC(), Restarts: s.Restarts, Source: s.Source, Dir: s.Dir,
		Tools: []string{}, Commands: []string{}, Interceptors: []string{}, Crons: []string{}, Asks: s.Asks(),
	}
	for _, t := range s.Tools {
		i.Tools = append(i.Tools, t.Name)
	}
	for _, c := range s.Commands {
		i.Commands = append(i.Commands, c.Name)
	}
	for _, in := range s.Interceptors {
		i.Interceptors = append(i.Interceptors, in.Event+" → "+in.Action)
	}
	for _, c := range s.Crons {
		i.Crons = append(i.Crons, c.Schedule+" → "+c.Action)
	}
	return i
}

// Reload implements op.Capsules.
func (p plugged) Reload(ctx context.Context, _ wire.None) (wire.Reloaded, error) {
	return wire.Reloaded{Status: "reloaded"}, p.k.loadCapsules(context.WithoutCancel(ctx))
}

// errLook ends an installation that was only to be looked at.
var errLook = errors.New("nothing was installed")

// Install implements op.Capsules.
func (p plugged) Install(ctx context.Context, req wire.InstallCapsule) (done wire.Installation, err error) {
	if req.Workspace {
		return done, fault.New(fault.Unsupported, "capsules of a workspace are not loaded: install it for the kernel")
	}
	p.k.installing.Lock()
	defer p.k.installing.Unlock()
	found, err := p.installer(req, &done).Install(ctx, req.Source)
	switch {
	case errors.Is(err, errLook):
		return done, nil
	case err != nil:
		return done, err
	}
	err = p.k.loadCapsules(context.WithoutCancel(ctx))
	done.State, done.Why = p.outcome(ctx, found.Package.Name)
	return done, err
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

// installer tells done what it is about to install, and asks if it must.
func (p plugged) installer(req wire.InstallCapsule, done *wire.Installation) capsule.Installer {
	return capsule.Installer{Root: p.k.Home.Capsules(), Now: time.Now, Agree: func(ctx context.Context, in capsule.Installation) error {
		*done = wire.Installation{ID: string(in.New.Package.Name), Version: in.New.Package.Version, Asks: in.Asks}
		if in.Old != nil {
			done.Old = in.Old.Package.Version
		}
		if err := p.clash(in.New); err != nil {
			return err
		}
		switch {
		case req.DryRun:
			return errLook
		case req.Yes, len(in.Asks) == 0:
			return nil
		}
		a, err := p.k.Approvals.Ask(ctx, approve.Request{
			Action: "install the capsule " + done.ID + " " + done.Version, Resource: strings.Join(in.Asks, "; "), Risk: "high", Principal: op.CallerOf(ctx).User,
		}, 0)
		if err == nil && !a.Approved {
			err = fault.New(fault.Denied, "the capsule %s was not approved, and is not installed", done.ID)
		}
		return err
	}}
}

// clash refuses a capsule that names a tool which another one serves: calls of it
// would reach one of the two.
func (p plugged) clash(f capsule.Found) error {
	for _, s := range p.k.Capsules.List() {
		if s.Package.Name == f.Package.Name {
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

// Remove implements op.Capsules.
func (p plugged) Remove(ctx context.Context, req wire.ByID) (none wire.None, err error) {
	p.k.installing.Lock()
	defer p.k.installing.Unlock()
	i := capsule.Installer{Root: p.k.Home.Capsules()}
	if err := i.Remove(capsule.ID(req.ID)); err != nil {
		return none, err
	}
	return none, p.k.loadCapsules(context.WithoutCancel(ctx))
}

// Enable implements op.Capsules.
func (p plugged) Enable(ctx context.Context, req wire.ByID) (none wire.None, err error) {
	if err := p.known(req.ID); err != nil {
		return none, err
	}
	if _, err := p.k.switches.Delete(req.ID); err != nil {
		return none, err
	}
	return none, p.k.loadCapsules(context.WithoutCancel(ctx))
}

// Disable implements op.Capsules.
func (p plugged) Disable(ctx context.Context, req wire.ByID) (none wire.None, err error) {
	if err := p.known(req.ID); err != nil {
		return none, err
	}
	if err := p.k.switches.Set(req.ID, []byte("off")); err != nil {
		return none, err
	}
	return none, p.k.loadCapsules(context.WithoutCancel(ctx))
}

func (p plugged) known(id string) error {
	if slices.ContainsFunc(p.k.Capsules.List(), func(s capsule.Status) bool { return string(s.Package.Name) == id }) {
		return nil
	}
	return fault.New(fault.NotFound, "there is no capsule %.64q; astrid capsule list lists those there are", id)
}

// Call implements op.Capsules: by the bus, as agents do it, so that interceptors
// have their say.
func (p plugged) Call(ctx context.Context, req wire.CallTool) (result wire.ToolResult, err error) {
	if req.Arguments == nil {
		req.Arguments = wire.Raw("{}")
	}
	about := bus.Message{Source: p.k.source, Session: req.Session, Principal: op.CallerOf(ctx).User}
	return p.k.Router.Call(ctx, about, req.Tool, req.Arguments)
}
