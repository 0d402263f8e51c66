package proc

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"astrid/kernel/capsule/proc/jail"
	"astrid/kernel/fault"
)

func TestMain(m *testing.M) {
	jail.Main(os.Args)
	goleak.VerifyTestMain(m)
}

// world is a machine in small: a workspace, a view of it, a home of Astrid with
// something to steal, and a user's home. It does not lie below /tmp, which the
// sandbox hides anyway.
type world struct {
	*testing.T
	Sandbox
	root string
}

// each runs a test with every maker of sandboxes that there is.
func each(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	t.Run("bubblewrap", func(t *testing.T) {
		bwrap, err := exec.LookPath("bwrap")
		if err != nil {
			t.Skip("needs bubblewrap")
		}
		w := newWorld(t)
		w.Bwrap = bwrap
		test(t, w)
	})
	t.Run("own", func(t *testing.T) {
		w := newWorld(t)
		w.Jailer = "/proc/self/exe"
		test(t, w)
	})
}

func newWorld(t *testing.T) *world {
	t.Helper()
	base, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(base, 0o755)
	}
	if err != nil {
		t.Skip("needs a directory outside of /tmp: ", err)
	}
	root, err := os.MkdirTemp(filepath.Dir(base), "astrid-proc-")
	if err != nil {
		t.Skip("needs a directory outside of /tmp: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	w := &world{T: t, root: root}
	for path, content := range map[string]string{
		"proj/sub/f": "base", "view/sub/f": "view", "home/sessions/system.token": "secret", "home/tmp/s/layers/1": "upper",
		"user/.ssh/id": "key", "user/.netrc": "password", "user/.cache/tool/c": "cached", "user/notes": "notes", "elsewhere/f": "data",
	} {
		w.file(path, content)
	}
	w.Sandbox = Sandbox{
		View: w.at("view"), Dir: w.at("proj"), Cwd: w.at("proj"), Home: w.at("home"), UserHome: w.at("user"), Cache: w.at("home/tmp/s/cache"),
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.at("user"), "ASTRID_HOME=" + w.at("home"), "ASTRID_X=1", "SSH_AUTH_SOCK=/x", "R=" + root},
	}
	return w
}

func (w *world) at(path string) string { return filepath.Join(w.root, path) }

func (w *world) file(path, content string) {
	w.Helper()
	err := os.MkdirAll(filepath.Dir(w.at(path)), 0o755)
	if err == nil {
		err = os.WriteFile(w.at(path), []byte(content), 0o644)
	}
	if err != nil {
		w.Fatal(err)
	}
}

// sh runs a script in the sandbox and returns what it printed and its status.
func (w *world) sh(script string) (string, int) {
	w.Helper()
	out, err := os.CreateTemp(w.TempDir(), "out")
	if err != nil {
		w.Fatal(err)
	}
	defer out.Close()
	w.Stdout, w.Stderr = out, out
	status, err := w.Sandbox.Run(w.Context(), []string{"sh", "-c", script})
	if err != nil {
		w.Fatal(err)
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		w.Fatal(err)
	}
	data, err := io.ReadAll(out)
	if err != nil {
		w.Fatal(err)
	}
	return string(data), status
}

func TestTheViewLiesOverTheWorkspace(t *testing.T) { each(t, testTheViewLiesOverTheWorkspace) }

func testTheViewLiesOverTheWorkspace(t *testing.T, w *world) {
	out, status := w.sh(`pwd; cat sub/f $R/proj/sub/f; echo new >$R/proj/made`)
	if status != 0 || out != w.at("proj")+"\nviewview" {
		t.Errorf("%d, %q", status, out)
	}
	if _, err := os.Stat(w.at("view/made")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.at("proj/made")); err == nil {
		t.Error("the workspace was written")
	}
}

func TestWhatIsOutOfReach(t *testing.T) { each(t, testWhatIsOutOfReach) }

func testWhatIsOutOfReach(t *testing.T, w *world) {
	for name, script := range map[string]string{
		"writing elsewhere":          `echo x >$R/elsewhere/f`,
		"making a file elsewhere":    `echo x >$R/new`,
		"writing to the system":      `echo x >/etc/astrid-test`,
		"the token":                  `cat $R/home/sessions/system.token`,
		"the layers":                 `cat $R/home/tmp/s/layers/1`,
		"anything in the home":       `test -n "$(ls -A $R/home)"`,
		"through init's root":        `cat /proc/1/root$R/home/sessions/system.token`,
		"the workspace behind init":  `grep base /proc/1/root$R/proj/sub/f`,
		"the parent's root":          `cat /proc/$PPID/root$R/home/sessions/system.token`,
		"unmounting the view":        `umount $R/proj`,
		"mounting":                   `mount -t tmpfs none $R/proj`,
		"a namespace of its own":     `unshare -Urm sh -c "umount $R/home && cat $R/home/sessions/system.token"`,
		"the machine's settings":     `v=$(cat /proc/sys/kernel/core_pattern) && echo "$v" >/proc/sys/kernel/core_pattern`,
		"another proc without cover": `mkdir p && mount -t proc none p`,
		"ssh keys":                   `cat $R/user/.ssh/id`,
		"passwords":                  `grep password $R/user/.netrc`,
		"the user's caches":          `cat $R/user/.cache/tool/c`,
		"the user's home":            `echo x >$R/user/notes`,
		"the network":                `grep -v -e Inter -e face -e " lo:" /proc/net/dev`,
		"other processes":            `test "$(ls -d /proc/[0-9]* | wc -l)" -gt 5`,
		"devices":                    `ls /dev/fuse || ls /dev/mem || ls /dev/kmsg`,
		"Astrid's variables":         `env | grep ^ASTRID_`,
		"the agent of ssh":           `env | grep SSH_AUTH_SOCK`,
	} {
		t.Run(name, func(t *testing.T) {
			if out, status := w.sh("{ " + script + "; } 2>/dev/null"); status == 0 {
				t.Errorf("reached: %q", out)
			}
		})
	}
}

func TestWhatIsWithinReach(t *testing.T) { each(t, testWhatIsWithinReach) }

func testWhatIsWithinReach(t *testing.T, w *world) {
	for name, script := range map[string]string{
		"the system":               `test -x /bin/sh && cat /etc/passwd`,
		"elsewhere, to read":       `grep data $R/elsewhere/f`,
		"the user's home, to read": `grep notes $R/user/notes`,
		"its own /tmp":             `echo x >/tmp/x && test "$(ls /tmp)" = x`,
		"its own /run":             `echo x >/run/x`,
		"a cache of its own":       `echo x >$R/user/.cache/x`,
		"a cache by variable":      `test -n "$npm_config_cache" && mkdir -p "$npm_config_cache" && echo x >"$npm_config_cache/x"`,
		"a loopback":               `grep -q lo: /proc/net/dev`,
	} {
		t.Run(name, func(t *testing.T) {
			if out, status := w.sh(script); status != 0 {
				t.Errorf("%d: %q", status, out)
			}
		})
	}
	if _, err := os.Stat(w.at("home/tmp/s/cache/cache/x")); err != nil {
		t.Error("the session does not keep the cache: ", err)
	}
	if out, _ := w.sh(`ls /tmp; cat $R/user/.cache/x`); out != "x\n" {
		t.Errorf("a second run sees %q", out)
	}
}

func TestReadShowsWhatIsHiddenButNotTheHome(t *testing.T) {
	each(t, testReadShowsWhatIsHiddenButNotTheHome)
}

func testReadShowsWhatIsHiddenButNotTheHome(t *testing.T, w *world) {
	w.Read = []string{w.at("user/.ssh")}
	if out, status := w.sh(`cat $R/user/.ssh/id; echo x >>$R/user/.ssh/id`); !strings.HasPrefix(out, "key") || status == 0 {
		t.Errorf("%d: %q", status, out)
	}
	for name, c := range map[string]struct {
		path string
		kind fault.Kind
	}{
		"the home":            {w.at("home"), fault.Denied},
		"a part of it":        {w.at("home/sessions"), fault.Denied},
		"all around it":       {w.root, fault.Denied},
		"the root":            {"/", fault.Denied},
		"the workspace":       {w.at("proj"), fault.Denied},
		"what does not exist": {w.at("none"), fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			w.Read = []string{c.path}
			if _, err := w.Sandbox.Run(t.Context(), []string{"true"}); !fault.Is(err, c.kind) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// As the kernel is, which keeps its secrets so.
func TestTheCallerMayBeOneThatIsNotToBeTraced(t *testing.T) {
	each(t, testTheCallerMayBeOneThatIsNotToBeTraced)
}

func testTheCallerMayBeOneThatIsNotToBeTraced(t *testing.T, w *world) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	if out, status := w.sh(`cat sub/f`); status != 0 || out != "view" {
		t.Errorf("%d: %q", status, out)
	}
}

func TestStatus(t *testing.T) { each(t, testStatus) }

func testStatus(t *testing.T, w *world) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -9 $$": 137, "kill -15 $$": 143, "exec no-such-program": 127} {
		if _, status := w.sh(script); status != want {
			t.Errorf("%s: %d, want %d", script, status, want)
		}
	}
}

func TestSignalsReachTheProgram(t *testing.T) { each(t, testSignalsReachTheProgram) }

func testSignalsReachTheProgram(t *testing.T, w *world) {
	signals := make(chan os.Signal, 1)
	w.Signals = signals
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	w.Stdout = write
	ended := make(chan int, 1)
	go func() {
		status, _ := w.Sandbox.Run(t.Context(), []string{"sh", "-c", `trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done`})
		write.Close()
		ended <- status
	}()
	if _, err := read.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	signals <- syscall.SIGTERM
	if status := <-ended; status != 9 {
		t.Errorf("status %d", status)
	}
}

// begin runs argv in the background and returns when it has said something.
func (w *world) begin(argv ...string) (ended <-chan int) {
	w.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	defer read.Close()
	w.Stdout = write
	result := make(chan int, 1)
	go func() {
		defer write.Close()
		status, err := w.Sandbox.Run(w.Context(), argv)
		if err != nil {
			w.Error(err)
		}
		result <- status
	}()
	if _, err := read.Read(make([]byte, 8)); err != nil {
		w.Fatal(err)
	}
	return result
}

func (w *world) killed(ended <-chan int) {
	w.Helper()
	if status := <-ended; status != 128+int(syscall.SIGKILL) {
		w.Errorf("status %d", status)
	}
}

const heedless = `trap '' INT TERM HUP; echo ready; while :; do sleep 0.05; done`

func TestASecondSignalEndsAProgramThatHeedsNone(t *testing.T) {
	each(t, testASecondSignalEndsAProgramThatHeedsNone)
}

func testASecondSignalEndsAProgramThatHeedsNone(t *testing.T, w *world) {
	signals := make(chan os.Signal)
	w.Signals = signals
	ended := w.begin("sh", "-c", heedless)
	signals <- syscall.SIGINT
	signals <- syscall.SIGHUP
	w.killed(ended)
}

func TestASIGTERMIsFinal(t *testing.T) { each(t, testASIGTERMIsFinal) }

func testASIGTERMIsFinal(t *testing.T, w *world) {
	signals := make(chan os.Signal)
	w.Signals = signals
	ended := w.begin("sh", "-c", heedless)
	signals <- syscall.SIGTERM
	w.killed(ended)
}

// A program may stop the first process of its sandbox and leave it so.
func TestAStoppedSandboxEndsWithItsProgram(t *testing.T) {
	each(t, testAStoppedSandboxEndsWithItsProgram)
}

func testAStoppedSandboxEndsWithItsProgram(t *testing.T, w *world) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3")
	}
	attach := "import ctypes; print('ready', flush=True); ctypes.CDLL(None).ptrace(16, 1, 0, 0)"
	status := <-w.begin("python3", "-c", attach)
	if status != 0 && status != 128+int(syscall.SIGKILL) { // 0 where the machine forbids it
		t.Errorf("status %d", status)
	}
}

func TestWithoutASandboxNothingRuns(t *testing.T) { each(t, testWithoutASandboxNothingRuns) }

func testWithoutASandboxNothingRuns(t *testing.T, w *world) {
	w.View = w.at("no-view")
	marker := w.at("view/ran")
	if _, err := w.Sandbox.Run(t.Context(), []string{"touch", marker}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("got %v", err)
	}
	w.Bwrap, w.Jailer = "", ""
	if _, err := w.Sandbox.Run(t.Context(), []string{"touch", marker}); !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "install") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("it ran")
	}
}

func TestAWorkspaceAroundTheHomesNeedsNoMountPointsInTheView(t *testing.T) {
	each(t, testAWorkspaceAroundTheHomesNeedsNoMountPointsInTheView)
}

func testAWorkspaceAroundTheHomesNeedsNoMountPointsInTheView(t *testing.T, w *world) {
	w.Dir, w.Cwd = w.root, w.root
	if out, status := w.sh(`ls`); status != 0 || out != "sub\n" {
		t.Errorf("%d: %q", status, out)
	}
	if entries, err := os.ReadDir(w.at("view")); err != nil || len(entries) != 1 {
		t.Errorf("the view was littered: %v, %v", entries, err)
	}
}

// The view of a whole machine is its root.
func TestTheWorkspaceMayBeTheRoot(t *testing.T) { each(t, testTheWorkspaceMayBeTheRoot) }

func testTheWorkspaceMayBeTheRoot(t *testing.T, w *world) {
	w.View, w.Dir, w.Cwd = "/", "/", "/"
	out, status := w.sh(`pwd; cat $R/elsewhere/f; ls /tmp; test -c /dev/null && test -e /proc/self/status && echo x >$R/elsewhere/f`)
	if status != 0 || out != "/\ndata" {
		t.Errorf("%d: %q", status, out)
	}
}

func TestNetIsShared(t *testing.T) { each(t, testNetIsShared) }

func testNetIsShared(t *testing.T, w *world) {
	w.Net = true
	inside, _ := w.sh(`readlink /proc/self/ns/net`)
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil || strings.TrimSpace(inside) != outside {
		t.Errorf("%s and %s, %v", inside, outside, err)
	}
	w.Net = false
	if inside, _ = w.sh(`readlink /proc/self/ns/net`); strings.TrimSpace(inside) == outside {
		t.Error("shared without being asked")
	}
}
