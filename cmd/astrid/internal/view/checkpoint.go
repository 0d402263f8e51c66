package view

import (
	"bufio"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"astrid/kernel/wire"
)

// Checkpointed writes where a new checkpoint can be looked at.
func Checkpointed(w io.Writer, c wire.Checkpoint) error {
	_, err := fmt.Fprintf(w, "checkpoint %s\n  look at it in %s\n  astrid rollback %s goes back to it\n", c.Name, plain(c.Path), c.Name)
	return err
}

// Checkpoints writes a table of them.
func Checkpoints(w io.Writer, list []wire.Checkpoint) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "there is no checkpoint; astrid checkpoint makes one")
		return err
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range list {
		about := plain(c.Note)
		if c.Auto != "" {
			about = "made by itself before a " + plain(c.Auto) + "; kept for a day"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\n", plain(c.Name), c.At.Local().Format(time.DateTime), about)
	}
	return out.Flush()
}

// RolledBack writes what a rollback did, of so many paths or, with 0, of all.
func RolledBack(w io.Writer, r wire.RollbackReply, paths int) error {
	out := bufio.NewWriter(w)
	what := "the view is"
	if paths > 0 {
		what = Count(paths) + " and what is below are"
	}
	fmt.Fprintf(out, "%s as at checkpoint %s\n  astrid rollback %s takes this back\n", what, plain(r.To), plain(r.Kept))
	return out.Flush()
}
