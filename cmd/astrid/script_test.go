package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// binary is the directory with the built program. Who sets it has built it.
const binary = "ASTRID_TEST_BIN"

func TestMain(m *testing.M) {
	if os.Getenv(binary) != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "astrid-bin")
	if err == nil {
		err = buildInto(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build astrid:", err)
		os.Exit(1)
	}
	os.Setenv(binary, dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func buildInto(dir string) error {
	args := []string{"build", "-o", filepath.Join(dir, "astrid")}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	cmd = exec.Command("go", "build", "-o", filepath.Join(dir, "bridge"), "../../scripts/examples/bridge")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// TestScripts tells one story a file with the real program and a home of its
// own. Every story ends with nothing mounted and no process left.
func TestScripts(t *testing.T) {
	if err := mayMount(); err != nil {
		t.Skip("needs a FUSE mount: ", err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"kill9":  kill9,
			"await":  await,
			"inode":  inode,
			"npm":    npm,
			"status": exitStatus,
		},
	})
}

// condition tells whether the registry of npm can be reached, [npm], and whether the
// capsule in Rust can be compiled, [rust].
func condition(name string) (bool, error) {
	switch name {
	case "npm":
		return reachable(), nil
	case "rust":
		return exec.Command("../../scripts/examples/capsules/jot/build", "--check").Run() == nil, nil
	}
	return false, fmt.Errorf("nobody knows the condition %q", name)
}

var reachable = sync.OnceValue(func() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "npm", "view", "@modelcontextprotocol/server-filesystem", "version").Run() == nil
})

func mayMount() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil {
		f.Close()
	}
	return err
}

func setup(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	user := filepath.Join(env.WorkDir, "user")
	if err := errors.Join(os.Mkdir(home, 0o700), os.Mkdir(user, 0o755)); err != nil {
		return err
	}
	env.Setenv("ASTRID_HOME", home)
	env.Setenv("HOME", user)
	env.Setenv("PATH", os.Getenv(binary)+":"+env.Getenv("PATH"))
	examples, err := filepath.Abs("../../scripts/examples")
	if err != nil {
		return err
	}
	env.Setenv("EXAMPLES", examples)
	env.Setenv("BRIDGE", filepath.Join(os.Getenv(binary), "bridge"))
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	env.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each command otherwise
	if cache, err := os.UserCacheDir(); err == nil {
		env.Setenv("REAL_GOCACHE", filepath.Join(cache, "go-build"))
	}
	t := env.T().(testing.TB)
	env.Defer(func() {
		for _, left := range tidy(env, home) {
			t.Errorf("left behind: %s", left)
		}
	})
	return nil
}

// tidy ends whatever a story left and says what a clean end would not have left.
func tidy(env *testscript.Env, home string) (left []string) {
	for _, lock := range locks(home) {
		if pid := holder(lock); pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGTERM)
			if !gone(pid, 30*time.Second) {
				left = append(left, fmt.Sprintf("process %d of %s does not end", pid, lock))
				_ = syscall.Kill(pid, syscall.SIGKILL)
				gone(pid, 5*time.Second)
			}
		}
	}
	left = append(left, complaints(home)...)
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(env.WorkDir))
	if err != nil {
		return append(left, err.Error())
	}
	for _, m := range mounts {
		left = append(left, "mount "+m.Mountpoint)
		_ = unix.Unmount(m.Mountpoint, unix.MNT_DETACH)
	}
	return left
}

// complaints are lines of the servers' logs that no story may cause.
func complaints(home string) (lines []string) {
	logs, _ := filepath.Glob(filepath.Join(home, "logs", "*"))
	for _, log := range logs {
		data, _ := os.ReadFile(log)
		for line := range strings.Lines(string(data)) {
			for _, bad := range []string{"DATA RACE", "panic"} {
				if strings.Contains(line, bad) && !strings.Contains(line, "msg=output capsule=") { // a guest may
					lines = append(lines, filepath.Base(log)+": "+line)
				}
			}
		}
	}
	return lines
}

// locks lists the lock files of a home, the kernel's first.
func locks(home string) []string {
	views, _ := filepath.Glob(filepath.Join(home, "tmp", "*", "view.lock"))
	return append([]string{filepath.Join(home, "sessions", "system.lock")}, views...)
}

// holder is the process that holds a lock, 0 when nobody does.
func holder(lock string) int {
	f, err := os.Open(lock)
	if err != nil {
		return 0
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		return 0
	}
	data, _ := os.ReadFile(lock)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return pid
}

// gone waits for the end of a process.
func gone(pid int, patience time.Duration) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	for end := time.Now().Add(patience); ; {
		left := time.Until(end)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, max(int(left.Milliseconds()), 0))
		if err != unix.EINTR || left <= 0 {
			return n == 1
		}
	}
}

// kill9 kernel | view NAME: kills a server and waits until it is gone.
func kill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: kill9 kernel | view NAME")
	}
	home := ts.Getenv("ASTRID_HOME")
	lock := filepath.Join(home, "sessions", "system.lock")
	if args[0] == "view" {
		lock = filepath.Join(home, "tmp", args[1], "view.lock")
	}
	pid := holder(lock)
	if pid == 0 {
		ts.Fatalf("nobody holds %s", lock)
	}
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	if !gone(pid, 10*time.Second) {
		ts.Fatalf("process %d survives", pid)
	}
}

// await CMD ARG…: runs a command until it succeeds (with !, until it fails).
func await(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(2 * time.Minute) // a compilation under the race detector takes one
	for {
		err := ts.Exec(args[0], args[1:]...)
		if (err != nil) == neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("still: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// npm DIR PACKAGE…: installs packages in a directory, with the settings and the cache
// of whoever runs the tests.
func npm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: npm DIR PACKAGE...")
	}
	cmd := exec.Command("npm", append([]string{"install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"}, args[1:]...)...)
	cmd.Dir = ts.MkAbs(args[0])
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("npm: %v\n%s", err, out)
	}
}

// inode VAR FILE: sets VAR to the inode number of FILE; inode FILE NUMBER compares.
func inode(ts *testscript.TestScript, neg bool, args []string) {
	number := func(file string) string {
		var st unix.Stat_t
		ts.Check(unix.Lstat(ts.MkAbs(file), &st))
		return strconv.FormatUint(st.Ino, 10)
	}
	if !strings.Contains(args[0], "/") {
		ts.Setenv(args[0], number(args[1]))
		return
	}
	if got := number(args[0]); (got == args[1]) == neg {
		ts.Fatalf("inode of %s is %s, and was %s", args[0], got, args[1])
	}
}

// exitStatus N CMD ARG…: runs a command and compares its exit status.
func exitStatus(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if (got == want) == neg {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}
