package kernel

import (
	"context"
	"errors"
	"strings"

	"astrid/kernel/audit"
	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/op"
)

// A linked capsule is one that its author works on: it is installed again when
// the directory that it came from changes, as long as it asks for nothing more
// than was granted.

// links are the directories that capsules are linked to.
func (k *Kernel) links() (dirs []string) {
	for _, s := range k.Capsules.List() {
		if have, _, err := k.grants.of(s.Package.Name); err == nil && have.Link != "" {
			dirs = append(dirs, have.Link)
		}
	}
	return dirs
}

// refreshLinks installs the linked capsules that have changed, and returns what
// keeps others from it, a sentence each.
//
// Preconditions: Kernel.installing is held.
func (p plugged) refreshLinks(ctx context.Context) []string {
	problems := []string{}
	for _, s := range p.k.Capsules.List() {
		have, _, err := p.k.grants.of(s.Package.Name)
		if err == nil && have.Link != "" {
			err = p.refresh(ctx, s.Package.Name, have)
		}
		if err != nil {
			problems = append(problems, "the capsule "+string(s.Package.Name)+" stays as it was: "+err.Error())
		}
	}
	return problems
}

func (p plugged) refresh(ctx context.Context, id capsule.ID, have grant) error {
	f, err := p.installer(func(_ context.Context, in capsule.Installation) error {
		switch {
		case in.New.Source == have.Source:
			return errLook
		case in.New.Package.Name != id:
			return fault.New(fault.Usage, "what it is linked to is the capsule %s now", in.New.Package.Name)
		case len(in.Asks) > 0:
			return fault.New(fault.Denied, "what it is linked to asks for more (%s): astrid capsule install %s --link", strings.Join(in.Asks, "; "), have.Link)
		}
		if err := p.k.publishers.permit(in); err != nil {
			return err
		}
		return p.clash(in.New)
	}).Install(ctx, have.Link)
	if errors.Is(err, errLook) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.k.grants.give(f, have); err != nil {
		return err
	}
	return p.k.Audit.Append(context.WithoutCancel(ctx), audit.Record{
		Principal: have.Principal, Action: audit.Action{Type: audit.Op, Fields: audit.Fields{"method": op.InstallCapsule, "subject": have.Link}},
		Authorization: audit.Authorization{Type: audit.System, Fields: audit.Fields{"reason": "a linked capsule has changed"}}, Outcome: audit.Outcome{Success: true},
	})
}
