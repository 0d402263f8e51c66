package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"astrid/kernel/fault"
)

// admin calls an operation of the kernel itself, which is started when none
// runs: what it keeps is on the disk, and it ends by itself.
func (a *app) admin(ctx context.Context, method string, params, reply any) error {
	if _, err := a.wake(ctx); err != nil {
		return err
	}
	a.acting = true
	err := a.kernel.Call(ctx, method, params, reply)
	a.acting = false
	return err
}

// exactly refuses another number of arguments than those that are named.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return fault.New(fault.Usage, "%s takes %s, and %d arguments were given (see %s --help)", cmd.CommandPath(), strings.Join(names, " "), len(args), cmd.CommandPath())
		}
		return nil
	}
}

// atLeast refuses fewer arguments than those that are named.
func atLeast(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return fault.New(fault.Usage, "%s needs %s (see %s --help)", cmd.CommandPath(), strings.Join(names, " "), cmd.CommandPath())
		}
		return nil
	}
}

// table prints rows under a head, or v as JSON.
func (a *app) table(v any, head string, rows [][]string) error {
	if a.json {
		return a.print(v)
	}
	out := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(out, strings.ReplaceAll(head, " ", "\t"))
	for _, row := range rows {
		for i := range row {
			row[i] = oneLine(row[i])
		}
		fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	if err := out.Flush(); err != nil {
		return exit(1)
	}
	return nil
}

// oneLine keeps a text of somebody else's from drawing on the terminal or
// breaking a table.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// when is a time for people; empty for none.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// done prints a reply as JSON, or a sentence.
func (a *app) done(reply any, format string, args ...any) error {
	if a.json {
		return a.print(reply)
	}
	fmt.Fprintf(a.Stderr, format+"\n", args...)
	return nil
}
