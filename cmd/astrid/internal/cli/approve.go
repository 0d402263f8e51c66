package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const approveHelp = `Without an ID it lists what waits for approval; with one it answers: approve once,
or --for session (until the session ends or nobody is connected any more), or
--for always, or --deny. What was allowed for longer is listed by
astrid cap allowances and taken back by astrid cap forget.

A request that nobody answers in time is denied, and kept for a day: an answer
that comes late allows the next one like it.`

func (a *app) approveCommand() *cobra.Command {
	var deny bool
	var span, reason string
	cmd := &cobra.Command{
		Use:   "approve [ID]",
		Short: "List what waits for approval, or answer it",
		Long:  approveHelp,
		Example: `  astrid approve
  astrid approve 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed --for session
  astrid approve 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed --deny --reason "not on a Friday"`,
		Args: upTo(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listApprovals(cmd.Context())
			}
			decision, err := decide(deny, span)
			if err != nil {
				return err
			}
			var reply wire.AskReply
			err = a.admin(cmd.Context(), op.Approve, wire.AnswerApproval{ID: args[0], Decision: decision, Reason: reason}, &reply)
			if err != nil {
				return err
			}
			return a.done(reply, "answered: %s", reply.Decision)
		},
	}
	cmd.Flags().BoolVar(&deny, "deny", false, "refuse it")
	cmd.Flags().StringVar(&span, "for", "once", "how long it is good: once, session or always")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for who asked and for the audit log")
	return cmd
}

// decide is the word for an answer.
func decide(deny bool, span string) (string, error) {
	switch {
	case deny && span != "once":
		return "", fault.New(fault.Usage, "either --deny or --for %s", span)
	case deny:
		return "deny", nil
	}
	switch span {
	case "once":
		return "approve", nil
	case "session", "always":
		return "approve_" + span, nil
	}
	return "", fault.New(fault.Usage, "--for is %q: it may be once, session or always", span)
}

func (a *app) listApprovals(ctx context.Context) error {
	var list []wire.Approval
	if err := a.admin(ctx, op.Pending, nil, &list); err != nil {
		return err
	}
	if len(list) == 0 && !a.json {
		fmt.Fprintln(a.Stderr, "nothing waits for approval")
		return nil
	}
	rows := make([][]string, 0, len(list))
	for _, r := range list {
		rows = append(rows, []string{r.ID, r.Risk, r.Session, r.Action, r.Resource, r.Reason, when(r.Expires)})
	}
	return a.table(list, "ID RISK SESSION ACTION RESOURCE REASON UNTIL", rows)
}

func (a *app) askCommand() *cobra.Command {
	var req wire.AskApproval
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "ask ACTION [RESOURCE]",
		Short: "Ask for approval and wait for the answer",
		Long: `Asks whoever may answer for approval, and waits: exit code 0 when it is given, 1
when it is not. --session says what session it is about. For scripts and tools
that are about to do what cannot be taken back.`,
		Example: `  astrid ask "git push" "git push origin main" --risk high && git push origin main`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fault.New(fault.Usage, "say the action, and to what (see %s --help)", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Action, req.Session, req.Timeout = args[0], a.session, timeout.Seconds()
			if len(args) == 2 {
				req.Resource = args[1]
			}
			return a.ask(cmd.Context(), req)
		},
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why it is wanted")
	cmd.Flags().StringVar(&req.Risk, "risk", "medium", "low, medium, high or critical")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait; default what is configured (60s)")
	cmd.Flags().BoolVar(&req.Defer, "defer", false, "do not wait: the answer allows the next such request")
	return cmd
}

func (a *app) ask(ctx context.Context, req wire.AskApproval) error {
	if _, err := a.dial(ctx); err != nil {
		return err
	}
	if !a.json {
		fmt.Fprintln(a.Stderr, "waiting for approval; astrid approve lists and answers it")
	}
	var reply wire.AskReply
	if err := a.kernel.Call(ctx, op.Ask, req, &reply); err != nil {
		return err
	}
	why := ""
	if reply.Reason != "" {
		why = ": " + oneLine(reply.Reason)
	}
	if err := a.done(reply, "%s%s", oneLine(reply.Decision), why); err != nil {
		return err
	}
	if !reply.Approved {
		return exit(1)
	}
	return nil
}
