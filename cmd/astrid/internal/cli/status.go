package cli

import (
	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say what a session is and what has changed in it",
		Long: `Says where the view and its workspace are, how many paths have changed, what
stands in the way of a commit, and the digest of the change set, which
astrid commit --if compares.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.pick(cmd.Context())
			if err != nil {
				return err
			}
			var st wire.Status
			if err := a.kernel.Call(cmd.Context(), op.Status, wire.For[wire.None]{Session: s.Name}, &st); err != nil {
				return err
			}
			if a.json {
				return a.print(st)
			}
			return view.Status(a.Stdout, st, view.Style{Colour: a.coloured(a.Stdout)})
		},
	}
}
