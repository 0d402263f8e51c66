package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"astrid/kernel"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const daemonHelp = `Runs the kernel in this process, as clients of Astrid 0.2 start it: the option
--session may be the id that they give, which names no session here, and
--workspace brings up a session on a directory. SIGTERM ends it and keeps all
work. astrid up does the same in the background.

It ends by itself when nobody has needed it for ASTRID_IDLE_TIMEOUT_SECS seconds
(default 300), or gateway.idle_shutdown_secs in config.toml (-1: never).`

func (a *app) daemonCommand() *cobra.Command {
	var workspace string
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Be the kernel, or look at the one that runs, stop it, restart it",
		Long:  daemonHelp,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.home()
			if err != nil {
				return err
			}
			if err := a.shedDescriptors(); err != nil {
				return err
			}
			c := kernel.Config{Home: h, Workspace: workspace, Session: a.session}
			if workspace != "" {
				if c.Workspace, err = filepath.Abs(workspace); err != nil {
					return fault.Wrap(fault.Usage, err, "find the workspace")
				}
			}
			if _, err := wire.ParseUUID(a.session); err == nil {
				c.Session = ""
			}
			return a.serveKernel(cmd.Context(), c, nil)
		},
	}
	cmd.Flags().StringVar(&workspace, "workspace", "", "bring up a session on this `DIR`")
	cmd.AddCommand(a.daemonStatusCommand(), a.daemonStopCommand(), a.daemonRestartCommand(), a.daemonLogCommand(), a.daemonMetricsCommand())
	return cmd
}

func (a *app) daemonStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say what the kernel is doing and why it is up", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := a.dial(cmd.Context()); err != nil {
				return err
			}
			var k wire.KernelStatus
			if err := a.kernel.Call(cmd.Context(), op.About, nil, &k); err != nil {
				return err
			}
			if a.json {
				return a.print(k)
			}
			fmt.Fprintf(a.Stdout, "kernel     %d, up for %s, booted in %.0f ms\nhome       %s\nclients    %d now, %d refused, %d too slow\noperations %d done, %d failed\naudit      %d records\n",
				k.PID, (time.Duration(k.Uptime) * time.Second).String(), k.BootSeconds*1000, oneLine(k.Home), k.Clients, k.Refused, k.SlowClients, k.OpsDone, k.OpsFailed, k.AuditHead)
			if k.AuditFailed != "" {
				fmt.Fprintf(a.Stdout, "           %s\n", oneLine(k.AuditFailed))
			}
			for _, why := range k.StaysUp {
				fmt.Fprintf(a.Stdout, "needed by  %s\n", oneLine(why))
			}
			for _, s := range k.Sessions {
				fmt.Fprintf(a.Stdout, "session    %s, %s, %s\n", s.Name, s.State, oneLine(s.Base))
			}
			return nil
		},
	}
}

// stopWait is how long a stop may take from here.
const stopWait = 40 * time.Second

// stopKernel asks the kernel to stop and waits until its lock is free.
func (a *app) stopKernel(ctx context.Context) error {
	h, err := a.dial(ctx)
	if err != nil {
		return err
	}
	var k wire.KernelStatus
	if err := a.kernel.Call(ctx, op.About, nil, &k); err != nil {
		return err
	}
	if err := a.kernel.Call(ctx, op.Shutdown, wire.ShutdownRequest{Reason: "astrid daemon stop"}, nil); err != nil {
		return err
	}
	a.hangUp()
	a.kernel = nil
	return awaitEnd(ctx, h)
}

// awaitEnd waits until no kernel holds the lock of a home.
func awaitEnd(ctx context.Context, h home.Home) error {
	deadline := time.Now().Add(stopWait)
	for kernel.Running(h) {
		if time.Now().After(deadline) {
			return fault.New(fault.Busy, "the kernel has not ended after %v; %s says where it is", stopWait, h.KernelLog())
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (a *app) daemonStopCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "Stop the kernel and every view that nobody works in", Args: noArgs,
		Long: "Stops the kernel. Uncommitted work is kept; a view in which programs work stays up.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.stopKernel(cmd.Context()); err != nil {
				return err
			}
			return a.done(wire.None{}, "stopped")
		},
	}
}

func (a *app) daemonRestartCommand() *cobra.Command {
	return &cobra.Command{
		Use: "restart", Short: "Stop the kernel and start it again with the sessions that were up", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			var before []wire.Session
			if _, err := a.dial(ctx); err == nil {
				if before, err = a.list(ctx); err != nil {
					return err
				}
				if err := a.stopKernel(ctx); err != nil {
					return err
				}
			} else if !fault.Is(err, fault.NotRunning) {
				return err
			}
			if _, err := a.wake(ctx); err != nil {
				return err
			}
			for _, s := range before {
				if s.State == "stopped" {
					continue
				}
				if _, err := a.callUp(ctx, wire.Up{Dir: s.Base, Session: s.Name, Confirmed: true}); err != nil {
					return err
				}
			}
			return a.done(wire.None{}, "restarted")
		},
	}
}

func (a *app) daemonLogCommand() *cobra.Command {
	var req wire.LogRequest
	cmd := &cobra.Command{
		Use: "log", Short: "Print the end of the kernel's log", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := a.dial(cmd.Context()); err != nil {
				return err
			}
			return a.kernel.CallStream(cmd.Context(), op.Log, req, nil, a.Stdout)
		},
	}
	cmd.Flags().IntVar(&req.Lines, "lines", 200, "how many")
	return cmd
}

func (a *app) daemonMetricsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "metrics", Short: "Print what the kernel counts, in the text format of Prometheus", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := a.dial(cmd.Context()); err != nil {
				return err
			}
			return a.kernel.CallStream(cmd.Context(), op.Metrics, nil, nil, a.Stdout)
		},
	}
}
