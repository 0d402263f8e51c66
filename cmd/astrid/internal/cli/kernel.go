package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"astrid/kernel"
	"astrid/kernel/client"
	"astrid/kernel/config"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/view"
	"astrid/kernel/wire"
)

func (a *app) kernelCommand() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:    "kernel",
		Short:  "Be the kernel of a home",
		Long:   "Runs the kernel in this process. astrid up does it when none is running; SIGTERM ends it and keeps all work.",
		Args:   noArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.homeAt(at)
			if err != nil {
				return err
			}
			if err := view.ShedDescriptors(); err != nil {
				return err
			}
			return a.serveKernel(cmd.Context(), kernel.Config{Home: h}, nil)
		},
	}
	cmd.Flags().StringVar(&at, "home", "", "Astrid's home, instead of that of the environment")
	return cmd
}

func (a *app) homeAt(dir string) (home.Home, error) {
	if dir == "" {
		return a.home()
	}
	return home.At(dir)
}

// serveKernel boots a kernel, calls ready, and serves until a signal or until
// there is nothing left to serve.
func (a *app) serveKernel(ctx context.Context, c kernel.Config, ready func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	// One processor is what a small machine gives; a reader of ctl may be a child
	// of this process and must not wait for itself.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 2))
	if err := keepSecrets(); err != nil {
		return err
	}
	c.UserHome, c.Environ, c.Build, c.Lookup, c.Level = a.userHome(), withoutSystemd(a.Environ), a.Build, a.Getenv, new(slog.LevelVar)
	log, err := a.serverLog(c.Home)
	if err != nil {
		return err
	}
	defer log.Close()
	c.Log = slog.New(kernelHandler(io.MultiWriter(a.Stderr, log), c))
	c.Bwrap, c.Jailer = sandboxMakers()
	if c.Listener, err = activated(); err != nil {
		return err
	}
	k, err := kernel.New(ctx, c)
	if err != nil {
		return err
	}
	a.notify(daemon.SdNotifyReady)
	defer a.notify(daemon.SdNotifyStopping)
	if ready == nil {
		return k.Run(ctx)
	}
	failed := make(chan error, 1)
	go func() {
		err := ready(ctx)
		if err != nil {
			k.Shutdown("the session did not come up")
		}
		failed <- err
	}()
	err = k.Run(ctx)
	if readyErr := <-failed; readyErr != nil {
		return readyErr
	}
	return err
}

// kernelHandler writes the kernel's log in the form that is configured. What is
// wrong with the configuration the boot says, in text.
func kernelHandler(w io.Writer, c kernel.Config) slog.Handler {
	options := &slog.HandlerOptions{Level: c.Level}
	settings, _, err := config.Load(config.Sources{System: cmp.Or(c.SystemConfig, config.System), Home: c.Home.Config(), Lookup: c.Lookup})
	if err == nil && settings.LogJSON {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// keepSecrets keeps the keys and tokens of this process out of core files and
// away from other processes of the same user.
func keepSecrets() error {
	err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if err == nil {
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	}
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "keep this process from being dumped")
	}
	return nil
}

func (a *app) userHome() string {
	if dir := a.Getenv("HOME"); filepath.IsAbs(dir) {
		return dir
	}
	return ""
}

// log is the log of a server: lines on standard error, which is a file unless
// somebody watches.
func (a *app) log() *slog.Logger { return slog.New(slog.NewTextHandler(a.Stderr, nil)) }

// serverLog opens the kernel's log for a kernel that somebody watches. One whose
// standard error is the log itself writes it once.
func (a *app) serverLog(h home.Home) (io.WriteCloser, error) {
	if err := h.Ensure(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(h.KernelLog(), os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "open the kernel's log")
	}
	log, err := f.Stat()
	if said, saidErr := a.Stderr.Stat(); err == nil && saidErr == nil && os.SameFile(log, said) {
		return nopCloser{io.Discard}, f.Close()
	}
	return f, err
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// upForeground is up with the kernel in this process.
func (a *app) upForeground(ctx context.Context, req wire.Up) error {
	h, err := a.home()
	if err != nil {
		return err
	}
	if c, err := client.Dial(ctx, h); err == nil {
		c.Close()
		return fault.New(fault.Exists, "a kernel is running already, so it cannot be kept in the foreground; leave --foreground away, or end it with astrid down")
	}
	return a.serveKernel(ctx, kernel.Config{Home: h}, func(ctx context.Context) error {
		if _, err := a.dial(ctx); err != nil {
			return err
		}
		s, err := a.callUp(ctx, req)
		if err != nil {
			return err
		}
		if !a.json {
			fmt.Fprintln(a.Stderr, "the kernel stays in the foreground; Ctrl-C ends it and keeps all work")
		}
		return a.announce(s)
	})
}

func (a *app) viewServerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "view-server",
		Short:  "Serve one session's view",
		Long:   "Serves the view of one session in this process. The kernel starts it; SIGTERM ends it and keeps all work.",
		Args:   noArgs,
		Hidden: true,
		RunE:   func(cmd *cobra.Command, _ []string) error { return a.serveView(cmd.Context()) },
	}
}

func (a *app) serveView(ctx context.Context) error {
	h, err := a.home()
	if err != nil {
		return err
	}
	if err := view.ShedDescriptors(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	return view.Run(context.WithoutCancel(ctx), view.Config{
		Home: h, Session: a.session, Build: a.Build, Signals: signals, Log: a.log(),
	})
}
