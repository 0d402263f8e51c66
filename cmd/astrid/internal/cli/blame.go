package cli

import (
	"context"

	"github.com/spf13/cobra"

	"astrid/ctl/text"
	"astrid/kernel/wire"
)

const blameHelp = `Lists every changed path with the process that changed it last: its program, pid and
user, and when. It is unknown of what was written to a mapped file, and of what was
changed shortly before a view server was killed. astrid changes --json says the same,
and so does getfattr -n user.astrid.by of a path in the view.`

func (a *app) blameCommand() *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use:     "blame [PATH|GLOB…]",
		Short:   "List what has changed, and which process did it",
		Long:    blameHelp,
		Example: "  astrid blame\n  astrid blame 'src/**'",
		RunE: func(cmd *cobra.Command, args []string) error {
			sel.args = args
			return a.blame(cmd.Context(), sel)
		},
	}
	sel.flag(cmd)
	return cmd
}

func (a *app) blame(ctx context.Context, sel selection) error {
	s, paths, exclude, err := a.pickSelection(ctx, sel)
	if err != nil {
		return err
	}
	reply, err := a.callChanges(ctx, s, wire.ChangesRequest{Paths: paths, Exclude: exclude})
	if err != nil {
		return err
	}
	if a.json {
		return a.print(reply)
	}
	return a.say("%s", text.Blame(reply.Changes))
}
