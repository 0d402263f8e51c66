package view

import (
	"bufio"
	"fmt"
	"io"

	"astrid/ctl/text"
	"astrid/kernel/wire"
)

// Conflicts lists conflicts with what there is of each side.
func Conflicts(w io.Writer, list []wire.ConflictInfo, s Style) error {
	out := bufio.NewWriter(w)
	if len(list) == 0 {
		fmt.Fprintln(out, "there are no conflicts")
	}
	for i := range list {
		c := &list[i]
		fmt.Fprintf(out, "%s  %s\n", s.paint(red, text.Quote(c.Name())), plain(c.Why))
		fmt.Fprintf(out, "    base: %s   mine: %s   theirs: %s\n", version(c.Base), version(c.Mine), version(c.Theirs))
	}
	if len(list) > 0 {
		fmt.Fprintln(out, "  astrid resolve PATH --merge puts both together; --keep mine or --keep theirs keeps one")
	}
	return out.Flush()
}

func version(v wire.Side) string {
	switch {
	case !v.There:
		return "none"
	case v.Kind != "" && v.Kind != "file":
		return v.Kind
	}
	return fmt.Sprintf("%d bytes", v.Size)
}

// Resolved says that one side of conflicts was kept.
func Resolved(w io.Writer, paths []string, keep string, r wire.DiscardReply, s Style) error {
	out := bufio.NewWriter(w)
	for _, p := range paths {
		fmt.Fprintf(out, "%s: kept %s\n", text.Quote(p), keep)
	}
	if len(r.Dropped) > 0 {
		fmt.Fprintf(out, "dropped %s\n", Count(len(r.Dropped)))
		head(out, r.Dropped, s)
	}
	if r.Kept != "" {
		fmt.Fprintf(out, "  astrid rollback %s brings that back, for a day\n", plain(r.Kept))
	}
	return out.Flush()
}
