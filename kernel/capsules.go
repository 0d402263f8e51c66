package kernel

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/router"
	"astrid/kernel/wire"
)

// plugged are the capsules as the operation table sees them.
type plugged struct{ k *Kernel }

var _ op.Capsules = plugged{}

// IDs implements op.Capsules.
func (p plugged) IDs(context.Context, wire.None) ([]string, error) {
	ids := []string{}
	for _, s := range p.k.Capsules.List() {
		if s.State == capsule.Untrusted {
			continue
		}
		ids = append(ids, string(s.Package.Name))
	}
	return ids, nil
}

// Commands implements op.Capsules.
func (p plugged) Commands(context.Context, wire.None) ([]wire.Command, error) {
	list := []wire.Command{}
	for _, s := range p.k.ready() {
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
	for _, s := range p.k.ready() {
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
func (p plugged) Infos(ctx context.Context, _ wire.None) ([]wire.CapsuleInfo, error) {
	list, known := []wire.CapsuleInfo{}, p.k.bases(ctx, "")
	for _, s := range p.k.Capsules.List() {
		i := info(s)
		if have, there, err := p.k.grants.of(s.Package.Name); err == nil && there {
			i.Granted, i.GrantedBy = have.At, p.k.nameOf(have.Principal)
		}
		if who, err := p.k.publishers.of(s.Package.Name); err == nil {
			i.Publisher = string(who)
		}
		if slices.Contains(known, s.Workspace) {
			i.Workspace = s.Workspace
		}
		list = append(list, i)
	}
	for _, problem := range p.k.Capsules.Problems() {
		if problem.Dir == "" || strings.HasPrefix(filepath.Base(problem.Dir), ".") {
			continue
		}
		broken := info(capsule.Status{State: capsule.Failed, Why: problem.Text})
		broken.ID, broken.Dir = filepath.Base(problem.Dir), problem.Dir
		list = append(list, broken)
	}
	return p.waiting(ctx, list), nil
}

// nameOf is what people call a user.
func (k *Kernel) nameOf(user string) string {
	if u, err := k.Identity.Find(user); err == nil && u.Name != "" {
		return u.Name
	}
	return user
}

// info is a capsule as people see it.
func info(s capsule.Status) wire.CapsuleInfo {
	i := wire.CapsuleInfo{
		ID: string(s.Package.Name), Version: s.Package.Version, Description: s.Package.Description, State: string(s.State), Why: s.Why,
		Since: s.Since.UTC(), Restarts: s.Restarts, Source: s.Source, Dir: s.Dir,
		Tools: []string{}, Commands: []string{}, Interceptors: []string{}, Crons: []string{}, Asks: s.Asks(),
	}
	if s.Listed != nil {
		i.Dir = s.Listed.File
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

// Call implements op.Capsules: by the bus, as agents do it, so that interceptors
// have their say.
func (p plugged) Call(ctx context.Context, req wire.CallTool) (result wire.ToolResult, err error) {
	if req.Arguments == nil {
		req.Arguments = wire.Raw("{}")
	}
	if req.Timeout < 0 {
		return result, fault.New(fault.Usage, "a tool cannot take %v seconds", req.Timeout)
	}
	limited, cancel := ctx, func() {}
	limit := router.LongestCall
	if most := limit.Seconds(); req.Timeout > 0 && req.Timeout < most {
		limit = time.Duration(req.Timeout * float64(time.Second))
		limited, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	about := bus.Message{Source: p.k.source, Session: req.Session, Principal: op.CallerOf(ctx).User}
	result, err = p.k.Router.Call(limited, about, req.Tool, req.Arguments)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fault.New(fault.Unavailable, "the tool %.64q has not answered within %v and was told to end: what it had done by then is done", req.Tool, limit)
	}
	return result, err
}
