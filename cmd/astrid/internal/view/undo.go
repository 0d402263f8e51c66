package view

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"astrid/ctl/text"
	"astrid/kernel/wire"
)

// Undo writes what an undo or redo did, or with DryRun would do. verb is undo or redo.
func Undo(w io.Writer, verb string, r wire.UndoReply, s Style) error {
	out := bufio.NewWriter(w)
	switch {
	case len(r.Conflicts) > 0:
		fmt.Fprintf(out, "%s: to %s commit %d would lose a later change; nothing was done\n", s.paint(red, "conflict"), verb, r.Commit)
		for i := range r.Conflicts {
			fmt.Fprintf(out, "  %s  %s\n", text.Quote(r.Conflicts[i].Name()), plain(r.Conflicts[i].Why))
		}
	case r.DryRun:
		fmt.Fprintf(out, "%s of commit %d%s would change %s: %s\n", verb, r.Commit, titled(r.Message), Count(len(r.Changed)), counts(tally(r.Changed)))
		head(out, r.Changed, s)
	default:
		fmt.Fprintf(out, "%s of commit %d%s changed %s: %s\n", verb, r.Commit, titled(r.Message), Count(len(r.Changed)), counts(tally(r.Changed)))
		head(out, r.Changed, s)
		if verb == "undo" {
			fmt.Fprintln(out, "  astrid redo brings it again")
		}
	}
	return out.Flush()
}

func titled(message string) string {
	if message == "" {
		return ""
	}
	return " (" + plain(message) + ")"
}

// History writes the operations on a workspace; whole says that there is one, of
// which every path is to be seen.
func History(w io.Writer, list []wire.HistoryEntry, whole bool, s Style) error {
	out := bufio.NewWriter(w)
	if len(list) == 0 {
		fmt.Fprintln(out, "there is no commit yet")
	}
	for i := range list {
		h := &list[i]
		fmt.Fprintf(out, "%4d  %s  %-8s  %s%s\n", h.Number, h.At.Local().Format(time.DateTime), h.State, title(h), by(h))
		changes := h.Changed
		if !whole {
			changes = changes[:min(len(changes), brief)]
		}
		for j := range changes {
			fmt.Fprintln(out, "        "+s.change(&changes[j]))
		}
		if n := len(h.Changed) - len(changes); n > 0 || h.More {
			fmt.Fprintf(out, "        ... %s in all\n", Count(h.Paths))
		}
	}
	return out.Flush()
}

// brief is how many paths of an operation a list of them shows.
const brief = 3

func title(h *wire.HistoryEntry) string {
	if h.Op == "commit" {
		return "commit" + titled(h.Message)
	}
	return fmt.Sprintf("%s of commit %d%s", h.Op, h.Commit, titled(h.Message))
}

func by(h *wire.HistoryEntry) string {
	if h.By == "" {
		return ""
	}
	return ", by " + plain(h.By)
}
