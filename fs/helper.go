package fs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// helperName is the set-uid program of the fuse3 package that mounts for users.
const helperName = "fusermount3"

// errNoHelper says what a user without the right to mount lacks.
var errNoHelper = errors.New("this user may not mount and there is no fusermount3: install the package fuse3, or run as root")

// attachHelper lets fusermount3 open the device and mount it; the descriptor
// comes back over a socket.
func attachHelper(dir string, o *Options) (int, error) {
	bin, err := exec.LookPath(helperName)
	if err != nil {
		return -1, errNoHelper
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, &os.SyscallError{Syscall: "socketpair", Err: err}
	}
	theirs := os.NewFile(uintptr(pair[1]), "fusermount3")
	defer unix.Close(pair[0])
	defer theirs.Close()

	var said strings.Builder
	cmd := exec.Command(bin, "-o", helperOptions(o), "--", dir)
	cmd.Env = append(os.Environ(), "_FUSE_COMMFD=3", "LC_ALL=C")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return -1, fmt.Errorf("%s: %s: %w", helperName, strings.TrimSpace(said.String()), err)
	}
	return receiveFD(pair[0])
}

func helperOptions(o *Options) string {
	opts := []string{
		"fsname=" + escapeOption(o.FsName), "subtype=" + escapeOption(o.Subtype),
		"nosuid", "nodev", "default_permissions", fmt.Sprintf("max_read=%d", o.MaxWrite),
	}
	if o.ReadOnly {
		opts = append(opts, "ro")
	}
	if o.AllowOther {
		opts = append(opts, "allow_other")
	}
	return strings.Join(opts, ",")
}

func escapeOption(v string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(v)
}

// receiveFD takes the descriptor that the helper sent before it ended.
func receiveFD(sock int) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	var data [4]byte
	_, n, _, _, err := unix.Recvmsg(sock, data[:], oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return -1, &os.SyscallError{Syscall: "recvmsg", Err: err}
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		return -1, errors.New(helperName + " sent no descriptor")
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.New(helperName + " sent no descriptor")
	}
	return fds[0], nil
}

// unmountHelper unmounts with fusermount3.
func unmountHelper(dir string, lazy bool) error {
	bin, err := exec.LookPath(helperName)
	if err != nil {
		return errNoHelper
	}
	args := []string{"-u", "--", dir}
	if lazy {
		args = append([]string{"-z"}, args...)
	}
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case strings.Contains(string(out), "busy"):
		return unix.EBUSY
	}
	return fmt.Errorf("%s: %s: %w", helperName, strings.TrimSpace(string(out)), err)
}
