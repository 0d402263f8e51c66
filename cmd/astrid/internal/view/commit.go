package view

import (
	"bufio"
	"fmt"
	"io"

	"astrid/ctl/text"
	"astrid/kernel/wire"
)

// Commit writes what a commit did, or with DryRun would do.
func Commit(w io.Writer, r wire.CommitReply, s Style) error {
	out := bufio.NewWriter(w)
	switch {
	case len(r.Conflicts) > 0:
		fmt.Fprintf(out, "%s: the workspace was changed in the same place; nothing was applied\n", s.paint(red, "conflict"))
		for i := range r.Conflicts {
			fmt.Fprintf(out, "  %s  %s\n", text.Quote(r.Conflicts[i].Name()), plain(r.Conflicts[i].Why))
		}
	case len(r.Applied) == 0:
		fmt.Fprintln(out, "there is nothing to commit")
	case r.DryRun:
		fmt.Fprintf(out, "a commit would apply %s: %s\n", Count(len(r.Applied)), counts(tally(r.Applied)))
		head(out, r.Applied, s)
	default:
		fmt.Fprintf(out, "commit %d applied %s: %s\n", r.Number, Count(len(r.Applied)), counts(tally(r.Applied)))
		head(out, r.Applied, s)
	}
	list(out, "held back, because they are protected or named in .astridignore; name them to commit them", r.Held, s)
	if n := len(r.Skipped); n > 0 {
		fmt.Fprintf(out, "left out: %s that git ignores or --exclude names\n", Count(n))
	}
	for _, note := range r.Outside {
		fmt.Fprintf(out, "note: %s\n", plain(note))
	}
	return out.Flush()
}

func list(out io.Writer, title string, changes []wire.Change, s Style) {
	if len(changes) == 0 {
		return
	}
	fmt.Fprintf(out, "%s:\n", title)
	head(out, changes, s)
}

// Discarded writes what a discard dropped.
func Discarded(w io.Writer, r wire.DiscardReply, s Style) error {
	out := bufio.NewWriter(w)
	if len(r.Dropped) == 0 {
		fmt.Fprintln(out, "there was nothing to discard")
		return out.Flush()
	}
	fmt.Fprintf(out, "dropped %s\n", Count(len(r.Dropped)))
	head(out, r.Dropped, s)
	if r.Kept != "" {
		fmt.Fprintf(out, "  astrid rollback %s brings that back, for a day\n", plain(r.Kept))
	}
	return out.Flush()
}

// Recovered writes what a recovery found and did.
func Recovered(w io.Writer, r wire.RecoverReply) error {
	out := bufio.NewWriter(w)
	if len(r.Actions) == 0 && len(r.Left) == 0 {
		fmt.Fprintln(out, "there was nothing to recover")
	}
	for _, action := range r.Actions {
		fmt.Fprintln(out, plain(action))
	}
	for _, path := range r.Left {
		fmt.Fprintf(out, "left as it is, both versions are kept: %s\n", text.Quote(path))
	}
	return out.Flush()
}

// AfterRun writes what a view holds after a program has run in it.
func AfterRun(w io.Writer, changes []wire.Change, changed bool, s Style) {
	out := bufio.NewWriter(w)
	defer out.Flush()
	switch {
	case !changed && len(changes) == 0:
		fmt.Fprintln(out, "astrid: nothing changed")
		return
	case !changed:
		fmt.Fprintf(out, "astrid: nothing changed; the view differs from the workspace in %s as before\n", Count(len(changes)))
		return
	}
	fmt.Fprintf(out, "astrid: the view now differs from the workspace in %s\n", Count(len(changes)))
	head(out, changes, s)
	if len(changes) > 0 {
		fmt.Fprintln(out, "  astrid diff shows them, astrid commit applies them, astrid discard drops them")
	}
}
