package jail

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// MaxProcesses is how many processes and threads a program may have.
const MaxProcesses = 8192

// enter gives up what this process has and becomes the program.
func (h *helper) enter() error {
	if err := os.Chdir(h.plan.Cwd); err != nil {
		return fmt.Errorf("enter the directory of the program: %w", err)
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"bound the program's resources", limit},
		{"take away its capabilities", dropCapabilities},
		{"forbid it new privileges", func() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }},
		{"confine its writing", func() error { return confine(h.plan.Mounts) }},
		{"close what it must not inherit", func() error { return unix.CloseRange(StatusFD, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC) }},
		{"filter its system calls", func() error { return load(h.plan.Filter) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	err := syscall.Exec(h.plan.Argv[0], h.plan.Argv, h.plan.Env)
	return fmt.Errorf("start %s: %w", h.plan.Argv[0], err)
}

// limit sets the limits of resources.
func limit() error {
	if err := syscall.Setrlimit(unix.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return err
	}
	var now syscall.Rlimit
	if err := syscall.Getrlimit(unix.RLIMIT_NPROC, &now); err != nil {
		return err
	}
	return syscall.Setrlimit(unix.RLIMIT_NPROC, &syscall.Rlimit{Cur: min(now.Cur, MaxProcesses), Max: min(now.Max, MaxProcesses)})
}
