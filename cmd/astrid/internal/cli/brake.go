package cli

import (
	"context"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/ctl/text"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const brakeHelp = `Limits how much programs may change in the view, and shows the limits and what was
used of them. Beyond a limit every change in the view fails with EDQUOT ("Disk quota
exceeded"), until it is raised here; reading, commit, undo and discard go on. What was
written to a mapped file and had not arrived by then is lost.

Each call of astrid brake that sets something lets a view go on that was stopped.
--reset counts from nothing again, --off takes all limits away. Without an option
nothing is changed. A view server that was killed counts on from when it was started.`

// brakeFlags are limits on a command line.
type brakeFlags struct {
	deleted, changed, ops int64
	bytes, rate           string
	off, reset            bool
}

func (f *brakeFlags) limits(cmd *cobra.Command, prefix string) {
	flags := cmd.Flags()
	flags.Int64Var(&f.deleted, prefix+"deleted", 0, "names that may be removed: at most `N`")
	flags.Int64Var(&f.changed, prefix+"changed", 0, "files that may be made, moved or changed: at most `N`")
	flags.StringVar(&f.bytes, prefix+"bytes", "", "bytes that may be written: at most `SIZE`, such as 100M")
	flags.Int64Var(&f.ops, prefix+"ops-per-second", 0, "changes in one second: at most `N`")
	flags.StringVar(&f.rate, prefix+"bytes-per-second", "", "bytes written in one second: at most `SIZE`")
}

// request says what was given; false when nothing was.
func (f *brakeFlags) request(cmd *cobra.Command, prefix string) (req wire.BrakeRequest, said bool, err error) {
	req.Off, req.Reset = f.off, f.reset
	said = f.off || f.reset
	for name, x := range map[string]struct {
		n    *int64
		size string
		to   **int64
	}{
		"deleted":          {&f.deleted, "", &req.Deleted},
		"changed":          {&f.changed, "", &req.Changed},
		"bytes":            {nil, f.bytes, &req.Bytes},
		"ops-per-second":   {&f.ops, "", &req.OpsPerSecond},
		"bytes-per-second": {nil, f.rate, &req.BytesPerSecond},
	} {
		if !cmd.Flags().Changed(prefix + name) {
			continue
		}
		said = true
		if x.n == nil {
			n, err := text.ParseSize(x.size)
			if err != nil {
				return req, said, err
			}
			x.n = &n
		}
		if *x.n < 0 {
			return req, said, fault.New(fault.Usage, "--%s is a number from 1 on, or 0 for no limit", prefix+name)
		}
		*x.to = x.n
	}
	return req, said, nil
}

func (a *app) brakeCommand() *cobra.Command {
	var f brakeFlags
	cmd := &cobra.Command{
		Use:     "brake",
		Short:   "Limit how much may be changed in the view",
		Long:    brakeHelp,
		Example: "  astrid brake --deleted 100 --bytes 2G\n  astrid brake --reset",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, said, err := f.request(cmd, "")
			if err != nil {
				return err
			}
			return a.brake(cmd.Context(), req, said)
		},
	}
	f.limits(cmd, "")
	cmd.Flags().BoolVar(&f.off, "off", false, "no limits but those named")
	cmd.Flags().BoolVar(&f.reset, "reset", false, "count from nothing again")
	return cmd
}

func (a *app) brake(ctx context.Context, req wire.BrakeRequest, said bool) error {
	s, err := a.pick(ctx)
	if err != nil {
		return err
	}
	var b wire.Brake
	if said {
		b, err = a.callBrake(ctx, s, req)
	} else {
		var st wire.Status
		err = a.kernel.Call(ctx, op.Status, wire.For[wire.None]{Session: s.Name}, &st)
		if st.Brake != nil {
			b = *st.Brake
		}
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.print(b)
	}
	return view.Brake(a.Stdout, b, view.Style{Colour: a.coloured(a.Stdout)})
}

func (a *app) callBrake(ctx context.Context, s wire.Session, req wire.BrakeRequest) (b wire.Brake, err error) {
	err = a.kernel.Call(ctx, op.Brake, wire.For[wire.BrakeRequest]{Session: s.Name, Request: req}, &b)
	return b, err
}
