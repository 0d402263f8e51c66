package cli

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) diffCommand() *cobra.Command {
	var stat, hunks bool
	var sel selection
	cmd := &cobra.Command{
		Use:   "diff [A..B] [PATH|GLOB…]",
		Short: "Show what has changed as a patch",
		Long: `Prints what has changed as a patch that git apply understands. On a terminal it
is coloured and shown in $PAGER. The exit code is 0 with or without differences.

A..B compares two states: the name of a checkpoint, base for the workspace as it is, or
view. One of them may be left out: A.. is A..view, and ..B is base..B.`,
		Example: "  astrid diff\n  astrid diff c1..\n  astrid diff c1..c2 src\n  astrid diff --stat\n  astrid diff --hunks src/main.c\n  astrid diff src | git -C elsewhere apply",
		RunE: func(cmd *cobra.Command, args []string) error {
			sel.args = args
			switch {
			case stat && hunks:
				return fault.New(fault.Usage, "--stat and --hunks exclude each other")
			case hunks:
				return a.diffHunks(cmd.Context(), sel)
			case stat:
				return a.diffStat(cmd.Context(), sel)
			}
			return a.diff(cmd.Context(), sel)
		},
	}
	sel.flag(cmd)
	cmd.Flags().BoolVar(&stat, "stat", false, "count lines instead of showing them")
	cmd.Flags().BoolVar(&hunks, "hunks", false, "each hunk with the ID by which astrid commit --hunk takes it")
	return cmd
}

func (a *app) diffStat(ctx context.Context, sel selection) error {
	span, args := spanOf(sel.args)
	sel.args = args
	s, paths, exclude, err := a.pickSelection(ctx, sel)
	if err != nil {
		return err
	}
	reply, err := a.callChanges(ctx, s, wire.ChangesRequest{Paths: paths, Exclude: exclude, Stat: true, Span: span})
	if err != nil {
		return err
	}
	if a.json {
		return a.print(reply)
	}
	return view.Stat(a.Stdout, reply.Changes, view.Style{Colour: a.coloured(a.Stdout)})
}

func (a *app) diff(ctx context.Context, sel selection) error {
	if a.json {
		return fault.New(fault.Usage, "a patch is no JSON; astrid diff --stat --json counts it, astrid diff --hunks --json has it in pieces, astrid changes --json lists it")
	}
	span, args := spanOf(sel.args)
	sel.args = args
	s, paths, exclude, err := a.pickSelection(ctx, sel)
	if err != nil {
		return err
	}
	out := view.NewPager(a.Stdout, a.Stderr, view.Style{Colour: a.coloured(a.Stdout)}, a.Environ)
	err = a.kernel.CallStream(ctx, op.Patch, wire.For[wire.PatchRequest]{Session: s.Name, Request: wire.PatchRequest{Paths: paths, Exclude: exclude, Span: span}}, nil, out)
	if closed := out.Close(); closed || err == nil {
		return nil // the reader has seen enough, or all
	}
	return err
}

// spanOf takes the two states that the first argument names, if it does, off the
// arguments: A..B without a slash is no path.
func spanOf(args []string) (*wire.Span, []string) {
	if len(args) == 0 || strings.Contains(args[0], "/") {
		return nil, args
	}
	from, to, ok := strings.Cut(args[0], "..")
	if !ok || from == "" && to == "" || strings.HasPrefix(to, ".") {
		return nil, args
	}
	return &wire.Span{From: cmp.Or(from, "base"), To: cmp.Or(to, "view")}, args[1:]
}
