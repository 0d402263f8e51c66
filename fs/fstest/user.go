package fstest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// DoAsUser runs a task as an ordinary user, on a machine as such a one finds it: in
// a mount namespace of its own /dev/fuse is everybody's. It needs root.
func DoAsUser(t testing.TB, task string, args ...string) {
	t.Helper()
	NeedRoot(t)
	dir := t.TempDir()
	openUp(t, filepath.Join(dir, "fuse"))
	device := filepath.Join(dir, "fuse")
	var st unix.Stat_t
	if err := unix.Stat("/dev/fuse", &st); err != nil {
		t.Skip("no /dev/fuse here: ", err)
	}
	if err := unix.Mknod(device, unix.S_IFCHR|0o666, int(st.Rdev)); err != nil {
		t.Skip("no device can be made here: ", err)
	}
	if err := os.Chmod(device, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := Command("as-user", append([]string{device, task}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if err := run(cmd); err != nil {
		t.Errorf("%s as a user: %v", task, err)
	}
}

// asUserTask binds the device, gives every right up and becomes the task.
func asUserTask(args []string) error {
	if err := unix.Mount(args[0], "/dev/fuse", "", unix.MS_BIND, ""); err != nil {
		return fail("bind /dev/fuse: %w", err)
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fail("setgroups: %w", err)
	}
	if err := syscall.Setresgid(stranger, stranger, stranger); err != nil {
		return fail("setresgid: %w", err)
	}
	if err := syscall.Setresuid(stranger, stranger, stranger); err != nil {
		return fail("setresuid: %w", err)
	}
	env := []string{childEnv + "=" + args[1]}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, childEnv+"=") {
			env = append(env, kv)
		}
	}
	return unix.Exec("/proc/self/exe", append([]string{os.Args[0]}, args[2:]...), env)
}
