package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/capsule/proc"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

const runHelp = `Runs a program that sees the view in the place of the workspace, at the
workspace's own path, and can reach nothing else that matters:

  - what it writes below the workspace lands in the view, however it spells the path
  - the rest of the disk is read-only; /tmp, /var/tmp and /run are empty and its own
  - Astrid's home (keys, token, socket, control files) and well-known stores of
    credentials (~/.ssh, ~/.aws ...) are empty; --read PATH shows one of them
  - there is no network unless --net, and no process but its own
  - caches under the home directory are the session's own; the Go module cache
    can be read

A signal is handed on to the program; a second one, or five seconds after a
SIGTERM, ends it with everything that it started. (Where it shares our terminal
Ctrl-C is its own, and three in two seconds end it.)

When it ends, what differs from the workspace is listed on standard error. The
exit code is the program's, 128+n when signal n ended it, 125 when Astrid could
not run it. The sandbox is bubblewrap's where that is installed, else Astrid's
own; where it cannot be made nothing is run. A program in it can make no user
namespaces and has no io_uring.`

// ownFailure is the exit code when the command was not run.
const ownFailure = 125

func (a *app) runCommand() *cobra.Command {
	var net bool
	var read []string
	cmd := &cobra.Command{
		Use:     "run [--] CMD [ARG…]",
		Short:   "Run a program that can change nothing but the view",
		Long:    runHelp,
		Example: "  astrid run -- make test\n  astrid run --net -- npm install\n  astrid run --read ~/.ssh --net -- git fetch",
		RunE: func(cmd *cobra.Command, args []string) error {
			status, err := a.run(cmd.Context(), args, net, read)
			if err != nil {
				a.complain(cmd.Context(), err)
				return exit(ownFailure)
			}
			if status != 0 {
				return exit(status)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&net, "net", false, "let it use the network")
	cmd.Flags().StringArrayVar(&read, "read", nil, "let it read `path`, which would be hidden; may be repeated")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (a *app) run(ctx context.Context, argv []string, net bool, read []string) (int, error) {
	if len(argv) == 0 {
		return 0, fault.New(fault.Usage, "say what to run: astrid run -- CMD")
	}
	s, err := a.pick(ctx)
	if err != nil {
		return 0, err
	}
	before, err := a.callChanges(ctx, s, wire.ChangesRequest{})
	if err != nil {
		return 0, err
	}
	box, err := a.sandbox(s, net, read)
	if err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, ending()...)
	defer signal.Stop(signals)
	box.Signals = signals
	status, err := box.Run(context.WithoutCancel(ctx), argv)
	if err != nil {
		return 0, err
	}
	// A signal that was the program's does not end the report; a later one does.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), ending()...)
	defer stop()
	a.report(ctx, s, before.Digest)
	return status, nil
}

// ending are the signals that somebody sends to a program to end it.
func ending() []os.Signal {
	return []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP}
}

// sandbox describes the surroundings of a command in session s.
func (a *app) sandbox(s wire.Session, net bool, read []string) (*proc.Sandbox, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	dir, err := a.dir()
	if err != nil {
		dir = s.Base
	}
	for i, path := range read {
		if !filepath.IsAbs(path) {
			read[i] = filepath.Join(dir, path)
		}
	}
	userHome := a.Getenv("HOME")
	if !filepath.IsAbs(userHome) {
		userHome = ""
	}
	bwrap, jailer := sandboxMakers()
	return &proc.Sandbox{
		Bwrap: bwrap, Jailer: jailer,
		View: s.Workspace, Dir: s.Base, Cwd: inside(s, dir), Home: h.String(), UserHome: userHome,
		Cache: h.Cache(s.Name), Read: read, Net: net, Env: a.Environ,
		Stdin: a.Stdin, Stdout: a.Stdout, Stderr: a.Stderr,
	}, nil
}

// sandboxMakers are bubblewrap, where it is installed, and this very program,
// which makes sandboxes where it is not.
func sandboxMakers() (bwrap, jailer string) {
	bwrap, _ = exec.LookPath("bwrap")
	return bwrap, "/proc/self/exe"
}

// inside is the directory in which a command starts: the user's own, seen
// through the view, or the root of the workspace.
func inside(s wire.Session, dir string) string {
	rel, err := strip(s, "", dir)
	if err != nil {
		return s.Base
	}
	at := filepath.Join(s.Workspace, rel)
	if st, err := os.Stat(at); err != nil || !st.IsDir() {
		return s.Base
	}
	return filepath.Join(s.Base, rel)
}

// report says what the view holds after a command.
func (a *app) report(ctx context.Context, s wire.Session, before string) {
	now, err := a.callChanges(ctx, s, wire.ChangesRequest{})
	if err != nil {
		var f *fault.Error
		if errors.As(err, &f) {
			fmt.Fprintf(a.Stderr, "astrid: what changed cannot be told: %v\n", f)
		}
		return
	}
	if a.json {
		if data, err := wire.Encode(now); err == nil {
			fmt.Fprintf(a.Stderr, "%s\n", data)
		}
		return
	}
	view.AfterRun(a.Stderr, now.Changes, now.Digest != before, view.Style{Colour: a.coloured(a.Stderr)})
}
