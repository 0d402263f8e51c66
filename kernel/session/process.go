package session

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/home"
)

// process is a view server, our child or taken over.
type process struct {
	pid   int
	pidfd *os.File
	cmd   *exec.Cmd     // nil when it is not our child
	dead  chan struct{} // closed when it has died
	gone  chan struct{} // closed when nobody watches it any more: it died, or release
}

// hold watches a process by its pidfd, which never means another one.
func hold(pid int, cmd *exec.Cmd) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	return &process{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd"), cmd: cmd,
		dead: make(chan struct{}), gone: make(chan struct{})}, nil
}

// watch returns when the process has died or release was called; it is called once.
func (p *process) watch() {
	defer close(p.gone)
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return
	}
	died := false
	_ = raw.Read(func(fd uintptr) bool {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(set, 0)
		died = err == nil && n == 1
		return died
	})
	if !died {
		return
	}
	if p.cmd != nil {
		_ = p.cmd.Wait()
	}
	close(p.dead)
}

// release stops watching; the process lives on.
func (p *process) release() { p.pidfd.Close() }

// signal sends sig to exactly this process.
func (p *process) signal(sig syscall.Signal) {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
}

// launch starts a view server.
func (e *entry) launch() (*process, error) {
	h := e.t.cfg.Home
	if err := h.EnsureSession(e.name, e.dir()); err != nil {
		return nil, err
	}
	log, err := openLog(h, e.name)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(e.t.cfg.Exe, "view-server", "--session", e.name)
	cmd.Args[0] = "astrid" // not the name of a link in /proc
	cmd.Dir = "/"
	cmd.Env = append([]string{"ASTRID_HOME=" + h.String()}, withoutAstrid(e.t.cfg.Environ)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "start the view server of session %s", e.name)
	}
	proc, err := hold(cmd.Process.Pid, cmd)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fault.Wrap(fault.Unsupported, err, "start the view server of session %s", e.name)
	}
	return proc, nil
}

// withoutAstrid is env without Astrid's own variables.
func withoutAstrid(env []string) []string {
	kept := []string{}
	for _, v := range env {
		if !strings.HasPrefix(v, "ASTRID_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// maxLog is how long a view's log may be when it is started; then the old one
// is kept once beside it.
const maxLog = 8 << 20

func openLog(h home.Home, name string) (*os.File, error) {
	path := h.ViewLog(name)
	if st, err := os.Lstat(path); err == nil && st.Size() > maxLog {
		_ = os.Rename(path, path+".old")
	}
	log, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "open the log of session %s", name)
	}
	return log, nil
}

// lockHolder tells whether a view server holds the lock at path, and its pid.
func lockHolder(path string) (pid int, held bool) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return 0, false
	}
	defer file.Close()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return 0, false // the lock goes with the descriptor
	}
	data, err := io.ReadAll(io.LimitReader(file, 32))
	if err != nil {
		return 0, true
	}
	pid, _ = strconv.Atoi(strings.TrimSpace(string(data)))
	return pid, true
}

// obtain finds the view server that holds the session's lock, or starts one.
func (e *entry) obtain() (*process, error) {
	if pid, held := lockHolder(e.t.cfg.Home.ViewLock(e.name)); held && pid > 0 {
		if proc, err := hold(pid, nil); err == nil {
			e.t.cfg.Log.Info("view taken over", "session", e.name, "pid", pid)
			return proc, nil
		}
	}
	return e.launch()
}

// runQuietly runs a helper program with a deadline.
func runQuietly(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.WaitDelay = time.Second
	return cmd.Run()
}
