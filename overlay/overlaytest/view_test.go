package overlaytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"astrid/fs"
	"astrid/overlay"
	"astrid/overlay/check"
)

const (
	partServe   = "serve"
	childMntEnv = "ASTRID_OVERLAYTEST_MNT"
	// childModeEnv, when set to writeback, is the mode of writing of the mount.
	childModeEnv = "ASTRID_OVERLAYTEST_MODE"
	writeback    = "writeback"
	patience     = 20 * time.Second
)

// serve is the other process of mounted: it mounts a view and answers lines.
func serve() error {
	o, err := overlay.Open(context.Background(), childConfig())
	if err != nil {
		return err
	}
	s, err := fs.Mount(os.Getenv(childMntEnv), o, fs.Options{Writeback: os.Getenv(childModeEnv) == writeback})
	if err != nil {
		return errors.Join(err, o.Close())
	}
	fmt.Println("mounted")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(obey(o, in.Text()))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Unmount(ctx); err != nil {
		return errors.Join(err, s.Detach())
	}
	return o.Close()
}

func obey(o *overlay.Overlay, line string) string {
	var err error
	switch line {
	case "freeze":
		if o.Frozen() == nil {
			_, err = o.Freeze()
		}
	case "thaw":
		err = o.Thaw(o.Frozen())
	}
	if err != nil {
		return err.Error()
	}
	return "done"
}

// mounted drives a view through its mount, which another process serves.
type mounted struct {
	*Posix
	base, dir, mnt, mode string

	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	stderr strings.Builder
}

func newMounted(base, dir, mnt, mode string) (*mounted, error) {
	m := &mounted{base: base, dir: dir, mnt: mnt, mode: mode}
	if err := os.MkdirAll(mnt, 0o755); err != nil {
		return nil, err
	}
	return m, m.start()
}

func (m *mounted) start() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	m.stderr.Reset()
	m.cmd = exec.Command(exe)
	m.cmd.Env = childEnviron(partServe, m.base, m.dir, childMntEnv+"="+m.mnt, childModeEnv+"="+m.mode)
	m.cmd.Stderr = &m.stderr
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if m.in, err = m.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	m.out = bufio.NewScanner(out)
	if err := m.cmd.Start(); err != nil {
		return err
	}
	if !m.out.Scan() || m.out.Text() != "mounted" {
		_ = m.cmd.Wait()
		return fmt.Errorf("not mounted: %s", m.stderr.String())
	}
	m.Posix, err = NewPosix(m.mnt)
	return err
}

// tell has the process do something.
func (m *mounted) tell(line string) error {
	if _, err := fmt.Fprintln(m.in, line); err != nil {
		return err
	}
	if !m.out.Scan() {
		return fmt.Errorf("%s: the process is gone: %s", line, m.stderr.String())
	}
	if m.out.Text() != "done" {
		return errors.New(m.out.Text())
	}
	return nil
}

// Close unmounts in good order.
func (m *mounted) Close() error {
	m.Posix.Close()
	_ = m.in.Close()
	if err := m.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, m.stderr.String())
	}
	return nil
}

// kill ends the process with SIGKILL and takes the dead mount away.
func (m *mounted) kill() {
	_ = m.cmd.Process.Kill()
	_ = m.in.Close()
	_ = m.cmd.Wait()
	m.Posix.Close()
	if unix.Unmount(m.mnt, unix.MNT_DETACH) == unix.EPERM {
		_ = exec.Command("fusermount3", "-u", "-z", m.mnt).Run()
	}
}

// TestView drives a view through the kernel.
func TestView(t *testing.T) { driveView(t, "") }

// TestViewWriteback does with the kernel's write-back cache. What is closed is with
// the server: a kill loses nothing of it.
func TestViewWriteback(t *testing.T) { driveView(t, writeback) }

func driveView(t *testing.T, mode string) {
	if err := fs.Preflight(); err != nil {
		t.Skipf("no FUSE mounts here: %v", err)
	}
	cases(t, 25)
	rapid.Check(t, func(t *rapid.T) {
		c := NewCase(t, growSteps, Limits{})
		m, err := newMounted(c.Base, c.Dir, filepath.Join(c.root, "mnt"), mode)
		c.must(err)
		closed := false
		defer func() {
			if !closed {
				m.kill()
			}
		}()
		c.View = m
		c.Begin()
		v := &viewCase{c, t, m}
		for i := range perCase {
			v.turn()
			if i%20 == 19 {
				c.Compare()
				c.Slots()
			}
		}
		c.Compare()
		c.CloseSlots()
		closed = true
		c.must(m.Close())
		check.Test(t, c.Dir)
		c.BaseIsUntouched()
	})
}

type viewCase struct {
	*Case
	rt *rapid.T
	m  *mounted
}

func (v *viewCase) turn() {
	switch turn := rapid.IntRange(0, 40).Draw(v.rt, "turn"); turn {
	case 0:
	case 37:
		v.T.Logf("freeze")
		v.must(v.m.tell("freeze"))
	case 38:
		v.T.Logf("thaw")
		v.must(v.m.tell("thaw"))
	case 39:
		v.T.Logf("remount")
		v.CloseSlots()
		v.must(v.m.Close())
		check.Test(v.T, v.Dir)
		v.must(v.m.start())
		v.Compare()
	case 40:
		v.T.Logf("kill")
		v.CloseSlots()
		v.m.kill()
		check.Killed(v.T, v.Dir)
		v.must(v.m.start())
		v.Compare()
	default:
		v.Step(Draw(v.rt, v.Known(), Limits{Slots: true}))
	}
}
