package cli

import (
	"github.com/spf13/cobra"

	"astrid/kernel/fault"
)

func (a *app) pathCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "path",
		Short:   "Print where the view is mounted",
		Long:    "Prints the directory in which the view of a session is mounted, for use in other commands.",
		Example: "  cd \"$(astrid path)\"\n  diff -ru ~/src/site \"$(astrid path --session site)\"",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.pick(cmd.Context())
			if err != nil {
				return err
			}
			if s.State == "stopped" || s.State == "failed" {
				// What is written to the bare mount point would be lost from sight.
				return fault.New(fault.NotRunning, "session %s is %s and has no view now; run astrid up %s", s.Name, s.State, shellWord(s.Base))
			}
			if a.json {
				return a.print(s)
			}
			return a.say("%s\n", s.Workspace)
		},
	}
}
