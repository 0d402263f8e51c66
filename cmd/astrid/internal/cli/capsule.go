package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) capsuleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "capsule",
		Short: "List plugins; install them, call their tools, write one",
		Long: `Capsules are plugins: WASM modules and MCP servers that serve tools, commands and
interceptors, within what their manifest asks for and you have granted. They are
those of Astrid 0.2. Tools work in the view of a session, like any program.`,
		Example: `  astrid capsule new hello && cd hello && astrid capsule build
  astrid capsule install .
  astrid capsule call count_lines '{"path":"README.md"}'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listCapsules(cmd.Context()) },
	}
	cmd.AddCommand(a.capsuleNewCommand(), a.capsuleBuildCommand(), a.capsuleKeygenCommand(), a.capsuleSignCommand(), a.capsuleListCommand(), a.capsuleInfoCommand(), a.capsuleInstallCommand(), a.capsuleTrustCommand(), a.capsuleLogsCommand(), a.capsuleCallCommand(), a.capsuleReloadCommand(),
		a.capsuleSwitchCommand("enable", op.EnableCapsule, "Switch a capsule on again"),
		a.capsuleSwitchCommand("disable", op.DisableCapsule, "Switch a capsule off, and keep it installed"),
		a.capsuleSwitchCommand("remove", op.RemoveCapsule, "End a capsule and take it off the disk; what it has stored stays"))
	return cmd
}

func (a *app) capsuleListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the capsules with their state", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listCapsules(cmd.Context()) },
	}
}

func (a *app) listCapsules(ctx context.Context) error {
	list, err := a.capsules(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 && !a.json {
		fmt.Fprintln(a.Stderr, "there is no capsule; astrid capsule install puts one here, astrid capsule new begins one")
		return nil
	}
	rows := make([][]string, 0, len(list))
	for _, c := range list {
		rows = append(rows, []string{c.ID, c.Version, c.State, strings.Join(c.Tools, ","), c.Why})
	}
	return a.table(list, "ID VERSION STATE TOOLS WHY", rows)
}

func (a *app) capsules(ctx context.Context) ([]wire.CapsuleInfo, error) {
	var list []wire.CapsuleInfo
	err := a.admin(ctx, op.CapsuleInfos, nil, &list)
	return list, err
}

func (a *app) capsuleInfoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "info ID", Short: "Say what a capsule is, serves and may do", Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.capsules(cmd.Context())
			if err != nil {
				return err
			}
			for _, c := range list {
				if c.ID == args[0] {
					return a.capsuleInfo(c)
				}
			}
			return fault.New(fault.NotFound, "there is no capsule %s; astrid capsule list lists those there are", args[0])
		},
	}
}

func (a *app) capsuleInfo(c wire.CapsuleInfo) error {
	if a.json {
		return a.print(c)
	}
	fmt.Fprintf(a.Stdout, "capsule    %s %s, %s since %s\n", c.ID, c.Version, c.State, when(c.Since))
	for _, row := range []struct {
		what string
		text []string
	}{
		{"about", []string{c.Description}}, {"why", []string{c.Why}}, {"in", []string{c.Dir}}, {"of", []string{c.Workspace}}, {"source", []string{c.Source}}, {"publisher", []string{c.Publisher}}, {"granted", []string{granted(c)}},
		{"tool", c.Tools}, {"command", c.Commands}, {"hears", c.Interceptors}, {"plan", c.Crons}, {"may", c.Asks},
	} {
		for _, text := range row.text {
			if text != "" {
				fmt.Fprintf(a.Stdout, "%-10s %s\n", row.what, oneLine(text))
			}
		}
	}
	return nil
}

func (a *app) capsuleCallCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "call TOOL [JSON]",
		Short: "Call a tool and print what it returns",
		Long: `Calls a tool of a capsule, as an agent would: interceptors have their say, and what
needs approval waits for it. It works in the session of --session, else in the one
you stand in, else in the only one. Ctrl-C and --timeout tell the tool to end; what it
had written by then stays in the view. Exit code 1 when the tool fails.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fault.New(fault.Usage, "say the tool, and its arguments as JSON (see %s --help)", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			arguments, err := a.params(args[1:])
			if err != nil {
				return err
			}
			if timeout < 0 {
				return fault.New(fault.Usage, "the timeout %v is less than nothing", timeout)
			}
			return a.callTool(cmd.Context(), wire.CallTool{Tool: args[0], Arguments: arguments, Session: a.session, Timeout: timeout.Seconds()})
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long the tool may take, such as 30s (default an hour)")
	return cmd
}

func (a *app) callTool(ctx context.Context, req wire.CallTool) error {
	if _, err := a.wake(ctx); err != nil {
		return err
	}
	if s, err := a.pick(ctx); err == nil {
		req.Session = s.Name
	} else if a.session != "" {
		return err
	}
	var r wire.ToolResult
	a.calling = true
	err := a.kernel.Call(ctx, op.CallTool, req, &r)
	if err != nil {
		return err
	}
	a.calling = false
	if a.json {
		err = a.print(r)
	} else if !r.IsError {
		err = a.say("%s\n", strings.TrimSuffix(r.Content, "\n"))
	}
	if err != nil || !r.IsError {
		return err
	}
	if !a.json {
		fmt.Fprintf(a.Stderr, "astrid: %s: %s\n", req.Tool, oneLine(r.Content))
	}
	return exit(1)
}

func (a *app) capsuleLogsCommand() *cobra.Command {
	var req wire.CapsuleLog
	cmd := &cobra.Command{
		Use: "logs ID", Short: "Print what a capsule wrote, and what the kernel's log has about it", Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := a.wake(cmd.Context()); err != nil {
				return err
			}
			req.ID = args[0]
			return a.kernel.CallStream(cmd.Context(), op.LogOfCapsule, req, nil, a.Stdout)
		},
	}
	cmd.Flags().IntVar(&req.Lines, "lines", 200, "how many")
	cmd.Flags().BoolVarP(&req.Follow, "follow", "f", false, "and then each line as it comes")
	return cmd
}

func (a *app) capsuleReloadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "Load what is new, changed or failed, and say what that was", Args: noArgs,
		Long: "Loads what is new, changed or failed, and leaves the others alone. The kernel also does so by itself, half a second after the last change of a file of a capsule.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r wire.Reloaded
			if err := a.admin(cmd.Context(), op.ReloadCapsules, nil, &r); err != nil {
				return err
			}
			if a.json {
				return a.print(r)
			}
			for _, row := range []struct {
				what string
				ids  []string
			}{{"loaded", r.Loaded}, {"left alone", r.Kept}, {"ended", r.Ended}} {
				if len(row.ids) > 0 {
					fmt.Fprintf(a.Stderr, "%s: %s\n", row.what, strings.Join(row.ids, ", "))
				}
			}
			for _, text := range r.Problems {
				fmt.Fprintln(a.Stderr, oneLine(text))
			}
			if len(r.Loaded)+len(r.Kept)+len(r.Ended)+len(r.Problems) == 0 {
				fmt.Fprintln(a.Stderr, "there is no capsule")
			}
			return nil
		},
	}
}

func (a *app) capsuleSwitchCommand(verb, method, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: short, Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var s wire.CapsuleSwitched
			if err := a.admin(cmd.Context(), method, wire.ByID{ID: args[0]}, &s); err != nil {
				return err
			}
			switch s.State {
			case "removed":
				return a.done(s, "the capsule %s is removed; what it has stored stays, until astrid kv clear capsule:%s", s.ID, s.ID)
			case "disabled":
				return a.done(s, "the capsule %s is off, and stays so until astrid capsule enable %s", s.ID, s.ID)
			case "failed", "untrusted":
				if verb == "enable" {
					return fault.New(fault.Unavailable, "the capsule %s is switched on, and is not running: %s", s.ID, s.Why)
				}
			}
			return a.done(s, "the capsule %s is on, and %s", s.ID, s.State)
		},
	}
}
