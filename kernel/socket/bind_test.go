package socket_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op/optest"
	"astrid/kernel/socket"
)

func TestModes(t *testing.T) {
	f := start(t, &optest.Sessions{})
	for path, want := range map[string]os.FileMode{f.home.Socket(): 0o600, f.home.Token(): 0o600, f.home.Sessions(): 0o700} {
		st, err := os.Lstat(path)
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
	if len(f.token) != 64 || strings.Trim(f.token, "0123456789abcdef") != "" {
		t.Errorf("the token is %q", f.token)
	}
	if left, _ := filepath.Glob(f.home.Sessions() + "/*.tmp"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	token, err := socket.NewToken(f.home, 1)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := home.ReadPrivate(f.home.Token(), 100)
	if shown := fmt.Sprintf("%v %+v %#v %s", token, token, token, token); strings.Contains(shown, string(secret)) {
		t.Error("a token prints its secret")
	}
}

func TestBind(t *testing.T) {
	h := scratch(t)
	listen := func() error {
		l, err := socket.Bind(h.Socket())
		if err == nil {
			_ = l.Close()
		}
		return err
	}
	if err := listen(); err != nil {
		t.Fatalf("a free path: %v", err)
	}

	// A socket that nobody listens to.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.Socket(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if err := listen(); err != nil {
		t.Errorf("a stale socket: %v", err)
	}

	// A symbolic link, even to a live socket, is removed and not followed.
	other := filepath.Join(h.String(), "other.sock")
	l, err = net.ListenUnix("unix", &net.UnixAddr{Name: other, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Symlink(other, h.Socket()); err != nil {
		t.Fatal(err)
	}
	if err := listen(); err != nil {
		t.Errorf("a link: %v", err)
	}
	if _, err := os.Lstat(other); err != nil {
		t.Errorf("what the link pointed to: %v", err)
	}

	// A live one.
	if err := os.Rename(other, h.Socket()); err != nil {
		t.Fatal(err)
	}
	err = listen()
	if !fault.Is(err, fault.Exists) || err.Error() != "Another kernel instance is already running on this socket" {
		t.Errorf("a live socket: %v", err)
	}
	if err := os.Remove(h.Socket()); err != nil {
		t.Fatal(err)
	}

	// A directory that others may enter.
	if err := os.Chmod(h.Sessions(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := listen(); !fault.Is(err, fault.Denied) {
		t.Errorf("an open directory: %v", err)
	}
}

func TestBindPathLimit(t *testing.T) {
	h := scratch(t)
	const limit = 108 // Linux
	pad := limit - 1 - len(h.String()) - len("/p")
	dir := filepath.Join(h.String(), strings.Repeat("d", pad-1))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	longest := dir + "/s" + strings.Repeat("x", limit-1-len(dir)-2)
	if len(longest) != limit-1 {
		t.Fatal("the test is wrong:", len(longest))
	}
	l, err := socket.Bind(longest)
	if err != nil {
		t.Errorf("%d bytes: %v", len(longest), err)
	} else {
		_ = l.Close()
	}
	if _, err := socket.Bind(longest + "x"); !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), "ASTRID_HOME") {
		t.Errorf("%d bytes: %v", limit, err)
	}
}

// Even with every mode open and the right token, another user gets no answer.
func TestAnotherUserIsDroppedWithoutAWord(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be two users")
	}
	f := start(t, &optest.Sessions{})
	for dir := f.home.Sessions(); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(f.home.Socket(), 0o666); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(f.home.String(), "stranger")
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = []string{"SOCKET_TEST_DIAL=" + f.home.Socket(), "SOCKET_TEST_TOKEN=" + f.token}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.HasPrefix(string(out), `"" `) {
		t.Errorf("the stranger heard %s", out)
	}
	if !strings.Contains(f.log.String(), "peer UID 65534 does not match daemon UID 0") {
		t.Errorf("the log says %s", f.log.String())
	}
	f.checkServed(t)
}
