package cli

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"astrid/kernel/fault"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages",
		Long:   "Writes one manual page a verb to an existing directory, from the same words that --help prints.",
		Args:   exactly("DIR"),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if st, err := os.Stat(args[0]); err != nil || !st.IsDir() {
				return fault.New(fault.Usage, "%s is no directory", args[0])
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			date := time.Unix(0, 0).UTC() // the same pages from the same source
			err := doc.GenManTree(root, &doc.GenManHeader{Title: "ASTRID", Section: "1", Source: "Astrid", Manual: "Astrid", Date: &date}, args[0])
			if err != nil {
				return fault.Wrap(fault.KindOf(err), err, "write the manual pages")
			}
			return nil
		},
	}
}
