package view

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"astrid/kernel/wire"
)

// Brake writes the limits of a session, and what was used of them.
func Brake(w io.Writer, b wire.Brake, s Style) error {
	out := bufio.NewWriter(w)
	brake(out, b, s)
	if b.Limits == (wire.BrakeLimits{}) {
		fmt.Fprintln(out, "there are no limits")
	}
	return out.Flush()
}

func brake(out io.Writer, b wire.Brake, s Style) {
	var l []string
	add := func(limit int64, format string, args ...any) {
		if limit > 0 {
			l = append(l, fmt.Sprintf(format, args...))
		}
	}
	add(b.Limits.Deleted, "%d of %d names deleted", b.Used.Deleted, b.Limits.Deleted)
	add(b.Limits.Changed, "%d of %d files changed", b.Used.Changed, b.Limits.Changed)
	add(b.Limits.Bytes, "%s of %s written", size(b.Used.Bytes), size(b.Limits.Bytes))
	add(b.Limits.OpsPerSecond, "at most %d changes a second", b.Limits.OpsPerSecond)
	add(b.Limits.BytesPerSecond, "at most %s a second", size(b.Limits.BytesPerSecond))
	line(out, "brake", strings.Join(l, ", "))
	if b.Why != "" {
		fmt.Fprintf(out, "%-10s %s: the view takes no more changes; astrid brake raises the limit\n", s.paint(red, "stopped"), plain(b.Why))
	}
}
