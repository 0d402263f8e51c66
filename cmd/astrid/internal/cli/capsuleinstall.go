package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) capsuleInstallCommand() *cobra.Command {
	var req wire.InstallCapsule
	cmd := &cobra.Command{
		Use:   "install SOURCE",
		Short: "Install or upgrade a capsule from a directory or an archive",
		Long: `Installs a capsule from a directory or a .capsule archive (tar, packed with gzip).
It shows what the capsule asks to be allowed, beyond what an older version of it
was, and asks; in a script --yes grants it. What was set for an older version, and
what it has stored, is kept; when anything fails, the older one is there as it was.
Of a capsule that its publisher has signed the key is shown, and remembered for its id:
one that another key has signed, or none, is refused then, unless --new-publisher says
that this is right.`,
		Args: exactly("SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := a.dir()
			if err != nil {
				return err
			}
			if req.Source = args[0]; !filepath.IsAbs(req.Source) {
				req.Source = filepath.Join(dir, req.Source)
			}
			c := consent{verb: "install", yes: req.Yes, look: req.DryRun, ask: func(yes, dry bool, only string) (in wire.Installation, err error) {
				req.Yes, req.DryRun, req.If = yes, dry, only
				return in, a.admin(cmd.Context(), op.InstallCapsule, req, &in)
			}}
			return a.consent(cmd.Context(), c)
		},
	}
	cmd.Flags().BoolVar(&req.Yes, "yes", false, "grant what the capsule asks for")
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "only say what it is and asks for")
	cmd.Flags().BoolVar(&req.NewPublisher, "new-publisher", false, "take it although another key, or none, has signed it than the version before")
	cmd.Flags().BoolVar(&req.Link, "link", false, "for its author: install it again whenever the directory changes, unless it asks for more")
	return cmd
}

func (a *app) capsuleTrustCommand() *cobra.Command {
	var yes, look bool
	cmd := &cobra.Command{
		Use:   "trust ID",
		Short: "Agree to a capsule of a workspace, or to one that has changed",
		Long: `Agrees to a capsule as it is now: it is loaded, and may do what it asks for. When a
file of it changes after that, it is ended and not loaded again until you agree to
it anew. Those that a workspace brings lie in its .astrid/capsules; they serve the
sessions of that workspace only.`,
		Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := consent{verb: "trust", yes: yes, look: look, ask: func(yes, dry bool, only string) (in wire.Installation, err error) {
				return in, a.admin(cmd.Context(), op.TrustCapsule, wire.TrustCapsule{ID: args[0], Session: a.session, Yes: yes, DryRun: dry, If: only}, &in)
			}}
			return a.consent(cmd.Context(), c)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "grant what the capsule asks for")
	cmd.Flags().BoolVar(&look, "dry-run", false, "only say what it is and asks for")
	return cmd
}

// consent is how somebody agrees to a capsule: after a look at it, to what was
// seen.
type consent struct {
	verb      string
	yes, look bool
	ask       func(yes, dry bool, only string) (wire.Installation, error)
}

func (a *app) consent(ctx context.Context, c consent) error {
	if c.yes && !c.look {
		return a.agreed(ctx, c, "", a.sayAsks)
	}
	in, err := c.ask(false, true, "")
	if err != nil {
		return err
	}
	if !a.json {
		a.sayAsks(in)
	}
	switch {
	case c.look && a.json:
		return a.print(in)
	case c.look:
		return nil
	case len(in.Asks) == 0 && c.verb == "install":
	case !a.asks() && len(in.Asks) == 0:
		return fault.New(fault.Usage, "somebody must agree to the capsule %s, and there is nobody to ask; say --yes to load it", in.ID)
	case !a.asks():
		return fault.New(fault.Usage, "the capsule %s asks to be allowed something and there is nobody to ask; say --yes to grant it", in.ID)
	case !a.confirm(ctx, "Load it and grant that?"):
		return fault.New(fault.Interrupted, "nothing has changed")
	}
	return a.agreed(ctx, c, in.Source, func(wire.Installation) {})
}

// agreed does what somebody has agreed to; say tells what that was.
func (a *app) agreed(ctx context.Context, c consent, only string, say func(wire.Installation)) error {
	end := a.attend(ctx)
	in, err := c.ask(true, false, only)
	end()
	if err != nil {
		return err
	}
	if !a.json {
		say(in)
	}
	did := c.verb + "ed"
	if in.State == "failed" {
		return fault.New(fault.Unavailable, "the capsule %s %s is %s, and is not running: %s", in.ID, in.Version, did, in.Why)
	}
	return a.done(in, "the capsule %s %s is %s and %s", in.ID, in.Version, did, in.State)
}

// sayAsks shows what a capsule is and asks for.
func (a *app) sayAsks(in wire.Installation) {
	for _, note := range in.Notes {
		fmt.Fprintln(a.Stderr, oneLine(note))
	}
	for _, line := range publisher(in) {
		fmt.Fprintln(a.Stderr, line)
	}
	fmt.Fprintf(a.Stderr, "%s %s%s", in.ID, in.Version, change(in))
	if len(in.Asks) == 0 {
		fmt.Fprintln(a.Stderr, " asks to be allowed nothing that it is not already")
	} else {
		fmt.Fprintln(a.Stderr, " asks to be allowed to")
	}
	for _, ask := range in.Asks {
		fmt.Fprintf(a.Stderr, "  %s\n", oneLine(ask))
	}
	if len(in.Drops) > 0 {
		fmt.Fprintln(a.Stderr, "and no longer to")
	}
	for _, drop := range in.Drops {
		fmt.Fprintf(a.Stderr, "  %s\n", oneLine(drop))
	}
}

// publisher says who signed a capsule, and who the one before.
func publisher(in wire.Installation) (lines []string) {
	switch {
	case in.Publisher != "" && in.Known == "":
		lines = append(lines, "signed by "+in.Publisher+", whose key is remembered for "+in.ID)
	case in.Publisher != "":
		lines = append(lines, "signed by "+in.Publisher)
	default:
		lines = append(lines, in.ID+" is not signed: nothing says who made it")
	}
	if in.Known != "" && in.Known != in.Publisher {
		lines = append(lines, "the one before was signed by "+in.Known)
	}
	return lines
}

// change names what an installation does with the version that is there.
func change(in wire.Installation) string {
	switch in.Change {
	case "upgrade":
		return ", an upgrade from " + in.Old + ","
	case "downgrade":
		return ", a downgrade from " + in.Old + ","
	case "same":
		return ", the version that is there,"
	}
	return ""
}

// granted says who agreed to a capsule, and when.
func granted(c wire.CapsuleInfo) string {
	if c.Granted.IsZero() {
		return ""
	}
	return "by " + c.GrantedBy + " at " + when(c.Granted)
}
