package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal with a program on it.
type terminal struct {
	*testing.T
	env  []string
	seen bytes.Buffer
}

// interrupt is what Ctrl-C sends.
const interrupt = "\x03"

// run starts astrid on a new terminal, answers its question, and returns its
// exit status and what it showed.
func (c *terminal) run(answer string, args ...string) (int, string) {
	c.Helper()
	master, slave := c.open()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv(binary), "astrid"), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = slave, slave, slave, c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	slave.Close()
	c.seen.Reset()
	buf := make([]byte, 4096)
	for asked := false; ; {
		n, err := master.Read(buf)
		c.seen.Write(buf[:n])
		if !asked && strings.Contains(c.seen.String(), "[y/N]") {
			asked = true
			if answer != interrupt {
				answer += "\n"
			}
			fmt.Fprint(master, answer)
		}
		if err != nil {
			break // EIO: the program has gone
		}
	}
	_ = cmd.Wait()
	master.Close()
	return cmd.ProcessState.ExitCode(), c.seen.String()
}

func (c *terminal) open() (master, slave *os.File) {
	c.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		c.Skip("needs a pseudo-terminal: ", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err == nil {
		err = keepOutput(int(slave.Fd()))
	}
	if err != nil {
		c.Skip("needs a pseudo-terminal: ", err)
	}
	return master, slave
}

// keepOutput has a terminal keep what was written to it when an interrupt comes:
// otherwise it drops the answer of a program that is quick.
func keepOutput(fd int) error {
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	settings.Lflag |= unix.NOFLSH
	return unix.IoctlSetTermios(fd, unix.TCSETS, settings)
}

func TestATerminalIsAskedAndWhatWasShownIsDone(t *testing.T) {
	if err := mayMount(); err != nil {
		t.Skip("needs a FUSE mount: ", err)
	}
	dir := t.TempDir()
	base, home := filepath.Join(dir, "proj"), filepath.Join(dir, "home")
	if err := os.Mkdir(base, 0o755); err != nil {
		t.Fatal(err)
	}
	c := &terminal{T: t, env: []string{
		"ASTRID_HOME=" + home, "HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TERM=xterm", "PAGER=cat", "GORACE=atexit_sleep_ms=0",
	}}
	t.Cleanup(func() {
		if status, out := c.run("", "down", "--force"); status != 0 {
			t.Errorf("%d: %s", status, out)
		}
	})
	if status, out := c.run("", "up", base); status != 0 {
		t.Fatal(out)
	}
	made := filepath.Join(home, "sessions", "proj", "workspace", "made")
	if err := os.WriteFile(made, []byte("x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, out := c.run("", "diff"); !strings.Contains(out, "\x1b[32m+x\x1b[0m") {
		t.Errorf("not painted: %q", out)
	}
	if status, out := c.run("n", "commit"); status != 1 || !strings.Contains(out, "would apply 1 path") {
		t.Errorf("%d: %s", status, out)
	}
	if _, err := os.Stat(filepath.Join(base, "made")); err == nil {
		t.Error("committed without consent")
	}
	if status, out := c.run(interrupt, "commit"); status == 0 || !strings.Contains(out, "interrupted; nothing was changed") {
		t.Errorf("%d: %s", status, out)
	}
	if status, out := c.run("y", "commit"); status != 0 || !strings.Contains(out, "commit 1 applied") {
		t.Errorf("%d: %s", status, out)
	}
	if _, err := os.Stat(filepath.Join(base, "made")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(made, []byte("y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, out := c.run("n", "discard"); status != 1 || !strings.Contains(out, "Drop 1 path") {
		t.Errorf("%d: %s", status, out)
	}
	if status, out := c.run("y", "discard"); status != 0 || !strings.Contains(out, "dropped 1 path") {
		t.Errorf("%d: %s", status, out)
	}
	if status, out := c.run("n", "up", dir, "--session", "h"); status != 1 || !strings.Contains(out, "Make a view of all of") {
		t.Errorf("%d: %s", status, out)
	}
	if status, out := c.run("", "run", "--", "sh", "-c", "tty; exit 3"); status != 3 {
		t.Errorf("%d: %s", status, out)
	}
	c.interruptsRun()
}

// interruptsRun wants Ctrl-C to be the program's, in the sandbox of each maker.
// Where bubblewrap and its program share the terminal, bubblewrap heeds it first.
func (c *terminal) interruptsRun() {
	c.Helper()
	env := c.env
	defer func() { c.env = env }()
	makers := map[string]string{"our own": "PATH=/nowhere"}
	if shared, err := os.ReadFile("/proc/sys/dev/tty/legacy_tiocsti"); err != nil || !strings.HasPrefix(string(shared), "0") {
		makers["bubblewrap"] = "PATH=" + os.Getenv("PATH")
	}
	for maker, path := range makers {
		c.env = append(slices.Clone(env), path)
		script := `trap 'echo mine; exit 9' INT; echo '[y/N]'; while :; do /bin/sleep 0.05; done`
		if status, out := c.run(interrupt, "run", "--", "/bin/sh", "-c", script); status != 9 || !strings.Contains(out, "mine") {
			c.Errorf("%s: %d: %s", maker, status, out)
		}
	}
}
