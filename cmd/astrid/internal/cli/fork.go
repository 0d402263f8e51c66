package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const forkHelp = `Makes a second view of the workspace that begins with what this one shows, or showed at
a checkpoint, and prints its path. From then on each goes its own way: what is done in
the one does not show in the other. Content is shared as long as neither changes it.

A fork is a session like any other, by the name SESSION.NAME: look at it with astrid
--session SESSION.NAME status, commit it, run programs in it. astrid merge brings what
was done in it to the view that it was made from. Of several forks the first that is
committed wins: what the others changed in the same places is a conflict for them, and
astrid rebase merges what can be merged.`

func (a *app) forkCommand() *cobra.Command {
	var req wire.ForkRequest
	cmd := &cobra.Command{
		Use:     "fork NAME",
		Short:   "Make a second view that begins with what this one shows",
		Long:    forkHelp,
		Example: "  cd \"$(astrid fork try1)\"\n  astrid fork try2 --from c1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Name = args[0]
			return a.fork(cmd.Context(), req)
		},
	}
	cmd.Flags().StringVar(&req.From, "from", "", "begin with this `checkpoint`")
	return cmd
}

func (a *app) fork(ctx context.Context, req wire.ForkRequest) error {
	s, err := a.pick(ctx)
	if err != nil {
		return err
	}
	var made wire.Session
	a.acting = true
	if err := a.kernel.Call(ctx, op.Fork, wire.For[wire.ForkRequest]{Session: s.Name, Request: req}, &made); err != nil {
		return err
	}
	if a.json {
		return a.print(made)
	}
	fmt.Fprintf(a.Stdout, "%s\n", made.Workspace)
	view.Forked(a.Stderr, made)
	return nil
}
