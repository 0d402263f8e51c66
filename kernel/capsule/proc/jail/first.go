package jail

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// first is the first process of the sandbox.
func (h *helper) first() error {
	surviveTerminal()
	// Nobody inside may trace it or go through its /proc to what it came from.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if err := settle(h.plan.Mounts); err != nil {
		return fmt.Errorf("make the file system: %w", err)
	}
	if !h.plan.Net {
		if err := loopback(); err != nil {
			return fmt.Errorf("make the network: %w", err)
		}
	}
	pid, err := h.start("enter", h.below())
	if err != nil {
		return fmt.Errorf("start the program: %w%s", err, obstacle(err))
	}
	h.memory.Close()
	status, err := waitFor(pid)
	if err != nil {
		return err
	}
	h.say("exit-code", code(status))
	os.Exit(0)
	return nil
}

// below is the user namespace of the program, in which it has the uid that it
// has outside.
func (h *helper) below() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: h.plan.UID, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: h.plan.GID, HostID: 0, Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SETPCAP}, // for emptying its bounding set
		Setsid:      h.plan.NewSession,
	}
}

// code is a status as shells tell it.
func code(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// loopback brings up the only interface of a network namespace.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return os.NewSyscallError("ioctl", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo))
}
