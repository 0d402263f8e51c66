package cli

import "github.com/spf13/cobra"

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
			if a.json {
				return a.print(s)
			}
			return a.say("%s\n", s.Workspace)
		},
	}
}
