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
	return c.converse("[y/N]", []string{answer}, args...)
}

// converse is run with an answer for each time that it shows the prompt.
func (c *terminal) converse(prompt string, answers []string, args ...string) (int, string) {
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
	for asked := 0; ; {
		n, err := master.Read(buf)
		c.seen.Write(buf[:n])
		if asked < len(answers) && strings.Count(c.seen.String(), prompt) > asked {
			answer := answers[asked]
			asked++
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

// onATerminal brings a session of a new workspace up.
func onATerminal(t *testing.T) (c *terminal, dir, base, view string) {
	t.Helper()
	if err := mayMount(); err != nil {
		t.Skip("needs a FUSE mount: ", err)
	}
	dir = t.TempDir()
	base, home := filepath.Join(dir, "proj"), filepath.Join(dir, "home")
	if err := os.Mkdir(base, 0o755); err != nil {
		t.Fatal(err)
	}
	c = &terminal{T: t, env: []string{
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
	return c, dir, base, filepath.Join(home, "sessions", "proj", "workspace")
}

// text is 40 lines, those of but replaced.
func text(but map[int]string) []byte {
	var b bytes.Buffer
	for i := range 40 {
		if line, ok := but[i]; ok {
			b.WriteString(line)
			continue
		}
		fmt.Fprintf(&b, "%d\n", i)
	}
	return b.Bytes()
}

func TestHunksAreChosenAtATerminal(t *testing.T) {
	c, _, base, view := onATerminal(t)
	write := func(p string, content []byte) {
		t.Helper()
		if err := os.WriteFile(p, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(base, "text"), text(nil))
	write(filepath.Join(view, "text"), text(map[int]string{2: "two\n", 10: "ten\n", 12: "tw\x1belve\n", 30: "thirty\n", 38: "last\n"}))
	write(filepath.Join(view, "zoo"), []byte("z\n"))
	status, out := c.converse("]? ", []string{"?", "n", "s", "y", "n", "d", "y"}, "commit", "-p")
	if status != 0 || !strings.Contains(out, "commit it and all that follow of the same file") || !strings.Contains(out, "tw<1B>elve") {
		t.Errorf("%d: %s", status, out)
	}
	if got, err := os.ReadFile(filepath.Join(base, "text")); err != nil || !bytes.Equal(got, text(map[int]string{10: "ten\n"})) {
		t.Errorf("%v: %s", err, got)
	}
	if _, err := os.Stat(filepath.Join(base, "zoo")); err != nil {
		t.Error(err)
	}
	if status, out := c.converse("]? ", []string{"n", "q"}, "commit", "-p"); status != 0 || !strings.Contains(out, "nothing was chosen") {
		t.Errorf("%d: %s", status, out)
	}
	if status, out := c.converse("]? ", []string{"y", interrupt}, "commit", "-p"); status == 0 || !strings.Contains(out, "nothing was") {
		t.Errorf("%d: %s", status, out)
	}
	if status, out := c.converse("]? ", []string{"a"}, "commit", "-p", filepath.Join(view, "text")); status != 0 {
		t.Errorf("%d: %s", status, out)
	}
	if status, out := c.run("", "changes"); status != 0 || out != "" {
		t.Errorf("%d: %s", status, out)
	}
}

func TestATerminalIsAskedAndWhatWasShownIsDone(t *testing.T) {
	c, dir, base, view := onATerminal(t)
	made := filepath.Join(view, "made")
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
