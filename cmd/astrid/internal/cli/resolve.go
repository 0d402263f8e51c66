package cli

import (
	"context"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) conflictsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "conflicts [PATH|GLOB…]",
		Short: "List what in the workspace stands in the way of a commit",
		Long: `Lists the paths that the view has changed and that were changed in the workspace
too since. The exit code is 3 when there are any. Each has three versions: base, which
the view's change began with (kept of files up to 1 MiB), mine, the view's, and theirs,
the workspace's; the control files show them in conflicts/N/. astrid resolve ends them.`,
		Example: "  astrid conflicts\n  astrid resolve src/main.go --merge",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, paths, err := a.pickPaths(cmd.Context(), args)
			if err != nil {
				return err
			}
			list, err := a.callConflicts(cmd.Context(), s, paths)
			if err != nil {
				return err
			}
			if a.json {
				err = a.print(list)
			} else {
				err = view.Conflicts(a.Stdout, list, view.Style{Colour: a.coloured(a.Stdout)})
			}
			if err == nil && len(list) > 0 {
				return exit(fault.Conflict.Exit())
			}
			return err
		},
	}
}

func (a *app) callConflicts(ctx context.Context, s wire.Session, paths wire.Paths) (list []wire.ConflictInfo, err error) {
	err = a.kernel.Call(ctx, op.Conflicts, wire.For[wire.ConflictsRequest]{Session: s.Name, Request: wire.ConflictsRequest{Paths: paths}}, &list)
	return list, err
}

type resolveFlags struct {
	keep        string
	merge, edit bool
}

func (a *app) resolveCommand() *cobra.Command {
	var f resolveFlags
	cmd := &cobra.Command{
		Use:   "resolve PATH…",
		Short: "End conflicts: keep one side, or merge both",
		Long: `Ends conflicts with the workspace, so that a commit can go on. The workspace itself
is not changed by it.

  --keep mine     the view's version stays; a commit will replace the workspace's
  --keep theirs   the view's change is dropped (and kept for a day): the view shows
                  the workspace's version
  --merge         both changes, put together as git merges them, become the view's
                  version; where both changed the same lines nothing is done
  --edit          the same, with the places where both changed the same lines opened
                  in $VISUAL or $EDITOR`,
		Example: "  astrid resolve src/main.go --merge\n  astrid resolve go.sum --keep theirs",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.resolve(cmd.Context(), f, args) },
	}
	cmd.Flags().StringVar(&f.keep, "keep", "", "keep this `side`: mine or theirs")
	cmd.Flags().BoolVar(&f.merge, "merge", false, "merge both sides")
	cmd.Flags().BoolVar(&f.edit, "edit", false, "merge both sides, and edit where they meet")
	return cmd
}

func (a *app) resolve(ctx context.Context, f resolveFlags, args []string) error {
	merge := f.merge || f.edit
	if merge == (f.keep != "") {
		return fault.New(fault.Usage, "say one of --keep mine, --keep theirs, --merge and --edit")
	}
	s, paths, err := a.pickPaths(ctx, args)
	if err != nil {
		return err
	}
	if merge {
		return a.mergeAll(ctx, s, paths, f.edit)
	}
	reply, err := a.callResolve(ctx, s, wire.ResolveRequest{Paths: paths, Keep: f.keep})
	if err != nil {
		return err
	}
	if a.json {
		return a.print(reply)
	}
	return view.Resolved(a.Stdout, paths, f.keep, reply, view.Style{Colour: a.coloured(a.Stdout)})
}

func (a *app) callResolve(ctx context.Context, s wire.Session, req wire.ResolveRequest) (reply wire.DiscardReply, err error) {
	a.acting = true
	err = a.kernel.Call(ctx, op.Resolve, wire.For[wire.ResolveRequest]{Session: s.Name, Request: req}, &reply)
	return reply, err
}
