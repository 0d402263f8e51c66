package view

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"astrid/ctl/text"
	"astrid/kernel/wire"
)

// Advice says what to do with a view that is up.
func Advice(w io.Writer, s wire.Session) {
	fmt.Fprintf(w, "session %s: a view of %s; what is done in it stays in it until astrid commit\n", s.Name, plain(s.Base))
	fmt.Fprintf(w, "  cd \"$(astrid path --session %s)\"   then astrid status, astrid diff, astrid commit\n", s.Name)
	if s.Note != "" {
		fmt.Fprintf(w, "  note: %s\n", plain(s.Note))
	}
}

// Forked says what to do with a fork.
func Forked(w io.Writer, s wire.Session) {
	fmt.Fprintf(w, "session %s: a fork of %s; each goes its own way from now on\n", s.Name, s.Parent)
	fmt.Fprintf(w, "  astrid merge %s brings what is done in it to %s, astrid --session %s commit to the workspace\n", s.Name, s.Parent, s.Name)
}

// Sessions writes a table.
func Sessions(w io.Writer, list []wire.Session) error {
	out := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(out, "NAME\tSTATE\tSINCE\tWORKSPACE\tNOTE")
	for _, s := range list {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", s.Name, s.State, s.Since.Local().Format("2006-01-02 15:04"), plain(s.Base), plain(s.Note))
	}
	return out.Flush()
}

// Status writes the summary of one session.
func Status(w io.Writer, st wire.Status, s Style) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "session    %s, %s", s.paint(bold, st.Name), st.State)
	if st.Uptime > 0 {
		fmt.Fprintf(out, " for %s", ago(st.Uptime))
	}
	fmt.Fprintf(out, "\nworkspace  %s\nview       %s\n", plain(st.Base), plain(st.Workspace))
	if st.Writeback {
		fmt.Fprintln(out, "writes     collected by the machine; safe from close or fsync on")
	}
	if st.Pin {
		fmt.Fprintln(out, "pinned     files that the view has moved or described are copied")
	}
	if st.State == "running" {
		running(out, st, s)
	}
	line(out, "note", st.Note)
	return out.Flush()
}

func running(out io.Writer, st wire.Status, s Style) {
	if n := st.Changes.Total(); n == 0 {
		fmt.Fprintln(out, "changes    none")
	} else {
		fmt.Fprintf(out, "changes    %s: %s (%s on disk)\n", Count(n), counts(st.Changes), size(st.Bytes))
		fmt.Fprintf(out, "digest     %s\n", st.Digest)
	}
	if st.Conflicts > 0 {
		fmt.Fprintf(out, "conflicts  %s; astrid commit --dry-run names them\n", s.paint(red, fmt.Sprintf("%s changed in the workspace too", Count(st.Conflicts))))
	}
	if len(st.Held) > 0 {
		fmt.Fprintf(out, "held back  %s, committed only when named: %s\n", Count(len(st.Held)), fewPaths(st.Held))
	}
	if st.Commits > 0 {
		fmt.Fprintf(out, "commits    %d\n", st.Commits)
	}
	if st.Points > 0 {
		fmt.Fprintf(out, "checkpoints  %d; astrid checkpoints lists them\n", st.Points)
	}
	if st.Parent != "" {
		fmt.Fprintf(out, "fork of    %s; astrid merge %s brings what is done here there\n", st.Parent, st.Name)
	}
	if st.Brake != nil {
		brake(out, *st.Brake, s)
	}
	line(out, "pending", st.Pending)
	line(out, "read-only", st.ReadOnly)
	if st.Panics > 0 {
		fmt.Fprintf(out, "defects    %d requests met a defect of Astrid and were answered with an error; the log has them\n", st.Panics)
	}
	if st.Restarts > 0 {
		fmt.Fprintf(out, "restarts   %d\n", st.Restarts)
	}
}

func line(out io.Writer, key, value string) {
	if value != "" {
		fmt.Fprintf(out, "%-10s %s\n", key, plain(value))
	}
}

// few is how many paths a sentence names.
const few = 5

func fewPaths(paths []string) string {
	var names []string
	for i, p := range paths {
		if i == few {
			names = append(names, "...")
			break
		}
		names = append(names, text.Quote(p))
	}
	return strings.Join(names, " ")
}

func ago(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Minute {
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n), []string{"KiB", "MiB", "GiB", "TiB"}
	for _, name := range names {
		if value /= unit; value < unit {
			return fmt.Sprintf("%.1f %s", value, name)
		}
	}
	return fmt.Sprintf("%.0f PiB", value/unit)
}
