package jail

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// self is this very program, even when its file was replaced.
const self = "/proc/self/exe"

// monitor starts the first process of the sandbox and ends with it.
func (h *helper) monitor() error {
	surviveTerminal()
	if err := dieWithParent(); err != nil {
		return err
	}
	pid, err := h.start("init", h.namespaces())
	if err != nil {
		return fmt.Errorf("make the namespaces: %w%s", err, obstacle(err))
	}
	h.say("child-pid", pid)
	status, err := waitFor(pid)
	if err != nil {
		return err
	}
	if status.Signaled() || status.ExitStatus() != 0 {
		// It was killed, or it has said what is wrong: this is no program's status.
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	os.Exit(0)
	return nil
}

// namespaces are the attributes of the first process.
func (h *helper) namespaces() *syscall.SysProcAttr {
	flags := unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if _, err := os.Stat("/proc/self/ns/cgroup"); err == nil {
		flags |= unix.CLONE_NEWCGROUP
	}
	if !h.plan.Net {
		flags |= unix.CLONE_NEWNET
	}
	return &syscall.SysProcAttr{
		Cloneflags:  uintptr(flags),
		Pdeathsig:   syscall.SIGKILL,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
}

// start starts the next stage with our descriptors and nobody else's.
func (h *helper) start(stage string, attr *syscall.SysProcAttr) (int, error) {
	return syscall.ForkExec(self, []string{"astrid", verb, stage}, &syscall.ProcAttr{
		Env:   Env(),
		Files: []uintptr{0, 1, 2, StatusFD, PlanFD},
		Sys:   attr,
	})
}

// waitFor reaps whatever ends until pid does.
func waitFor(pid int) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		switch got, err := syscall.Wait4(-1, &status, 0, nil); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, os.NewSyscallError("wait4", err)
		case got == pid:
			return status, nil
		}
	}
}

// surviveTerminal leaves the signals of the terminal to the program. They are
// caught, not ignored: the program would inherit that.
func surviveTerminal() {
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGPIPE)
}

// dieWithParent is for a parent that died before the kernel was asked to tell.
func dieWithParent() error {
	parent := os.Getppid()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if os.Getppid() != parent {
		os.Exit(1)
	}
	return nil
}
