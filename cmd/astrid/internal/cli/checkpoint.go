package cli

import (
	"context"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const checkpointHelp = `Makes a checkpoint of the view as it is now. It costs next to nothing, however large
the workspace is and however much was changed, and whatever is committed later, it
goes on showing what the view showed: look at it in the directory that is printed, with
any program, and go back to it with astrid rollback.`

func (a *app) checkpointCommand() *cobra.Command {
	var req wire.CheckpointRequest
	cmd := &cobra.Command{
		Use:     "checkpoint [NAME]",
		Short:   "Remember the view as it is now",
		Long:    checkpointHelp,
		Example: "  astrid checkpoint\n  astrid checkpoint before-refactoring -m 'all tests pass'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				req.Name = args[0]
				if req.Name == "" {
					return fault.New(fault.Usage, "the name of a checkpoint is empty")
				}
			}
			return a.checkpoint(cmd.Context(), req)
		},
	}
	cmd.Flags().StringVarP(&req.Note, "message", "m", "", "a `note` that astrid checkpoints shows")
	return cmd
}

func (a *app) checkpoint(ctx context.Context, req wire.CheckpointRequest) error {
	s, err := a.pick(ctx)
	if err != nil {
		return err
	}
	var c wire.Checkpoint
	a.acting = true
	if err := a.kernel.Call(ctx, op.Checkpoint, wire.For[wire.CheckpointRequest]{Session: s.Name, Request: req}, &c); err != nil {
		return err
	}
	if a.json {
		return a.print(c)
	}
	return view.Checkpointed(a.Stdout, c)
}

func (a *app) checkpointsCommand() *cobra.Command {
	var drop bool
	cmd := &cobra.Command{
		Use:   "checkpoints",
		Short: "List the checkpoints of a view, or drop some",
		Long: `Lists the checkpoints of a view, the oldest first. Those named before-… were made by
themselves before something was dropped or rolled back, and are kept for a day. With
--drop the named ones are forgotten, and the space that only they need is free.`,
		Example: "  astrid checkpoints\n  astrid checkpoints --drop c1 c2",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case !drop && len(args) > 0:
				return fault.New(fault.Usage, "astrid checkpoints lists all of them; to forget %q say --drop %s", args[0], args[0])
			case drop && len(args) == 0:
				return fault.New(fault.Usage, "--drop needs the names of checkpoints; astrid checkpoints lists them")
			}
			return a.checkpoints(cmd.Context(), args)
		},
	}
	cmd.Flags().BoolVar(&drop, "drop", false, "forget the named checkpoints")
	return cmd
}

// checkpoints lists them, after those named have been dropped.
func (a *app) checkpoints(ctx context.Context, drop []string) error {
	s, err := a.pick(ctx)
	if err != nil {
		return err
	}
	var list []wire.Checkpoint
	if len(drop) > 0 {
		a.acting = true
		err = a.kernel.Call(ctx, op.DropPoint, wire.For[wire.DropRequest]{Session: s.Name, Request: wire.DropRequest{Names: drop}}, &list)
	} else {
		err = a.kernel.Call(ctx, op.Checkpoints, wire.For[wire.None]{Session: s.Name}, &list)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.print(list)
	}
	return view.Checkpoints(a.Stdout, list)
}

func (a *app) rollbackCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rollback CHECKPOINT [PATH…]",
		Short: "Make the view what it was at a checkpoint",
		Long: `Makes the view show again what it showed at a checkpoint; with PATH only that, and what
is below it. The workspace is not touched: what was committed since is not taken back
there (that is astrid undo), the view has the old state as changes. What the view shows
now is kept as a checkpoint first, so that a rollback can be rolled back.`,
		Example: "  astrid rollback c1\n  astrid rollback c1 src README.md",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rollback(cmd.Context(), args[0], args[1:])
		},
	}
}

func (a *app) restorePathsCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "restore PATH… --from base|CHECKPOINT",
		Short: "Make paths of the view what they are in the workspace, or were at a checkpoint",
		Long: `Makes paths of the view, and what is below them, what they are in the workspace (--from
base: their changes are dropped, as astrid discard does) or were at a checkpoint. What
the view shows now is kept as a checkpoint first.`,
		Example: "  astrid restore src/main.go --from base\n  astrid restore src --from c1",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch from {
			case "":
				return fault.New(fault.Usage, "say from where: --from base, or --from and the name of a checkpoint")
			case "base":
				return a.discard(cmd.Context(), selection{args: args}, true)
			}
			return a.rollback(cmd.Context(), from, args)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "base, or the name of a `checkpoint`")
	return cmd
}

func (a *app) rollback(ctx context.Context, to string, args []string) error {
	s, paths, err := a.pickPaths(ctx, args)
	if err != nil {
		return err
	}
	var r wire.RollbackReply
	a.acting = true
	req := wire.For[wire.RollbackRequest]{Session: s.Name, Request: wire.RollbackRequest{To: to, Paths: paths}}
	if err := a.kernel.Call(ctx, op.Rollback, req, &r); err != nil {
		return err
	}
	if a.json {
		return a.print(r)
	}
	return view.RolledBack(a.Stdout, r, len(paths))
}
