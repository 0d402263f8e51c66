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

func (a *app) capCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cap",
		Short: "List capabilities; grant and revoke them",
		Long: `Capabilities are what users other than root may do. A capability of the kernel is
named by what it is for (session:read, session:commit, capability:approve, …) and
holds for the session of --session, or for all of them; any other names a
resource and permissions.`,
		Example: `  astrid cap grant alice session:commit --session hello --ttl 1h
  astrid cap grant bot 'mcp://files:read_*' invoke
  astrid cap revoke --user alice`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listCaps(cmd.Context()) },
	}
	cmd.AddCommand(a.grantCommand(), a.revokeCapCommand(), a.addCapCommand(), a.allowancesCommand(), a.forgetCommand())
	return cmd
}

func (a *app) listCaps(ctx context.Context) error {
	var list []wire.Capability
	if err := a.admin(ctx, op.Caps, nil, &list); err != nil {
		return err
	}
	rows := make([][]string, 0, len(list))
	for _, c := range list {
		state := c.State
		if c.SingleUse {
			state += ", once"
		}
		rows = append(rows, []string{c.ID, c.User, c.Resource, strings.Join(c.Permissions, ","), state, when(c.Expires)})
	}
	return a.table(list, "ID USER RESOURCE PERMISSIONS STATE EXPIRES", rows)
}

func (a *app) grantCommand() *cobra.Command {
	var req wire.GrantCapability
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "grant USER CAPABILITY | grant USER RESOURCE PERMISSION…",
		Short: "Grant a capability to a user",
		Long: `Grants a capability of the kernel, or permissions (read, write, execute, delete,
invoke, list, create) on a resource pattern. With --from it is an attenuation: it
may allow no more than the capability of that id, and ends with it.

Capabilities of the kernel: ` + strings.Join(capabilityNames(), ", ") + ".",
		Args: atLeast("USER", "CAPABILITY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.User, req.TTL = args[0], ttl.Seconds()
			if err := a.wanted(&req, args[1], args[2:]); err != nil {
				return err
			}
			var c wire.Capability
			if err := a.admin(cmd.Context(), op.GrantCap, req, &c); err != nil {
				return err
			}
			if a.json {
				return a.print(c)
			}
			fmt.Fprintf(a.Stderr, "%s may %s %s\n", args[0], strings.Join(c.Permissions, ", "), c.Resource)
			return a.say("%s\n", c.ID)
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "how long it is good; default until it is revoked")
	cmd.Flags().BoolVar(&req.SingleUse, "once", false, "good for one operation only")
	cmd.Flags().StringVar(&req.Parent, "from", "", "attenuate the capability of this `ID`")
	cmd.Flags().StringVar(&req.Until, "until", "", "end with this `SESSION`, and with the kernel")
	return cmd
}

// wanted reads what is to be granted.
func (a *app) wanted(req *wire.GrantCapability, what string, permissions []string) error {
	if strings.Contains(what, "://") {
		if len(permissions) == 0 {
			return fault.New(fault.Usage, "say what may be done with %s: read, write, execute, delete, invoke, list or create", what)
		}
		req.Resource, req.Permissions = what, permissions
		return nil
	}
	if len(permissions) > 0 {
		return fault.New(fault.Usage, "%s is a capability of the kernel, which takes no permissions (%q)", what, permissions)
	}
	for _, name := range capabilityNames() {
		if name == what {
			session := a.session
			if session == "" {
				session = "*"
			}
			req.Resource, req.Permissions = "astrid://"+session+"/"+what, []string{"invoke"}
			return nil
		}
	}
	return fault.New(fault.Usage, "the kernel has no capability %q; it has %s", what, strings.Join(capabilityNames(), ", "))
}

func capabilityNames() []string {
	names := []string{}
	for _, c := range op.AllCapabilities() {
		names = append(names, c.String())
	}
	return names
}

func (a *app) revokeCapCommand() *cobra.Command {
	var req wire.RevokeCapability
	cmd := &cobra.Command{
		Use:   "revoke [ID]",
		Short: "Revoke capabilities by id, resource or user",
		Long:  "Revokes a capability and those attenuated from it; with --user all of a user; with --resource all that grant anything that the pattern matches, those included that grant more.",
		Args:  upTo(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				req.ID = args[0]
			}
			var r wire.Revoked
			if err := a.admin(cmd.Context(), op.RevokeCap, req, &r); err != nil {
				return err
			}
			return a.done(r, "revoked %d", r.Revoked)
		},
	}
	cmd.Flags().StringVar(&req.Resource, "resource", "", "every one that grants something this `PATTERN` matches")
	cmd.Flags().StringVar(&req.User, "user", "", "every one of this user")
	return cmd
}

func (a *app) addCapCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add TOKEN",
		Short: "Add a capability token that a trusted issuer has signed",
		Long:  "Adds a token, as JSON, that somebody else has issued. The issuer's key must be in security.trusted_issuers of config.toml.",
		Args:  exactly("TOKEN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := wire.AddCapability{Token: wire.Raw(args[0])}
			if !req.Token.IsValid() {
				return fault.New(fault.Usage, "the token is no JSON")
			}
			var c wire.Capability
			if err := a.admin(cmd.Context(), op.AddCap, req, &c); err != nil {
				return err
			}
			return a.done(c, "added %s", c.ID)
		},
	}
}

func (a *app) allowancesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "allowances",
		Short: "List what was approved for longer than once",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []wire.Allowance
			if err := a.admin(cmd.Context(), op.Allowances, nil, &list); err != nil {
				return err
			}
			rows := make([][]string, 0, len(list))
			for _, w := range list {
				span := "session"
				if w.Always {
					span = "always"
				}
				if w.UsesLeft != nil {
					span = fmt.Sprintf("%d more", *w.UsesLeft)
				}
				rows = append(rows, []string{w.ID, span, w.Session, w.Capsule, string(w.Pattern), when(w.Expires)})
			}
			return a.table(list, "ID FOR SESSION CAPSULE WHAT EXPIRES", rows)
		},
	}
}

func (a *app) forgetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "forget ID",
		Short: "Take an allowance back",
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r wire.Removed
			if err := a.admin(cmd.Context(), op.RevokeAllowance, wire.ByID{ID: args[0]}, &r); err != nil {
				return err
			}
			return a.removed(r, "there is no allowance %s", args[0])
		},
	}
}
