package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

const (
	// childEnv names the task of a test binary that runs as a child.
	childEnv = "ASTRID_FSTEST_TASK"
	// mainEnv holds the pid of a test binary whose TestMain called Main. Without
	// that a child would run the tests again, and start children of its own.
	mainEnv = "ASTRID_FSTEST_MAIN"
)

// Tasks are what a copy of the test binary can do, by name.
type Tasks map[string]func(args []string) error

// Main is the TestMain of a package that uses fstest: it runs a task when the
// binary was started for one, and else the tests, with a check that no
// goroutine is left.
func Main(m *testing.M, more ...Tasks) {
	name := os.Getenv(childEnv)
	if name == "" {
		_ = os.Setenv(mainEnv, strconv.Itoa(os.Getpid()))
		goleak.VerifyTestMain(m)
		return
	}
	for _, tasks := range append(more, suiteTasks()) {
		if task := tasks[name]; task != nil {
			if err := task(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	fmt.Fprintln(os.Stderr, "no such task:", name)
	os.Exit(2)
}

// Command prepares a copy of the test binary for a task. The command fails to
// start when TestMain did not call Main.
func Command(task string, args ...string) *exec.Cmd {
	if os.Getenv(mainEnv) != strconv.Itoa(os.Getpid()) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Err = errors.New("TestMain must call fstest.Main")
		return cmd
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), childEnv+"="+task, "GOCOVERDIR="+os.TempDir(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// Do runs a task to its end.
func Do(t testing.TB, task string, args ...string) {
	t.Helper()
	if err := run(Command(task, args...)); err != nil {
		t.Errorf("%s: %v", task, err)
	}
}

// DoAs is Do with another user's rights and no groups; it needs root.
func DoAs(t testing.TB, uid uint32, task string, args ...string) {
	t.Helper()
	cmd := Command(task, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if err := run(cmd); err != nil {
		t.Errorf("%s as %d: %v", task, uid, err)
	}
}

func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.New(err.Error() + ": " + string(bytes.TrimSpace(out)))
	}
	return nil
}

// asStranger makes cmd run as a user that owns nothing.
func asStranger(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
}
