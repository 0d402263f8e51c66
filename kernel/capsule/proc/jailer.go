package proc

import (
	"os"
	"os/exec"
	"syscall"

	"astrid/kernel/capsule/proc/jail"
	"astrid/kernel/fault"
)

// jailer is the command that makes a sandbox by our own helper. Its descriptors
// are the pipe of reports and the plan.
func (s *Sandbox) jailer(mounts []jail.Mount, argv []string) (*exec.Cmd, error) {
	p := &jail.Plan{
		Mounts: mounts, Net: s.Net, NewSession: newSession(s.Stdin, s.Stdout, s.Stderr), Cwd: s.Cwd,
		Argv: append([]string{shell, "-c", `exec "$@"`, "astrid-run"}, argv...), Env: s.environ(), Filter: jail.Filter(s.Net),
	}
	f, err := p.File()
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "hand the plan of the sandbox to its maker")
	}
	cmd := exec.Command(s.Jailer, jail.Args()...)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = jail.Env()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}
