package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const upHelp = `Makes a view of a workspace, or finds the one that is there, and prints its
path. The view is a real directory: everything works in it, and nothing that is
done in it reaches the workspace before astrid commit.

DIR is the workspace. Without it, it is the project around the current
directory: the nearest directory upwards with a .astrid, else with a .git, else
with an ASTRID.md, else the current directory itself.

Doing it again is harmless, and after a crash or a reboot it brings everything
back that the view had acknowledged: what a write returned for. With --writeback
the machine collects what is written, which makes many small writes several times
faster; then only what was closed or synced is sure to outlive the view's server.
The session keeps that until astrid up --writeback=false, after astrid down.

What the view has not changed follows the workspace, and a file that it has only
moved, or given another mode, is still the workspace's: deleted there, it cannot be
read any more. With --pin the view takes a copy of a file when it first says
anything of it, and of one in a directory that it has moved when it is first read;
then nothing that is done in the workspace takes that away.`

func (a *app) upCommand() *cobra.Command {
	var foreground, yes, writeback, pin bool
	var brake brakeFlags
	cmd := &cobra.Command{
		Use:   "up [DIR]",
		Short: "Make a view of a workspace and print its path",
		Long:  upHelp,
		Example: `  cd "$(astrid up)"                      work in a view of this project
  astrid up ~/src/site --session draft   a second view of it, by name
  astrid up --writeback                  small writes are fast, and safe from close on
  astrid up --foreground                 keep the kernel here; Ctrl-C ends it`,
		Args: upTo(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := a.upRequest(cmd.Context(), args, yes)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("writeback") {
				req.Writeback = &writeback
			}
			if cmd.Flags().Changed("pin") {
				req.Pin = &pin
			}
			limits, limited, err := brake.request(cmd, "max-")
			switch {
			case err != nil:
				return err
			case foreground && limited:
				return fault.New(fault.Usage, "--foreground keeps the kernel here, and sets no limits: say astrid brake when it is up")
			case foreground:
				return a.upForeground(cmd.Context(), req)
			case limited:
				return a.up(cmd.Context(), req, &limits)
			}
			return a.up(cmd.Context(), req, nil)
		},
	}
	brake.limits(cmd, "max-")
	cmd.Flags().BoolVar(&foreground, "foreground", false, "keep the kernel in the foreground")
	cmd.Flags().BoolVar(&writeback, "writeback", false, "let the machine collect writes until close or fsync")
	cmd.Flags().BoolVar(&pin, "pin", false, "copy files of the workspace that the view moves or describes")
	cmd.Flags().BoolVar(&yes, "yes", false, "agree to a workspace as large as / or the home directory")
	return cmd
}

// upRequest says what the command line asks for.
func (a *app) upRequest(ctx context.Context, args []string, yes bool) (wire.Up, error) {
	if len(args) == 1 && args[0] == "" {
		return wire.Up{}, fault.New(fault.Usage, "the workspace is an empty name (an unset variable?); leave it away to mean the current directory's project")
	}
	dir, err := a.dir()
	if len(args) == 1 && filepath.IsAbs(args[0]) {
		dir, err = filepath.Clean(args[0]), nil
	} else if len(args) == 1 {
		dir = filepath.Join(dir, args[0])
	}
	if err != nil {
		return wire.Up{}, err
	}
	if !utf8.ValidString(dir) {
		return wire.Up{}, fault.New(fault.Usage, "the path %q is not UTF-8, which the records of a session need; rename the directory or reach it by another path", dir)
	}
	if len(args) == 0 {
		if s, ok := a.standing(ctx, dir); ok {
			return wire.Up{Dir: s.Base, Session: s.Name, Confirmed: true}, nil
		}
		dir = projectRoot(dir)
	} else if root := projectRoot(dir); root != dir && !a.json {
		fmt.Fprintf(a.Stderr, "note: %s is a part of the project %s; the view will hold this part only\n", dir, root)
	}
	return wire.Up{Dir: dir, Session: a.session, Confirmed: yes}, nil
}

// standing finds the session in whose view the user stands: that is what they
// mean, rather than a view of a view.
func (a *app) standing(ctx context.Context, dir string) (wire.Session, bool) {
	h, err := a.dial(ctx)
	if err != nil || !within(real(dir), real(h.Sessions())) && !within(dir, h.Sessions()) {
		return wire.Session{}, false
	}
	list, err := a.list(ctx)
	if err != nil {
		return wire.Session{}, false
	}
	around := closest(list, dir)
	if len(around) != 1 || a.session != "" && a.session != around[0].Name {
		return wire.Session{}, false
	}
	return around[0], true
}

// projectRoot is the nearest directory from dir upwards with a .astrid, else
// with a .git, else with an ASTRID.md, else dir.
func projectRoot(dir string) string {
	for _, mark := range []string{".astrid", ".git", "ASTRID.md"} {
		for at := dir; ; at = filepath.Dir(at) {
			if _, err := os.Lstat(filepath.Join(at, mark)); !errors.Is(err, fs.ErrNotExist) && err == nil {
				return at
			}
			if at == filepath.Dir(at) {
				break
			}
		}
	}
	return dir
}

// up asks the kernel, which it starts when there is none. limits, when there are any,
// are set before the path of the view is printed.
func (a *app) up(ctx context.Context, req wire.Up, limits *wire.BrakeRequest) error {
	started, err := a.wake(ctx)
	if err != nil {
		return err
	}
	s, err := a.callUp(ctx, req)
	if err != nil {
		if started {
			a.letSleep(context.WithoutCancel(ctx))
		}
		return err
	}
	if limits != nil {
		if _, err := a.callBrake(ctx, s, *limits); err != nil {
			return err
		}
	}
	if err := a.announce(s); err != nil || a.json {
		return err
	}
	a.sayBrought(ctx, s)
	return nil
}

// sayBrought names the capsules that a workspace brings and nobody has agreed to.
func (a *app) sayBrought(ctx context.Context, s wire.Session) {
	var list []wire.CapsuleInfo
	if a.kernel.Call(ctx, op.CapsuleInfos, nil, &list) != nil {
		return // it is only advice
	}
	var ids []string
	for _, c := range list {
		if c.State == "untrusted" && c.Workspace == s.Base {
			ids = append(ids, c.ID)
		}
	}
	if len(ids) > 0 {
		fmt.Fprintf(a.Stderr, "the workspace brings capsules that are not loaded: %s; astrid capsule trust ID shows what one asks for\n", strings.Join(ids, ", "))
	}
}

// wake connects to the kernel and starts it when there is none.
func (a *app) wake(ctx context.Context) (started bool, err error) {
	h, err := a.dial(ctx)
	if err == nil || !fault.Is(err, fault.NotRunning) {
		return false, err
	}
	if err := client.Start(ctx, a.Exe, h, a.Environ); err != nil {
		return false, err
	}
	_, err = a.dial(ctx)
	return true, err
}

// letSleep ends a kernel that was started for nothing.
func (a *app) letSleep(ctx context.Context) {
	list, err := a.list(ctx)
	if err != nil {
		return
	}
	for _, s := range list {
		if s.State != "stopped" && s.State != "failed" {
			return
		}
	}
	if a.kernel.Call(ctx, op.Shutdown, wire.ShutdownRequest{Reason: "started for a session that did not come up"}, nil) == nil {
		a.awaitEnd(ctx)
	}
}

// callUp asks for the session; on a terminal it asks the user what the kernel
// wants confirmed.
func (a *app) callUp(ctx context.Context, req wire.Up) (wire.Session, error) {
	var s wire.Session
	a.acting = true
	err := a.kernel.Call(ctx, op.Up, req, &s)
	if fault.Is(err, fault.Denied) && !req.Confirmed && a.asks() {
		fmt.Fprintf(a.Stderr, "%v\n", err)
		a.acting = false
		if !a.confirm(ctx, fmt.Sprintf("Make a view of all of %s?", req.Dir)) {
			return s, fault.New(fault.Interrupted, "nothing was done")
		}
		req.Confirmed, a.acting = true, true
		err = a.kernel.Call(ctx, op.Up, req, &s)
	}
	return s, err
}

func (a *app) announce(s wire.Session) error {
	if a.json {
		return a.print(s)
	}
	fmt.Fprintf(a.Stdout, "%s\n", s.Workspace)
	view.Advice(a.Stderr, s)
	return nil
}
