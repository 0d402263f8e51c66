package proc

import (
	_ "embed"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/kernel/capsule/proc/jail"
)

//go:embed testdata/escape.py
var escapes string

// python runs a function of testdata/escape.py in the sandbox, and wants it to
// fail.
func (w *world) python(call string, args ...string) {
	w.T.Helper()
	w.file("view/escape.py", escapes)
	if out, status := w.sh("python3 escape.py " + call + " " + strings.Join(args, " ")); status != 1 || out != "" {
		w.Errorf("%s: %d, %q", call, status, out)
	}
}

func needsPython(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3")
	}
}

func TestSystemCallsThatAreRefused(t *testing.T) { each(t, testSystemCallsThatAreRefused) }

func testSystemCallsThatAreRefused(t *testing.T, w *world) {
	needsPython(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("has the numbers of amd64")
	}
	for _, name := range []string{"type_into_terminal", "x32", "int80", "virtual_socket", "keys", "clone_flags", "newer_calls", "trace_init"} {
		w.python(name)
	}
}

func TestAHandleOfTheWorkspaceOpensNothing(t *testing.T) {
	each(t, testAHandleOfTheWorkspaceOpensNothing)
}

func testAHandleOfTheWorkspaceOpensNothing(t *testing.T, w *world) {
	needsPython(t)
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, w.at("proj/sub/f"), 0)
	if err != nil {
		t.Skip("this file system has no handles: ", err)
	}
	w.python("handle", w.at("proj/sub/f"), w.at("elsewhere"), fmt.Sprint(handle.Type()), hex.EncodeToString(handle.Bytes()))
}

func TestAbstractSocketsAreOutOfReach(t *testing.T) { each(t, testAbstractSocketsAreOutOfReach) }

func testAbstractSocketsAreOutOfReach(t *testing.T, w *world) {
	needsPython(t)
	name := filepath.Base(w.root)
	l, err := net.Listen("unix", "@"+name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w.python("abstract", name)
	// With the network they are the machine's, unless Landlock has scopes.
	if abi, _, _ := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); w.Bwrap == "" && int(abi) >= 6 {
		w.Net = true
		w.python("abstract", name)
	}
}

func TestTheProgramHasNoPrivilege(t *testing.T) { each(t, testTheProgramHasNoPrivilege) }

func testTheProgramHasNoPrivilege(t *testing.T, w *world) {
	out, _ := w.sh(`cat /proc/self/status /proc/self/limits; ulimit -c; ulimit -H -c`)
	for _, want := range []string{
		"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n",
		"CapAmb:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n", "\n0\n0\n",
		fmt.Sprintf("Uid:\t%d\t", os.Getuid()), fmt.Sprintf("Gid:\t%d\t", os.Getgid()),
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if processes := regexp.MustCompile(`(?m)^Max processes +(\d+) +(\d+) `).FindStringSubmatch(out); processes == nil {
		t.Errorf("no limit of processes in\n%s", out)
	} else if n, err := strconv.Atoi(processes[2]); err != nil || n > jail.MaxProcesses {
		t.Errorf("%d processes", n)
	}
}

func TestMoreThatIsOutOfReach(t *testing.T) { each(t, testMoreThatIsOutOfReach) }

func testMoreThatIsOutOfReach(t *testing.T, w *world) {
	w.Program = w.at("elsewhere")
	for link, to := range map[string]string{"out": w.at("elsewhere"), "home": w.at("home/sessions"), "init": "/proc/1/root" + w.at("home/sessions"), "base": w.at("proj/sub")} {
		if err := os.Symlink(to, w.at("view/"+link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range map[string]string{
		"a link to elsewhere, to write":   `echo x >out/f || echo x >out/new`,
		"a link to the home":              `cat home/system.token`,
		"a link through init":             `cat init/system.token`,
		"a link to the workspace":         `grep base base/f`,
		"a set-uid program":               `cp "$(command -v id)" own && chmod u+s own && unshare -Ur ./own`,
		"a root of its own":               `chroot / true`,
		"a user namespace":                `unshare -Ur true`,
		"a mount namespace":               `unshare -m true`,
		"the namespaces of init":          `nsenter -t 1 -m true`,
		"the program of init":             `: >>/proc/1/exe`,
		"the memory of init":              `: >>/proc/1/mem`,
		"the working directory of init":   `cat /proc/1/cwd$R/home/sessions/system.token`,
		"the descriptors of init":         `for f in /proc/1/fd/*; do cat $f/$R/home/sessions/system.token && exit; done; false`,
		"the environment of init":         `tr '\0' '\n' </proc/1/environ | grep ^ASTRID_`,
		"the plan of init":                `tr '\0' '\n' </proc/1/cmdline | grep -F $R`,
		"a device of its own":             `mknod d c 1 1 && head -c1 d`,
		"the machine's time":              `date -s "$(date)"`,
		"the machine's name":              `hostname astrid-test`,
		"the kernel's log":                `dmesg`,
		"the keys of the kernel":          `grep . /proc/keys`,
		"the machine's other settings":    `echo x >/proc/sysrq-trigger; cat /proc/sysrq-trigger | grep . || echo 0 >/proc/irq/default_smp_affinity`,
		"the binding of the capsule":      `echo x >/run/astrid-capsule/x`,
		"a second mount of the processes": `mount -t proc none /tmp`,
	} {
		t.Run(name, func(t *testing.T) {
			if out, status := w.sh("{ " + script + "; } 2>/dev/null"); status == 0 {
				t.Errorf("reached: %q", out)
			}
		})
	}
}

func TestDescriptorsOfTheCallerAreNotInherited(t *testing.T) {
	each(t, testDescriptorsOfTheCallerAreNotInherited)
}

func testDescriptorsOfTheCallerAreNotInherited(t *testing.T, w *world) {
	leak, err := unix.Open(w.at("home"), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	high, err := unix.FcntlInt(uintptr(leak), unix.F_DUPFD, 200)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(high)
	out, _ := w.sh(`for f in /proc/$$/fd/*; do readlink $f; done`)
	if strings.Contains(out, w.at("home")) {
		t.Errorf("inherited:\n%s", out)
	}
}

// The mounts alone would let this one through: its mount is the machine's.
func TestLandlockHoldsWhatAGivenDirectoryLetsOut(t *testing.T) {
	w := newWorld(t)
	w.Jailer = "/proc/self/exe"
	if abi, _, _ := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); int(abi) < 2 {
		t.Skip("needs Landlock")
	}
	dir, err := os.Open(w.at("elsewhere"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	w.Stdin = dir
	if out, status := w.sh(`echo x >/proc/self/fd/0/new`); status == 0 {
		t.Errorf("written: %q", out)
	}
	if out, status := w.sh(`echo again >/dev/stdout && echo once more >>/dev/stderr && mkdir a b && echo x >a/x && mv a/x b/x && ln b/x a/y && : >/dev/null`); status != 0 {
		t.Errorf("%d: %q", status, out)
	}
}

func TestTheEndOfTheCallerIsTheEndOfTheSandbox(t *testing.T) {
	each(t, testTheEndOfTheCallerIsTheEndOfTheSandbox)
}

// A process of its own runs the sandbox, and is killed.
func testTheEndOfTheCallerIsTheEndOfTheSandbox(t *testing.T, w *world) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestCaller$")
	cmd.Env = append(os.Environ(), "ASTRID_TEST_CALLER="+w.root, "ASTRID_TEST_BWRAP="+w.Bwrap)
	cmd.Stdout = write
	err = cmd.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, 5)
	if _, err := read.Read(ready); err != nil || string(ready) != "ready" {
		t.Errorf("%q, %v", ready, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if n, err := read.Read(ready); n != 0 { // the program had it open too
		t.Errorf("%d, %v", n, err)
	}
}

// TestCaller is the process that the test above kills.
func TestCaller(t *testing.T) {
	root := os.Getenv("ASTRID_TEST_CALLER")
	if root == "" {
		t.Skip("is a part of another test")
	}
	w := &world{T: t, root: root}
	w.Sandbox = Sandbox{
		Bwrap: os.Getenv("ASTRID_TEST_BWRAP"), Jailer: "/proc/self/exe",
		View: w.at("view"), Dir: w.at("proj"), Cwd: w.at("proj"), Home: w.at("home"), Cache: w.at("home/tmp/s/cache"), Env: []string{"PATH=" + os.Getenv("PATH")},
		Stdout: os.Stdout,
	}
	_, err := w.Sandbox.Run(t.Context(), []string{"sh", "-c", "trap '' HUP INT TERM; printf ready; while :; do sleep 1; done"})
	t.Error(err)
}

func TestWhatForbidsASandboxIsNamed(t *testing.T) {
	w := newWorld(t)
	w.Jailer = "/proc/self/exe"
	script := `echo 0 >/proc/sys/user/max_user_namespaces && exec /proc/self/fd/3 -test.run='^TestForbidden$' -test.v`
	if out, err := exec.Command("unshare", "-Ur", "true").CombinedOutput(); err != nil {
		t.Skipf("needs unshare and user namespaces: %v: %s", err, out)
	}
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	cmd := exec.Command("unshare", "-Ur", "sh", "-c", script)
	cmd.ExtraFiles = []*os.File{program}
	cmd.Env = append(os.Environ(), "ASTRID_TEST_FORBIDDEN="+w.root)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "nothing was run without it") || !strings.Contains(string(out), "user.max_user_namespaces") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestForbidden is where no user namespace can be made.
func TestForbidden(t *testing.T) {
	root := os.Getenv("ASTRID_TEST_FORBIDDEN")
	if root == "" {
		t.Skip("is a part of another test")
	}
	w := &world{T: t, root: root}
	w.Sandbox = Sandbox{Jailer: "/proc/self/exe", View: w.at("view"), Dir: w.at("proj"), Cwd: w.at("proj"), Home: w.at("home"), Cache: w.at("home/tmp/s/cache")}
	_, err := w.Sandbox.Run(t.Context(), []string{"true"})
	t.Log(err)
}
