package cli

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) sessionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List the sessions, or forget one",
		Long:  "Lists every session with its state and its workspace. A session that is stopped keeps its uncommitted work until it is up again or forgotten.",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.listSessions(cmd.Context()) },
	}
	cmd.AddCommand(a.removeCommand())
	return cmd
}

func (a *app) listSessions(ctx context.Context) error {
	if err := a.rouse(ctx); err != nil {
		return err
	}
	list, err := a.list(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.print(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.Stderr, "there is no session; run astrid up in a project")
		return nil
	}
	return view.Sessions(a.Stdout, list)
}

// rouse connects to the kernel. Where none runs and there are sessions on disk,
// it starts one: it brings up no view that was down, and ends by itself.
func (a *app) rouse(ctx context.Context) error {
	h, err := a.dial(ctx)
	if !fault.Is(err, fault.NotRunning) || !keepsSessions(h) {
		return err
	}
	_, err = a.wake(ctx)
	return err
}

// keepsSessions tells whether there are sessions on the disk.
func keepsSessions(h home.Home) bool {
	names, err := os.ReadDir(h.Tmp())
	if err != nil {
		return false
	}
	return slices.ContainsFunc(names, func(n os.DirEntry) bool { return n.IsDir() && home.CheckSession(n.Name()) == nil })
}

func (a *app) removeCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "rm NAME",
		Short:   "Forget a session that is down, with all it holds",
		Long:    "Forgets a session that is down. When it holds work that was not committed, it asks, and in a script it needs --yes.",
		Example: "  astrid down --session draft && astrid sessions rm draft",
		Args:    upTo(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := a.session
			if len(args) == 1 {
				name = args[0]
			}
			if name == "" {
				return fault.New(fault.Usage, "say which session to forget: astrid sessions rm NAME")
			}
			return a.remove(cmd.Context(), name, yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) remove(ctx context.Context, name string, yes bool) error {
	if err := home.CheckSession(name); err != nil {
		return err
	}
	if err := a.rouse(ctx); err != nil {
		return err
	}
	a.acting = true
	req := wire.RemoveRequest{Session: name, Force: yes}
	err := a.kernel.Call(ctx, op.Remove, req, nil)
	if fault.Is(err, fault.Denied) { // it holds uncommitted work
		if !a.asks() {
			return fault.New(fault.Usage, "%w", err)
		}
		fmt.Fprintf(a.Stderr, "%v\n", err)
		a.acting = false
		if err := a.agree(ctx, false, "sessions rm", fmt.Sprintf("Forget session %s with all it holds?", name)); err != nil {
			return err
		}
		req.Force, a.acting = true, true
		err = a.kernel.Call(ctx, op.Remove, req, nil)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.print(wire.None{})
	}
	fmt.Fprintf(a.Stderr, "session %s is forgotten\n", name)
	return nil
}
