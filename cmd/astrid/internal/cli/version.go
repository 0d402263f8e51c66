package cli

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// versions is what `astrid version --json` prints.
type versions struct {
	Program wire.VersionReply  `json:"program"`
	Kernel  *wire.VersionReply `json:"kernel,omitempty"` // absent when none is running
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say what this program is, and the kernel that is running",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.version(cmd.Context()) },
	}
}

func (a *app) version(ctx context.Context) error {
	v := versions{Program: wire.VersionReply{
		Version: wire.Version, Protocol: wire.Protocol, Build: a.Build, Go: runtime.Version(),
	}}
	_, err := a.dial(ctx)
	if err == nil {
		v.Kernel = new(wire.VersionReply)
		err = a.kernel.Call(ctx, op.Version, nil, v.Kernel)
	}
	if err != nil && !fault.Is(err, fault.NotRunning) {
		return err
	}
	if a.json {
		return a.print(v)
	}
	if err := a.say("astrid %s (%s, %s)\n", v.Program.Version, v.Program.Build, v.Program.Go); err != nil || v.Kernel == nil {
		return err
	}
	if v.Kernel.Build != v.Program.Build {
		return a.say("the kernel that is running is another build: %s (%s, %s)\n", v.Kernel.Version, v.Kernel.Build, v.Kernel.Go)
	}
	return nil
}
