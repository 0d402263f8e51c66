package view

import (
	"bufio"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"astrid/ctl/text"
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

// Rebased writes what a rebase did: the paths that were merged, and those that remain.
func Rebased(w io.Writer, merged []string, left []wire.ConflictInfo, kept string, s Style) error {
	out := bufio.NewWriter(w)
	if len(merged)+len(left) == 0 {
		fmt.Fprintln(out, "nothing that the view has changed was changed in the workspace")
		return out.Flush()
	}
	for _, p := range merged {
		fmt.Fprintf(out, "merged %s\n", text.Quote(p))
	}
	for i := range left {
		fmt.Fprintf(out, "%s %s: %s\n", s.paint(red, "conflict"), text.Quote(left[i].Name()), plain(left[i].Why))
	}
	if len(left) > 0 {
		fmt.Fprintln(out, "  astrid resolve PATH --edit opens both sides, --keep mine|theirs keeps one")
	}
	if len(merged) > 0 {
		fmt.Fprintf(out, "  astrid rollback %s takes this back\n", plain(kept))
	}
	return out.Flush()
}

// MergedFork writes what a merge of a fork did.
func MergedFork(w io.Writer, r wire.CommitReply, kept string, s Style) error {
	out := bufio.NewWriter(w)
	switch {
	case len(r.Conflicts) > 0:
		fmt.Fprintf(out, "%s: both views changed the same; nothing was done\n", s.paint(red, "conflict"))
		for i := range r.Conflicts {
			fmt.Fprintf(out, "  %s  %s\n", text.Quote(r.Conflicts[i].Name()), plain(r.Conflicts[i].Why))
		}
	case len(r.Applied) == 0:
		fmt.Fprintln(out, "the fork has changed nothing since it began")
	case kept == "":
		fmt.Fprintln(out, "the view has all that the fork has changed already")
	default:
		fmt.Fprintf(out, "merged %s: %s\n", Count(len(r.Applied)), counts(tally(r.Applied)))
		head(out, r.Applied, s)
		fmt.Fprintf(out, "  astrid rollback %s takes this back\n", plain(kept))
	}
	return out.Flush()
}
