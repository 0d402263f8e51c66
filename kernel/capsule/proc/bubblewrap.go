package proc

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"astrid/kernel/capsule/proc/jail"
	"astrid/kernel/fault"
)

// limited is the script that becomes the program: bubblewrap sets no limits.
func limited() string {
	return fmt.Sprintf(`ulimit -c 0; { ulimit -u %[1]d || ulimit -p %[1]d; } 2>/dev/null; exec "$@"`, jail.MaxProcesses)
}

// bubblewrap is the command that makes a sandbox by bubblewrap. Its descriptors
// are the pipe of reports, and the filter if there is one.
func (s *Sandbox) bubblewrap(mounts []jail.Mount, argv []string) (*exec.Cmd, error) {
	alone := newSession(s.Stdin, s.Stdout, s.Stderr)
	args := s.namespaces(alone)
	for _, m := range mounts {
		args = append(args, bwrapArgs(m)...)
	}
	// The filter does not hold bubblewrap's first process: nobody is to reach it.
	args = append(args, bwrapArgs(jail.Mount{Kind: jail.Tmpfs, At: "/proc/1", Mode: 0o555})...)
	args = append(args, "--chdir", s.Cwd, "--json-status-fd", "3")
	var extra []*os.File
	if filter := jail.Filter(s.Net); filter != nil {
		f, err := jail.Memory("filter", func(w io.Writer) error {
			_, err := w.Write(filter)
			return err
		})
		if err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "hand the filter of system calls to bubblewrap")
		}
		extra = append(extra, f)
		args = append(args, "--seccomp", "4")
	}
	args = append(args, "--", shell, "-c", limited(), "astrid-run")
	cmd := exec.Command(s.Bwrap, append(args, argv...)...)
	cmd.ExtraFiles = extra
	cmd.Env = s.environ()
	// A key that the terminal sends is the program's, not the end of bubblewrap.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: alone}
	return cmd, nil
}

func (s *Sandbox) namespaces(alone bool) []string {
	args := []string{"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"}
	if !s.Net {
		args = append(args, "--unshare-net")
	}
	args = append(args, "--cap-drop", "ALL", "--die-with-parent")
	if alone {
		args = append(args, "--new-session")
	}
	return args
}

// bwrapArgs are the arguments that make one mount.
func bwrapArgs(m jail.Mount) []string {
	switch m.Kind {
	case jail.Bind:
		return []string{"--bind", m.Source, m.At}
	case jail.ReadOnlyBind:
		return []string{"--ro-bind", m.Source, m.At}
	case jail.Tmpfs:
		return []string{"--perms", fmt.Sprintf("%04o", m.Mode), "--tmpfs", m.At}
	case jail.Dev:
		return []string{"--dev", m.At}
	case jail.Proc:
		return []string{"--proc", m.At}
	case jail.Symlink:
		return []string{"--symlink", m.Source, m.At}
	}
	return []string{"--no-such-mount"} // bubblewrap refuses it
}
