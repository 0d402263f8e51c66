package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const undoHelp = `Takes a commit back: the workspace has again, exactly, what the commit replaced.
Without NUMBER it is the last commit that was not undone; once more, and it is the
one before. astrid log lists them. What the commit had brought is kept: astrid redo
brings it again.

When somebody has changed in the workspace what the commit left there, or when the
view has changes that build on it, nothing is done, the paths are named, and the exit
code is 3. On a terminal it shows what would be done and asks.`

const redoHelp = `Takes an undo back: the workspace has again what the commit had brought. Without
NUMBER it is the commit that was undone last. Like undo, it refuses when an edit
would be lost.`

func (a *app) undoCommand() *cobra.Command {
	return a.backCommand(op.Undo, "Take a commit back out of the workspace", undoHelp)
}

func (a *app) redoCommand() *cobra.Command {
	return a.backCommand(op.Redo, "Bring an undone commit to the workspace again", redoHelp)
}

func (a *app) backCommand(method, short, long string) *cobra.Command {
	var req wire.UndoRequest
	var yes bool
	cmd := &cobra.Command{
		Use: method + " [NUMBER]", Short: short, Long: long,
		Example: "  astrid " + method + "\n  astrid " + method + " --dry-run\n  astrid " + method + " 7     the commit with that number",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if req.Commit, err = number(args); err != nil {
				return err
			}
			return a.back(cmd.Context(), method, req, yes)
		},
	}
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "change nothing, say what would be done")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// number is the number of a commit that was given, 0 when none was.
func number(args []string) (uint64, error) {
	if len(args) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil || n == 0 {
		return 0, fault.New(fault.Usage, "%q is not the number of a commit; astrid log lists them", args[0])
	}
	return n, nil
}

func (a *app) back(ctx context.Context, method string, req wire.UndoRequest, yes bool) error {
	s, err := a.pick(ctx)
	if err != nil {
		return err
	}
	if !req.DryRun && !yes && !a.json && a.asks() {
		if req.Commit, err = a.reviewBack(ctx, s, method, req); err != nil || req.Commit == 0 {
			return err
		}
	}
	reply, err := a.callBack(ctx, s, method, req)
	if err != nil {
		return err
	}
	return a.wentBack(method, reply)
}

func (a *app) callBack(ctx context.Context, s wire.Session, method string, req wire.UndoRequest) (wire.UndoReply, error) {
	var reply wire.UndoReply
	a.acting = !req.DryRun
	err := a.kernel.Call(ctx, method, wire.For[wire.UndoRequest]{Session: s.Name, Request: req}, &reply)
	return reply, err
}

// reviewBack shows what would be done and asks. It returns the commit that was
// shown, or 0 when it cannot be done.
func (a *app) reviewBack(ctx context.Context, s wire.Session, method string, req wire.UndoRequest) (uint64, error) {
	req.DryRun = true
	plan, err := a.callBack(ctx, s, method, req)
	if err != nil {
		return 0, err
	}
	if len(plan.Conflicts) > 0 {
		return 0, a.wentBack(method, plan)
	}
	if err := view.Undo(a.Stderr, method, plan, view.Style{Colour: a.coloured(a.Stderr)}); err != nil {
		return 0, err
	}
	if !a.confirm(ctx, fmt.Sprintf("Do this to %s?", s.Base)) {
		return 0, fault.New(fault.Interrupted, "nothing was done")
	}
	return plan.Commit, nil
}

// wentBack prints what was done and turns it into an exit code.
func (a *app) wentBack(method string, reply wire.UndoReply) error {
	var err error
	if a.json {
		err = a.print(reply)
	} else {
		err = view.Undo(a.Stdout, method, reply, view.Style{Colour: a.coloured(a.Stdout)})
	}
	if err == nil && len(reply.Conflicts) > 0 {
		return exit(fault.Conflict.Exit())
	}
	return err
}

func (a *app) logCommand() *cobra.Command {
	var last int
	cmd := &cobra.Command{
		Use:   "log [NUMBER]",
		Short: "List the commits of a session: when, who, what, and whether they can be undone",
		Long: `Lists the commits, undos and redos of a session, the last first. With NUMBER it
shows all paths of that one, as long as they are kept. Entries marked "kept" can be
taken back by astrid undo or astrid redo.`,
		Example: "  astrid log\n  astrid log --last 3\n  astrid log 7",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := number(args)
			if err != nil {
				return err
			}
			if last < 0 {
				return fault.New(fault.Usage, "--last is %d: say how many", last)
			}
			return a.history(cmd.Context(), wire.HistoryRequest{Number: n, Last: last})
		},
	}
	cmd.Flags().IntVar(&last, "last", 0, "only the last `n`")
	return cmd
}

func (a *app) history(ctx context.Context, req wire.HistoryRequest) error {
	s, err := a.pick(ctx)
	if err != nil {
		return err
	}
	var list []wire.HistoryEntry
	if err := a.kernel.Call(ctx, op.History, wire.For[wire.HistoryRequest]{Session: s.Name, Request: req}, &list); err != nil {
		return err
	}
	if a.json {
		return a.print(list)
	}
	return view.History(a.Stdout, list, req.Number != 0, view.Style{Colour: a.coloured(a.Stdout)})
}
