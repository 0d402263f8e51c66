package proc

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"astrid/kernel/capsule/proc/jail"
	"astrid/kernel/fault"
)

// Sandbox describes the surroundings of one program. All paths are absolute.
type Sandbox struct {
	Bwrap    string   // the bubblewrap program; empty when there is none
	Jailer   string   // without Bwrap, a program whose main calls jail.Main; empty when there is none
	View     string   // where the view is mounted
	Dir      string   // the workspace, over whose path the view is bound
	Cwd      string   // where the program starts, as it will see it
	Home     string   // Astrid's home
	UserHome string   // may be empty
	Cache    string   // private directory for the program's caches; made when missing
	Read     []string // paths that are to be readable although they would be hidden
	Program  string   // directory that is shown at Program although it lies in Home; empty: none
	Net      bool
	Env      []string

	Stdin, Stdout, Stderr *os.File
	// Signals are handed on to the program; one that it does not heed ends the
	// sandbox (see forward.go).
	Signals <-chan os.Signal
}

// Program is where Sandbox.Program is in the sandbox, read-only.
const Program = "/run/astrid-capsule"

// shell lets a missing program have the status that shells give it (127), which
// bubblewrap cannot tell from its own failures.
const shell = "/bin/sh"

// Run runs argv and returns its exit status, 128+n when signal n ended it. An
// error says that it did not run.
func (s *Sandbox) Run(ctx context.Context, argv []string) (int, error) {
	if len(argv) == 0 {
		return 0, fault.New(fault.Usage, "there is no command to run")
	}
	if s.Bwrap == "" && s.Jailer == "" {
		return 0, fault.New(fault.Unsupported, "nothing here can make a sandbox, and nothing was run without one: install the package bubblewrap")
	}
	mounts, err := s.mounts()
	if err != nil {
		return 0, err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return 0, fault.Wrap(fault.KindOf(err), err, "make a pipe to the sandbox")
	}
	defer told.Close()
	cmd, err := s.maker(mounts, argv)
	if err != nil {
		tell.Close()
		return 0, err
	}
	cmd.ExtraFiles = append([]*os.File{tell}, cmd.ExtraFiles...)
	return s.start(ctx, cmd, told)
}

// maker is what makes the sandbox: bubblewrap where it is known, else our own
// helper. One that fails is not replaced by the other.
func (s *Sandbox) maker(mounts []jail.Mount, argv []string) (*exec.Cmd, error) {
	if s.Bwrap != "" {
		return s.bubblewrap(mounts, argv)
	}
	return s.jailer(mounts, argv)
}

// start runs the maker, whose extra files it closes.
func (s *Sandbox) start(ctx context.Context, cmd *exec.Cmd, told *os.File) (int, error) {
	// The maker dies with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Stdin, s.Stdout, s.Stderr
	cmd.Dir = "/"
	err := keepDescriptors()
	if err == nil {
		err = cmd.Start()
	}
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}
	if err != nil {
		return 0, fault.Wrap(fault.Unsupported, err, "start what makes the sandbox")
	}
	st := newStatus()
	go st.read(told)
	stop := make(chan struct{})
	forwarded := make(chan struct{})
	go func() {
		defer close(forwarded)
		s.newWarden(cmd.Process, st).watch(ctx, s.Signals, stop)
	}()
	waitErr := cmd.Wait()
	close(stop)
	<-forwarded
	<-st.ended
	return verdict(waitErr, st)
}

// keepDescriptors has all descriptors of this process end with it: one that it
// was given by its own caller may lead anywhere.
func keepDescriptors() error {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range all {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// verdict tells the end of the program from a sandbox that was not made: an exit
// code is reported only when the program was started.
func verdict(waitErr error, st *status) (int, error) {
	if said := st.refusal(); said != "" {
		return 0, fault.New(fault.Unsupported, "the sandbox could not be made, and nothing was run without it: %s", said)
	}
	if code, ok := st.exitCode(); ok {
		return code, nil
	}
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
	}
	return 0, fault.New(fault.Unsupported,
		"the sandbox could not be made, and nothing was run without it (its maker says why above); unprivileged user namespaces must be allowed: "+
			"sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns, user.max_user_namespaces")
}

// newSession tells whether the program must not share our terminal: where the
// machine lets a program type into its terminal, it could type commands that
// run outside.
func newSession(files ...*os.File) bool {
	setting, err := os.ReadFile("/proc/sys/dev/tty/legacy_tiocsti")
	if err == nil && len(setting) > 0 && setting[0] == '0' {
		return false
	}
	if tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0); err == nil {
		tty.Close()
		return true // reachable by its name, whatever the files are
	}
	for _, f := range files {
		if f == nil {
			continue
		}
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			return true
		}
	}
	return false
}

// real is path without symbolic links as far as it exists.
func real(path string) string {
	path = filepath.Clean(path)
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	if path == "/" {
		return path
	}
	return filepath.Join(real(filepath.Dir(path)), filepath.Base(path))
}
