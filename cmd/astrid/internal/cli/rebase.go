package cli

import (
	"context"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

const rebaseHelp = `Brings a view onto the workspace as it is now. What the view has not changed shows the
workspace of now by itself; of what both have changed, rebase merges all files in which
they changed different lines, as git merges them. Where they changed the same lines, or
what cannot be merged, the view keeps its version and the path is named: astrid resolve
ends it, and the exit code is 3 as long as there are such. A checkpoint is made first.`

func (a *app) rebaseCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rebase",
		Short:   "Merge what was changed in the workspace meanwhile into the view",
		Long:    rebaseHelp,
		Example: "  astrid rebase\n  astrid rebase --session site.try2",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.rebase(cmd.Context()) },
	}
}

// rebased is what a rebase did.
type rebased struct {
	Merged    wire.Paths          `json:"merged"`
	Conflicts []wire.ConflictInfo `json:"conflicts"`
	Kept      string              `json:"kept,omitempty"` // the checkpoint of the view before
}

func (a *app) rebase(ctx context.Context) error {
	s, err := a.pick(ctx)
	if err != nil {
		return err
	}
	list, err := a.callConflicts(ctx, s, nil)
	if err != nil {
		return err
	}
	done := rebased{Merged: wire.Paths{}, Conflicts: []wire.ConflictInfo{}}
	if len(list) > 0 {
		if done.Kept, err = a.keepView(ctx, s, "rebase"); err != nil {
			return err
		}
	}
	for _, c := range list {
		switch err := a.mergeOne(ctx, s, c.Name(), c, false); {
		case err == nil:
			done.Merged = append(done.Merged, c.Name())
		case fault.Is(err, fault.Conflict):
			done.Conflicts = append(done.Conflicts, c)
		default:
			return err
		}
	}
	if a.json {
		err = a.print(done)
	} else {
		err = view.Rebased(a.Stdout, done.Merged, done.Conflicts, done.Kept, view.Style{Colour: a.coloured(a.Stdout)})
	}
	if err == nil && len(done.Conflicts) > 0 {
		return exit(fault.Conflict.Exit())
	}
	return err
}
