package ctl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"astrid/ctl"
	"astrid/ctl/text"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/op/optest"
	"astrid/kernel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// fixture is a control tree that is mounted.
type fixture struct {
	dir    string
	table  *op.Table
	kernel *optest.Kernel
	server *ctl.Server
}

func mount(t *testing.T, s *optest.Sessions) *fixture {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("there is no /dev/fuse:", err)
	}
	f := &fixture{dir: t.TempDir()}
	f.table, f.kernel = optest.New(s)
	server, err := ctl.Mount(f.dir, ctl.Config{Table: f.table, Spool: t.TempDir(), Now: func() time.Time { return time.Unix(0, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	f.server = server
	quietPoll(t, f.path("version"))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Error(err)
		}
		if n := server.Panics(); n > 0 {
			t.Errorf("%d panics", n)
		}
	})
	return f
}

// quietPoll makes the machine's kernel ask once whether files of a mount can be
// polled, and learn that they cannot. The Go runtime asks that of each file it
// opens, without letting go of its processor: in a process that serves the
// mount itself, as this test does, the answer might never come.
func quietPoll(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
}

func (f *fixture) path(name string) string { return filepath.Join(f.dir, name) }

func (f *fixture) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(f.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// echo writes like a shell: truncate, write, close.
func (f *fixture) echo(name, line string) error {
	return os.WriteFile(f.path(name), []byte(line), 0)
}

func (f *fixture) value(t *testing.T, name, key string) string {
	t.Helper()
	all, err := text.ScanPairs([]byte(f.read(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Key == key {
			return p.Value
		}
	}
	t.Fatalf("%s has no %s: %v", name, key, all)
	return ""
}

func TestTheTree(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x", "a")
	s.Add("y")
	f := mount(t, s)
	var got []string
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(f.dir, path)
		st, err := os.Lstat(path)
		if err != nil {
			return err
		}
		got = append(got, fmt.Sprintf("%s %o", rel, st.Mode().Perm()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{". 700", "last-error 400", "sessions 700", "shutdown 600", "status 400", "version 400",
		"metrics 400", "log 400", "events 400", "call 600", "ask 600", "approvals 700", "approvals/1 600", "questions 700", "questions/1 600", "allowances 700", "allowances/revoke 600",
		"capabilities 700", "capabilities/c 400", "capabilities/grant 600", "capabilities/revoke 600", "capabilities/add 600",
		"identity 700", "identity/root 400", "identity/create 600", "identity/link 600", "identity/unlink 600", "identity/tokens 400", "identity/revoke 600",
		"audit 700", "audit/log 400", "audit/verify 400", "capsules 700", "capsules/demo 700", "capsules/demo/status 400", "capsules/demo/log 400", "capsules/reload 600", "capsules/install 600", "capsules/remove 600", "capsules/trust 600", "capsules/enable 600", "capsules/disable 600", "capsules/call 600",
		"bus 700", "bus/status 400", "bus/publish 600"}
	for _, n := range []string{"x", "y"} {
		d := "sessions/" + n
		want = append(want, d+" 700", d+"/blame 400", d+"/brake 600", d+"/hunks 400", d+"/changes 400", d+"/checkpoint 600", d+"/checkpoints 400", d+"/rollback 600", d+"/fork 600", d+"/commit 600", d+"/conflicts 700", d+"/discard 600",
			d+"/history 400", d+"/patch 400", d+"/redo 600", d+"/resolve 600", d+"/status 400", d+"/undo 600")
	}
	slices.Sort(want)
	slices.Sort(got)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := os.WriteFile(f.path("new"), nil, 0o600); err == nil {
		t.Error("a file could be made")
	}
	if err := os.Remove(f.path("status")); err == nil {
		t.Error("a file could be removed")
	}
	if _, err := os.Stat(f.path("sessions/none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a session that is not: %v", err)
	}
}

func TestReading(t *testing.T) {
	s := &optest.Sessions{PatchText: bytes.Repeat([]byte("a patch\n"), 50_000)}
	s.Add("x", "a b", "\xff", "plain")
	f := mount(t, s)
	if got := f.value(t, "version", "version"); got != wire.Version {
		t.Errorf("version %q", got)
	}
	if got := f.value(t, "status", "session"); got != "x running /base/x" {
		t.Errorf("session %q", got)
	}
	if got := f.value(t, "sessions/x/status", "changes"); got != "3" {
		t.Errorf("changes %q", got)
	}
	if got := f.read(t, "sessions/x/changes"); got != "A \"a b\"\nA \"\\377\"\nA plain\n" {
		t.Errorf("changes:\n%s", got)
	}
	if got := f.read(t, "sessions/x/patch"); got != string(s.PatchText) {
		t.Errorf("patch: %d bytes", len(got))
	}
	for _, empty := range []string{"last-error", "shutdown", "sessions/x/commit", "sessions/x/discard"} {
		if got := f.read(t, empty); got != "" {
			t.Errorf("%s: %q", empty, got)
		}
	}
}

// A reader of one byte at a time sees one moment, whatever happens meanwhile.
func TestPartialReadsFitTogether(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x", "a", "b", "c")
	f := mount(t, s)
	r, err := os.Open(f.path("sessions/x/changes"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n == 0 {
			if err == nil || err.Error() != "EOF" {
				t.Fatal(err)
			}
			break
		}
		got = append(got, one[0])
		if len(got) == 3 {
			if err := f.echo("sessions/x/discard", "all\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if string(got) != "A a\nA b\nA c\n" {
		t.Errorf("got %q", got)
	}
	if now := f.read(t, "sessions/x/changes"); now != "" {
		t.Errorf("a new open sees %q", now)
	}
}

func TestShutdown(t *testing.T) {
	f := mount(t, &optest.Sessions{})
	if err := f.echo("shutdown", "\n"); err != nil {
		t.Error(err)
	}
	select {
	case why := <-f.kernel.Stop:
		t.Errorf("an empty line stopped the kernel: %s", why)
	default:
	}
	if err := f.echo("shutdown", "going home\n"); err != nil {
		t.Error(err)
	}
	if why := <-f.kernel.Stop; why != "ctl/shutdown: going home" {
		t.Errorf("because %q", why)
	}
}

// Every kind of error reaches a program as the errno of the one table.
func TestErrnoOfEveryKind(t *testing.T) {
	s := &optest.Sessions{}
	for _, k := range fault.All() {
		s.Add("fail-" + strings.ReplaceAll(k.Code(), "_", "-"))
	}
	f := mount(t, s)
	for _, k := range fault.All() {
		dir := "sessions/fail-" + strings.ReplaceAll(k.Code(), "_", "-")
		for _, name := range []string{"status", "changes", "patch"} {
			if err := readOnce(t, f.path(dir+"/"+name)); err != k.Errno() {
				t.Errorf("%s of %v: %v, want %v", name, k, err, k.Errno())
			}
		}
		for _, name := range []string{"commit", "discard"} {
			fd, err := syscall.Open(f.path(dir+"/"+name), syscall.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := syscall.Write(fd, []byte("all\n")); err != k.Errno() {
				t.Errorf("%s of %v: %v, want %v", name, k, err, k.Errno())
			}
			_ = syscall.Close(fd)
			if got := f.value(t, dir+"/"+name, "error"); got != k.Code() {
				t.Errorf("%s of %v shows %q", name, k, got)
			}
		}
	}
}

// readOnce reads without package os, which repeats after EINTR.
func readOnce(t *testing.T, path string) error {
	t.Helper()
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	_, err = syscall.Read(fd, make([]byte, 100))
	return err
}

// Every operation has a file of its own, or is reached through call for a reason.
func TestFilesAgreeWithTheTable(t *testing.T) {
	files := map[string]string{
		op.About: "status", op.Version: "version", op.Shutdown: "shutdown", op.List: "sessions", op.Metrics: "metrics", op.Log: "log",
		op.Users: "identity", op.CreateUser: "identity/create", op.LinkUser: "identity/link", op.UnlinkUser: "identity/unlink",
		op.Tokens: "identity/tokens", op.RevokeToken: "identity/revoke", op.Caps: "capabilities", op.GrantCap: "capabilities/grant",
		op.RevokeCap: "capabilities/revoke", op.AddCap: "capabilities/add", op.Ask: "ask", op.Pending: "approvals", op.Approve: "approvals/1", op.Questions: "questions", op.AnswerQuestion: "questions/1", op.Allowances: "allowances",
		op.RevokeAllowance: "allowances/revoke", op.AuditRead: "audit/log", op.AuditVerify: "audit/verify", op.BusStatus: "bus/status",
		op.Publish: "bus/publish", op.Events: "events", op.CapsuleInfos: "capsules", op.LogOfCapsule: "capsules/demo/log", op.ReloadCapsules: "capsules/reload",
		op.InstallCapsule: "capsules/install", op.RemoveCapsule: "capsules/remove", op.TrustCapsule: "capsules/trust", op.EnableCapsule: "capsules/enable",
		op.DisableCapsule: "capsules/disable", op.CallTool: "capsules/call",
	}
	onlyCall := map[string]string{
		op.Up: "needs a directory of the caller's", op.Down: "ends what a shell may stand in; shutdown is for all",
		op.Remove: "loses work for good", op.Recover: "is told by status and done by the command",
		op.ListCapsules: "capsules is the same", op.GetCommands: "is in capsules/ID/status", op.GetCapsuleMetadata: "is in capsules/ID/status",
		op.ApproveCapability: "approvals/ID is the same",
		op.GetStatus:         "status is the same", op.ShutdownMethod: "shutdown is the same",
		op.MintToken: "a secret is shown once, to who asked", op.AuditExport: "audit/log shows as much as a file should",
		op.KVGet: "keys may hold what names may not", op.KVSet: "likewise", op.KVDelete: "likewise", op.KVKeys: "likewise", op.KVClear: "likewise",
		op.DropPoint:    "is --drop in checkpoint",
		op.ConflictSide: "is base, mine and theirs of a conflict",
		op.Backup:       "is larger than a file here should be",
	}
	s := &optest.Sessions{}
	s.Add("x")
	f := mount(t, s)
	for _, e := range f.table.Entries() {
		path, named := files[e.Method]
		if !named {
			path = "sessions/x/" + e.Method
		}
		_, err := os.Stat(f.path(path))
		if reason := onlyCall[e.Method]; reason != "" {
			if err == nil || named {
				t.Errorf("%s is a file and is said to be none: %s", e.Method, reason)
			}
			continue
		}
		if err != nil {
			t.Errorf("the operation %s is no file, and no reason is given: %v", e.Method, err)
		}
	}
}

func TestAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be two users")
	}
	s := &optest.Sessions{}
	s.Add("x", "a")
	f := mount(t, s)
	for dir := f.dir; len(dir) > len("/tmp/"); dir = filepath.Dir(dir) {
		if dir != f.dir {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, script := range []string{"cat " + f.path("version"), "echo all > " + f.path("sessions/x/commit"), "ls " + f.path("sessions")} {
		cmd := exec.Command("sh", "-c", script)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied") {
			t.Errorf("%s: %v, %s", script, err, out)
		}
	}
	if calls := s.Calls(); len(calls) != 0 {
		t.Errorf("called: %v", calls)
	}
}

func TestWithTheShell(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x", "a", "b")
	f := mount(t, s)
	out, err := exec.Command("sh", "-c", `cd "$1" && grep -r running . && wc -c < status && head -c 4 version && echo && echo a > sessions/x/commit &&
		cat sessions/x/commit && (/bin/echo frob --frob > sessions/x/commit; echo $?) 2>&1 && cat last-error`, "sh", f.dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"state: running", "\nvers\n", "commit: 1\n", "Invalid argument", "reason: commit has no option \"--frob\""} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestStaleTreesAreReplaced(t *testing.T) {
	s := &optest.Sessions{}
	f := mount(t, s)
	real := t.TempDir()
	behind, err := ctl.Mount(real, ctl.Config{Table: f.table, Spool: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(real), link); err != nil {
		t.Fatal(err)
	}
	for dir, stale := range map[string]*ctl.Server{f.dir: f.server, filepath.Join(link, filepath.Base(real)): behind} {
		second, err := ctl.Mount(dir, ctl.Config{Table: f.table, Spool: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Close(context.Background()); err != nil {
			t.Error(err)
		}
		select {
		case <-stale.Done():
		case <-time.After(patience):
			t.Error("the first mount is still there")
		}
	}
}

func TestCloseLeavesThoseWhoHoldIt(t *testing.T) {
	f := mount(t, &optest.Sessions{})
	held, err := os.Open(f.path("version"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := f.server.Close(ctx); err != nil {
		t.Errorf("a held tree: %v", err)
	}
	if _, err := os.Stat(f.path("version")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still mounted: %v", err)
	}
	_ = held.Close()
	<-f.server.Done()
}
