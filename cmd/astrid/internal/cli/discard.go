package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) discardCommand() *cobra.Command {
	var yes bool
	var sel selection
	cmd := &cobra.Command{
		Use:   "discard [PATH|GLOB…]",
		Short: "Drop changes: the view shows the workspace again",
		Long: `Drops changes, so that the view shows again what the workspace has. Without PATH
it means all of them. What --exclude names stays, with all that it needs. It asks
first; in a script it needs --yes. A checkpoint keeps what was dropped for a day:
astrid rollback brings it back.`,
		Example: "  astrid discard 'build/**'\n  astrid discard --yes --exclude notes",
		RunE: func(cmd *cobra.Command, args []string) error {
			sel.args = args
			return a.discard(cmd.Context(), sel, yes)
		},
	}
	sel.flag(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) discard(ctx context.Context, sel selection, yes bool) error {
	s, paths, exclude, err := a.pickSelection(ctx, sel)
	if err != nil {
		return err
	}
	what := wire.DiscardRequest{Paths: paths, Exclude: exclude}
	if err := a.mayDiscard(ctx, s, what, yes); err != nil {
		return err
	}
	var reply wire.DiscardReply
	req := wire.For[wire.DiscardRequest]{Session: s.Name, Request: what}
	a.acting = true
	if err := a.kernel.Call(ctx, op.Discard, req, &reply); err != nil {
		return err
	}
	if a.json {
		return a.print(reply)
	}
	return view.Discarded(a.Stdout, reply, view.Style{Colour: a.coloured(a.Stdout)})
}

// mayDiscard shows on a terminal what would be lost, and asks.
func (a *app) mayDiscard(ctx context.Context, s wire.Session, what wire.DiscardRequest, yes bool) error {
	if yes || !a.asks() {
		return a.agree(ctx, yes, "discard", "")
	}
	now, err := a.callChanges(ctx, s, wire.ChangesRequest{Paths: what.Paths, Exclude: what.Exclude})
	if err != nil {
		return err
	}
	if len(now.Changes) == 0 {
		fmt.Fprintln(a.Stderr, "there is nothing to discard")
		return exit(0)
	}
	if err := view.Some(a.Stderr, now.Changes, view.Style{Colour: a.coloured(a.Stderr)}); err != nil {
		return err
	}
	return a.agree(ctx, false, "discard", fmt.Sprintf("Drop %s from the view?", view.Count(len(now.Changes))))
}
