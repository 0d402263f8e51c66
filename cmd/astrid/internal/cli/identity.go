package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) identityCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "identity",
		Short: "List users; make them, link accounts, mint tokens",
		Long: `Users are who the kernel knows: root, its owner, and those that you make. A
frontend connects as a user with a token of that user; it may do what was granted
with astrid cap grant, and sees the messages of its own sessions only.`,
		Example: `  astrid identity create alice
  astrid identity token alice --session hello --label bot > bot.token
  astrid cap grant alice session:read --session hello`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listUsers(cmd.Context()) },
	}
	cmd.AddCommand(a.createUserCommand(), a.linkUserCommand(), a.unlinkUserCommand(), a.mintTokenCommand(), a.tokensCommand(), a.revokeTokenCommand())
	return cmd
}

func (a *app) listUsers(ctx context.Context) error {
	var users []wire.User
	if err := a.admin(ctx, op.Users, nil, &users); err != nil {
		return err
	}
	rows := make([][]string, 0, len(users))
	for _, u := range users {
		accounts := make([]string, 0, len(u.Links))
		for _, l := range u.Links {
			accounts = append(accounts, l.Platform+"/"+l.Account)
		}
		rows = append(rows, []string{u.ID, u.Name, when(u.Created), strings.Join(accounts, " ")})
	}
	return a.table(users, "ID NAME CREATED ACCOUNTS", rows)
}

func (a *app) createUserCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a user",
		Long:  "Makes a user. With a public key the user may approve requests by signature, without a connection of its own.",
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := wire.CreateUser{Name: args[0]}
			if key != "" {
				data, err := os.ReadFile(key)
				if err == nil {
					req.PublicKey, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
				}
				if err != nil {
					return fault.Wrap(fault.Usage, err, "read the public key of 32 bytes in base64 from %s", key)
				}
			}
			var u wire.User
			if err := a.admin(cmd.Context(), op.CreateUser, req, &u); err != nil {
				return err
			}
			if a.json {
				return a.print(u)
			}
			return a.say("%s\n", u.ID)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "`FILE` with the user's ed25519 public key in base64")
	return cmd
}

func (a *app) linkUserCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "link PLATFORM ACCOUNT USER",
		Short:   "Say that an account of a platform is a user",
		Long:    "Links an account to a user, by id or name. An account that is linked already is re-pointed.",
		Example: "  astrid identity link discord 1234 alice",
		Args:    exactly("PLATFORM", "ACCOUNT", "USER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var l wire.UserLink
			if err := a.admin(cmd.Context(), op.LinkUser, wire.LinkUser{Platform: args[0], Account: args[1], User: args[2]}, &l); err != nil {
				return err
			}
			return a.done(l, "%s/%s is %s", l.Platform, l.Account, l.User)
		},
	}
}

func (a *app) unlinkUserCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unlink PLATFORM ACCOUNT",
		Short: "Take a link away",
		Args:  exactly("PLATFORM", "ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r wire.Removed
			if err := a.admin(cmd.Context(), op.UnlinkUser, wire.UnlinkUser{Platform: args[0], Account: args[1]}, &r); err != nil {
				return err
			}
			return a.removed(r, "%s/%s was linked to nobody", args[0], args[1])
		},
	}
}

// removed says whether something was removed; nothing is an error.
func (a *app) removed(r wire.Removed, format string, args ...any) error {
	if !r.Removed {
		return fault.New(fault.NotFound, format, args...)
	}
	return a.done(r, "done")
}

func (a *app) mintTokenCommand() *cobra.Command {
	var label string
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "token USER",
		Short: "Make a token with which a frontend connects as a user",
		Long: `Makes a token and prints it, this once: the kernel keeps only its hash. With
--session it is good for that session only, whatever else the user may do.`,
		Args: exactly("USER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var t wire.MintedToken
			req := wire.MintToken{User: args[0], Session: a.session, Label: label, TTL: ttl.Seconds()}
			if err := a.admin(cmd.Context(), op.MintToken, req, &t); err != nil {
				return err
			}
			if a.json {
				return a.print(t)
			}
			fmt.Fprintf(a.Stderr, "the token %s of %s; keep it in a file that only its frontend can read\n", t.ID, args[0])
			return a.say("%s\n", t.Token)
		},
	}
	cmd.Flags().StringVar(&label, "label", "", "what it is for")
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "how long it is good; default until it is revoked")
	return cmd
}

func (a *app) tokensCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "tokens",
		Short: "List the tokens that users connect with",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []wire.TokenInfo
			if err := a.admin(cmd.Context(), op.Tokens, nil, &list); err != nil {
				return err
			}
			rows := make([][]string, 0, len(list))
			for _, t := range list {
				rows = append(rows, []string{t.ID, t.User, t.Session, when(t.Created), when(t.Expires), t.Label})
			}
			return a.table(list, "ID USER SESSION CREATED EXPIRES LABEL", rows)
		},
	}
}

func (a *app) revokeTokenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a token worthless",
		Long:  "Makes a token worthless for new connections; those that are open stay.",
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r wire.Removed
			if err := a.admin(cmd.Context(), op.RevokeToken, wire.ByID{ID: args[0]}, &r); err != nil {
				return err
			}
			return a.removed(r, "there is no token %s", args[0])
		},
	}
}
