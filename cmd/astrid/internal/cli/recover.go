package cli

import (
	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) recoverCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "recover",
		Short: "Finish or take back a commit that was interrupted",
		Long: `Finishes a commit that was interrupted, or takes it back. This happens by itself
when a view is brought up; the verb is for a commit that status calls pending,
after what stood in its way has been put right.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.pick(cmd.Context())
			if err != nil {
				return err
			}
			var reply wire.RecoverReply
			a.acting = true
			if err := a.kernel.Call(cmd.Context(), op.Recover, wire.For[wire.None]{Session: s.Name}, &reply); err != nil {
				return err
			}
			if a.json {
				err = a.print(reply)
			} else {
				err = view.Recovered(a.Stdout, reply)
			}
			if err == nil && len(reply.Left) > 0 {
				return exit(1)
			}
			return err
		},
	}
}
