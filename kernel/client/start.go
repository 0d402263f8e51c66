package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
)

const (
	startPause   = 10 * time.Millisecond
	startTimeout = time.Minute
	maxLog       = 8 << 20 // bytes of kernel.log before it is put aside
	logTail      = 4 << 10 // bytes of it searched for the last line
)

// Start makes sure that a kernel of the home runs and accepts clients: it
// spawns `exe kernel --home H`, detached from terminal, session, directory and
// descriptors of the caller, and waits for the ready file. A kernel that is
// there already, or that somebody else starts at the same moment, is as good.
// When the child dies first, the error is the last line that it logged. environ
// is the child's environment, nil for the caller's.
func Start(ctx context.Context, exe string, h home.Home, environ []string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if up, err := running(ctx, h); up || err != nil {
		return err
	}
	if err := h.Ensure(); err != nil {
		return err
	}
	log, mark, err := openLog(h.KernelLog())
	if err != nil {
		return err
	}
	defer log.Close()
	child, err := spawn(exe, h, environ, log)
	if err != nil {
		return err
	}
	return await(ctx, child, h, mark)
}

// running tells whether a kernel serves: it answers a handshake and is neither
// booting nor stopping. A kernel that refuses this client is an error.
func running(ctx context.Context, h home.Home) (bool, error) {
	c, err := Dial(ctx, h)
	if err == nil {
		defer c.Close()
		err = c.Call(ctx, op.Version, nil, nil)
	}
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() == nil && (fault.Is(err, fault.NotRunning) || fault.Is(err, fault.Unavailable)):
		return false, nil
	}
	return false, err
}

// openLog opens the kernel's log for appending and returns its present length.
// A long one is put aside first.
func openLog(path string) (*os.File, int64, error) {
	if st, err := os.Lstat(path); err == nil && st.Size() > maxLog {
		_ = os.Rename(path, path+".1")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, 0, fault.Wrap(fault.KindOf(err), err, "open the kernel's log")
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, fault.Wrap(fault.KindOf(err), err, "open the kernel's log")
	}
	return f, st.Size(), nil
}

func spawn(exe string, h home.Home, environ []string, log *os.File) (*os.Process, error) {
	// What the caller inherited from its own parent is not for a daemon to keep.
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil && !errors.Is(err, unix.ENOSYS) {
		return nil, fault.Wrap(fault.Internal, err, "start the kernel")
	}
	cmd := exec.Command(exe, "kernel", "--home", h.String())
	cmd.Dir = "/"
	cmd.Env = environ
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "start the kernel")
	}
	return cmd.Process, nil
}

// await returns when the ready file is there, the child has died, or ctx ended.
func await(ctx context.Context, child *os.Process, h home.Home, mark int64) error {
	tick := time.NewTicker(startPause)
	defer tick.Stop()
	dead := false
	for {
		if ready(h) {
			if up, err := running(ctx, h); err != nil {
				return errors.Join(err, release(child, dead))
			} else if up {
				return settle(ctx, child, dead, h)
			}
		}
		if !dead && reaped(child.Pid) {
			dead = true
		}
		if dead && !locked(h) {
			return fault.New(fault.Internal, "the kernel did not start: %s", lastLine(h.KernelLog(), mark))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			_ = release(child, dead)
			return fault.Wrap(fault.Unavailable, ctx.Err(), "the kernel did not become ready; %s says why", h.KernelLog())
		}
	}
}

func ready(h home.Home) bool {
	_, err := os.Lstat(h.Ready())
	return err == nil
}

// settle lets go of a child that serves, and ends one that came second: it
// would boot when the first stops.
func settle(ctx context.Context, child *os.Process, dead bool, h home.Home) error {
	if dead || holder(h) == child.Pid {
		return release(child, dead)
	}
	_ = child.Signal(syscall.SIGTERM)
	tick := time.NewTicker(startPause)
	defer tick.Stop()
	for !reaped(child.Pid) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return release(child, false)
		}
	}
	return nil
}

// holder is the pid that the kernel of a home wrote into its lock, 0 if none.
func holder(h home.Home) int {
	data, err := home.ReadPrivate(h.Lock(), 64)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return pid
}

// release lets go of a child that lives on.
func release(child *os.Process, dead bool) error {
	if dead {
		return nil
	}
	return child.Release()
}

// reaped tells whether the child has died, and buries it.
func reaped(pid int) bool {
	var status unix.WaitStatus
	got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
	return got == pid || errors.Is(err, unix.ECHILD)
}

// locked tells whether some kernel holds the home's lock: it may be booting.
func locked(h home.Home) bool {
	f, err := os.OpenFile(h.Lock(), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// lastLine returns the last line that was appended to a log after mark.
func lastLine(path string, mark int64) string {
	silent := "it said nothing in " + path
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return silent
	}
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	from := max(mark, end-logTail)
	tail := make([]byte, max(0, end-from))
	if _, err := f.ReadAt(tail, from); err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(tail), []byte("\n"))
	last := strings.TrimPrefix(string(lines[len(lines)-1]), "astrid: ")
	if last == "" {
		return silent
	}
	return last
}
