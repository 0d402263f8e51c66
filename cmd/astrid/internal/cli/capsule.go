package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

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
	cmd.AddCommand(a.capsuleNewCommand(), a.capsuleBuildCommand(), a.capsuleListCommand(), a.capsuleInfoCommand(), a.capsuleInstallCommand(), a.capsuleCallCommand(), a.capsuleReloadCommand(),
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
		{"about", []string{c.Description}}, {"why", []string{c.Why}}, {"in", []string{c.Dir}}, {"source", []string{c.Source}},
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

func (a *app) capsuleInstallCommand() *cobra.Command {
	var req wire.InstallCapsule
	cmd := &cobra.Command{
		Use:   "install SOURCE",
		Short: "Install or upgrade a capsule from a directory or an archive",
		Long: `Installs a capsule from a directory or a .capsule archive (tar, packed with gzip).
It shows what the capsule asks to be allowed, beyond what an older version of it
was, and asks; in a script --yes grants it. What was set for an older version, and
what it has stored, is kept; when anything fails, the older one is there as it was.`,
		Args: exactly("SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := a.dir()
			if err != nil {
				return err
			}
			if req.Source = args[0]; !filepath.IsAbs(req.Source) {
				req.Source = filepath.Join(dir, req.Source)
			}
			return a.installCapsule(cmd.Context(), req)
		},
	}
	cmd.Flags().BoolVar(&req.Yes, "yes", false, "grant what the capsule asks for")
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "only say what it is and asks for")
	return cmd
}

func (a *app) installCapsule(ctx context.Context, req wire.InstallCapsule) error {
	var in wire.Installation
	if req.Yes && !req.DryRun {
		return a.installAgreed(ctx, req, a.sayAsks)
	}
	look := req
	look.DryRun = true
	if err := a.admin(ctx, op.InstallCapsule, look, &in); err != nil {
		return err
	}
	if !a.json {
		a.sayAsks(in)
	}
	if req.DryRun {
		if a.json {
			return a.print(in)
		}
		return nil
	}
	if len(in.Asks) > 0 {
		if !a.asks() {
			return fault.New(fault.Usage, "the capsule %s asks to be allowed something and there is nobody to ask; say --yes to grant it", in.ID)
		}
		if !a.confirm(ctx, "Install it and grant that?") {
			return fault.New(fault.Interrupted, "nothing was installed")
		}
	}
	req.Yes = true
	return a.installAgreed(ctx, req, func(wire.Installation) {})
}

// installAgreed installs what somebody has agreed to; say tells what that was.
func (a *app) installAgreed(ctx context.Context, req wire.InstallCapsule, say func(wire.Installation)) error {
	var in wire.Installation
	if err := a.admin(ctx, op.InstallCapsule, req, &in); err != nil {
		return err
	}
	if !a.json {
		say(in)
	}
	if in.State == "failed" {
		return fault.New(fault.Unavailable, "the capsule %s %s is installed, and is not running: %s", in.ID, in.Version, in.Why)
	}
	return a.done(in, "the capsule %s %s is installed and %s", in.ID, in.Version, in.State)
}

// sayAsks shows what a capsule is and asks for.
func (a *app) sayAsks(in wire.Installation) {
	upgrade := ""
	if in.Old != "" {
		upgrade = ", in the place of " + in.Old
	}
	fmt.Fprintf(a.Stderr, "%s %s%s", in.ID, in.Version, upgrade)
	if len(in.Asks) == 0 {
		fmt.Fprintln(a.Stderr, " asks to be allowed nothing that it is not already")
		return
	}
	fmt.Fprintln(a.Stderr, " asks to be allowed to")
	for _, ask := range in.Asks {
		fmt.Fprintf(a.Stderr, "  %s\n", oneLine(ask))
	}
}

func (a *app) capsuleCallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "call TOOL [JSON]",
		Short: "Call a tool and print what it returns",
		Long:  "Calls a tool of a capsule, as an agent would: interceptors have their say, and what needs approval waits for it. It works in the session of --session, else in the one you stand in, else in the only one. Exit code 1 when the tool fails.",
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
			if _, err := a.wake(cmd.Context()); err != nil {
				return err
			}
			req := wire.CallTool{Tool: args[0], Arguments: arguments, Session: a.session}
			if s, err := a.pick(cmd.Context()); err == nil {
				req.Session = s.Name
			} else if a.session != "" {
				return err
			}
			var r wire.ToolResult
			a.acting = true // the tool may have written before an interrupt
			if err := a.kernel.Call(cmd.Context(), op.CallTool, req, &r); err != nil {
				return err
			}
			if a.json {
				err = a.print(r)
			} else if !r.IsError {
				err = a.say("%s\n", strings.TrimSuffix(r.Content, "\n"))
			}
			if err != nil || !r.IsError {
				return err
			}
			if !a.json {
				fmt.Fprintf(a.Stderr, "astrid: %s: %s\n", args[0], oneLine(r.Content))
			}
			return exit(1)
		},
	}
}

func (a *app) capsuleReloadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "Load what is new, changed or failed", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r wire.Reloaded
			if err := a.admin(cmd.Context(), op.ReloadCapsules, nil, &r); err != nil {
				return err
			}
			return a.done(r, "%s", r.Status)
		},
	}
}

func (a *app) capsuleSwitchCommand(verb, method, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: short, Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.admin(cmd.Context(), method, wire.ByID{ID: args[0]}, nil); err != nil {
				return err
			}
			return a.done(wire.None{}, "done")
		},
	}
}
