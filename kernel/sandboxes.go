package kernel

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/capsule/proc"
	"astrid/kernel/fault"
)

// sandboxes run programs of a capsule, each in a sandbox around a session's view.
type sandboxes struct {
	k  *Kernel
	id capsule.ID
}

var _ host.Runner = sandboxes{}

// Run implements host.Runner, and records what was run.
func (s sandboxes) Run(ctx context.Context, session string, argv []string, stdout, stderr io.Writer) (code int, err error) {
	ended := s.k.witness.program(ctx, s.id, session, argv)
	defer func() { ended(code, err) }()
	return s.run(ctx, session, argv, stdout, stderr)
}

func (s sandboxes) run(ctx context.Context, session string, argv []string, stdout, stderr io.Writer) (int, error) {
	view, base, err := s.k.workspace(session)
	if err != nil {
		return 0, err
	}
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return 0, fault.Wrap(fault.KindOf(err), err, "start %.64q", argv[0])
	}
	defer nothing.Close()
	out, outDone, err := pipe(stdout)
	if err != nil {
		return 0, err
	}
	errs, errsDone, err := pipe(stderr)
	if err != nil {
		out.Close()
		outDone.Wait()
		return 0, err
	}
	box := s.k.sandbox(view, base, s.k.Home.Cache(session))
	box.Stdin, box.Stdout, box.Stderr = nothing, out, errs
	code, err := box.Run(ctx, argv)
	out.Close()
	errs.Close()
	outDone.Wait()
	errsDone.Wait()
	if code > 128 {
		code = -1 // a signal ended it
	}
	return code, err
}

// sandbox is one around a view, for a program of a capsule.
func (k *Kernel) sandbox(view, dir, cache string) proc.Sandbox {
	return proc.Sandbox{
		Bwrap: k.config.Bwrap, Jailer: k.config.Jailer, View: view, Dir: dir, Cwd: dir, Home: k.Home.String(), UserHome: k.config.UserHome,
		Cache: cache, Env: allowed(k.config.Environ),
	}
}

// pipe is a file whose bytes go to w.
func pipe(w io.Writer) (*os.File, *sync.WaitGroup, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, nil, fault.Wrap(fault.KindOf(err), err, "make a pipe")
	}
	var done sync.WaitGroup
	done.Go(func() {
		defer from.Close()
		if _, err := io.Copy(w, from); err != nil {
			_, _ = io.Copy(io.Discard, from) // the program is not to hang on its output
		}
	})
	return to, &done, nil
}

// allowed is what a capsule's program gets of the environment (section 14.2 of
// the 0.2 protocol).
func allowed(environ []string) []string {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
	for _, v := range environ {
		if name, _, _ := strings.Cut(v, "="); slices.Contains([]string{"HOME", "USER", "SHELL", "TERM", "LANG"}, name) {
			env = append(env, v)
		}
	}
	return env
}
