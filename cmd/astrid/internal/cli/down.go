package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) downCommand() *cobra.Command {
	var req wire.DownRequest
	var yes bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End a session's view, keeping its work",
		Long: `Unmounts the view of a session. Uncommitted work is kept; astrid up brings it
back. With --discard the session is forgotten with all it holds: it asks first,
and in a script it needs --yes.

A view in which programs have files open is left up, and they are named (exit 5);
--force takes it away from them. The kernel ends with the last view.`,
		Example: "  astrid down\n  astrid down --session draft --discard --yes",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.down(cmd.Context(), req, yes)
		},
	}
	cmd.Flags().BoolVar(&req.Discard, "discard", false, "forget the session and its uncommitted work")
	cmd.Flags().BoolVar(&req.Force, "force", false, "also when programs hold files open in the view")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) down(ctx context.Context, req wire.DownRequest, yes bool) error {
	if req.Discard { // there is something to do although no view is up
		if err := a.rouse(ctx); err != nil {
			return err
		}
	}
	s, err := a.pick(ctx)
	if err != nil {
		return err
	}
	req.Session = s.Name
	if req.Discard {
		if err := a.agree(ctx, yes, "down --discard", fmt.Sprintf("End session %s and lose what it has not committed?", s.Name)); err != nil {
			return err
		}
	}
	// This program must not be the one that keeps the view busy.
	_ = os.Chdir("/")
	a.acting = true
	if err := a.kernel.Call(ctx, op.Down, req, nil); err != nil {
		return err
	}
	a.awaitLast(ctx)
	if a.json {
		return a.print(wire.None{})
	}
	switch {
	case req.Discard:
		fmt.Fprintf(a.Stderr, "session %s is gone\n", s.Name)
	default:
		fmt.Fprintf(a.Stderr, "session %s is down; astrid up %s brings it back\n", s.Name, shellWord(s.Base))
	}
	return nil
}
