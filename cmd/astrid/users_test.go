package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTwoUsers runs testdata/users.sh, which needs root to be two others.
func TestTwoUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become two other users")
	}
	for _, name := range []string{"fusermount3", "setpriv"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip("needs ", name)
		}
	}
	work, err := os.MkdirTemp("", "users") // not t's: the path would be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	device := filepath.Join(work, "fuse")
	var st unix.Stat_t
	if err := unix.Stat("/dev/fuse", &st); err != nil {
		t.Skip("needs /dev/fuse: ", err)
	}
	if err := unix.Mknod(device, unix.S_IFCHR|0o666, int(st.Rdev)); err != nil {
		t.Skip("no device can be made here: ", err)
	}
	bin := filepath.Join(work, "bin")
	for _, err := range []error{os.Chmod(device, 0o666), os.Chmod(work, 0o755), os.Mkdir(bin, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", filepath.Join(os.Getenv(binary), "astrid"), bin).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command("sh", "testdata/users.sh")
	cmd.Env = append(os.Environ(), "BIN="+bin, "WORK="+work, "DEVICE="+device)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
