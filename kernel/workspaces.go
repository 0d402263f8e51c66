package kernel

import (
	"context"
	"path/filepath"
	"slices"

	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// Capsules of workspaces: what lies in .astrid/capsules of one is looked at, and
// copied and loaded when somebody agrees to it. It serves the sessions of its
// workspace alone, as long as the workspace has the same bytes.

// origin is where a capsule of a workspace comes from.
type origin struct {
	Base string // the workspace
	Dir  string // the capsule in it
	Sum  string // capsule.SourceOf of that directory
}

// offered is a capsule that a workspace brings.
type offered struct {
	capsule.Found
	base string
}

// bases are the workspaces of the sessions that a caller may know of.
func (k *Kernel) bases(ctx context.Context, session string) (bases []string) {
	list, err := k.Sessions.List(ctx)
	if err != nil {
		return nil
	}
	for _, s := range list {
		if (session == "" || s.Name == session) && s.Base != "" && !slices.Contains(bases, s.Base) && k.Ops.Sees(op.CallerOf(ctx), s.Name) {
			bases = append(bases, s.Base)
		}
	}
	return bases
}

// offers are the capsules of these workspaces; their content is not read.
func offers(bases []string) (all []offered) {
	for _, base := range bases {
		for _, f := range capsule.Peek(filepath.Join(base, ".astrid", "capsules")) {
			all = append(all, offered{f, base})
		}
	}
	return all
}

// waiting lists the capsules of workspaces that nobody has agreed to. Of two of
// one id that which is installed counts, and then the first.
func (p plugged) waiting(ctx context.Context, installed []wire.CapsuleInfo) []wire.CapsuleInfo {
	list := installed
	for _, o := range offers(p.k.bases(ctx, "")) {
		if slices.ContainsFunc(list, func(i wire.CapsuleInfo) bool { return i.ID == string(o.Package.Name) }) {
			continue
		}
		i := info(capsule.Status{Found: o.Found, State: capsule.Untrusted})
		i.Workspace, i.Why = o.base, "it comes with a workspace, and nobody has agreed to it: astrid capsule trust "+i.ID
		list = append(list, i)
	}
	return list
}

// offer finds the one capsule of an id that a workspace of these sessions brings.
func (p plugged) offer(ctx context.Context, req wire.TrustCapsule) (found offered, err error) {
	for _, o := range offers(p.k.bases(ctx, req.Session)) {
		switch {
		case string(o.Package.Name) != req.ID:
		case found.Dir != "":
			return found, fault.New(fault.Usage, "several workspaces bring a capsule %s: say --session NAME", req.ID)
		default:
			found = o
		}
	}
	if found.Dir == "" {
		return found, fault.New(fault.NotFound, "there is no capsule %.64q; astrid capsule list lists those there are", req.ID)
	}
	return found, nil
}

// same says whether a workspace still has the bytes that somebody agreed to.
func (o origin) same(id capsule.ID) error {
	sum, err := capsule.SourceOf(o.Dir, id)
	if err != nil {
		return fault.Wrap(fault.Denied, err, "the workspace that it comes with cannot be read")
	}
	if sum != o.Sum {
		return fault.New(fault.Denied, "its files in the workspace are not those that were agreed to: astrid capsule trust %s agrees to them as they are", id)
	}
	return nil
}

// concerns implements router.Config.Concerns: a capsule of a workspace has to do
// with the sessions of that workspace.
func (k *Kernel) concerns(s capsule.Status, session string) bool {
	return s.Workspace == "" || session != "" && k.baseOf(session) == s.Workspace
}

// origins are the directories in workspaces that capsules come from.
func (k *Kernel) origins() (dirs []string) {
	for _, s := range k.Capsules.List() {
		if have, _, err := k.grants.of(s.Package.Name); err == nil && have.Origin.Dir != "" {
			dirs = append(dirs, have.Origin.Dir)
		}
	}
	return dirs
}
