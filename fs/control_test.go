package fs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/fs/mem"
	"astrid/fs/tree"
)

// control mounts a tree of items.
func control(t *testing.T, items map[string]mem.Item) (string, *mem.Tree) {
	t.Helper()
	m := mem.New(mem.Options{
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Mode: 0o700, Fixed: true,
		Allow: func(c *tree.Caller) error {
			if c.UID != uint32(os.Getuid()) {
				return syscall.EACCES
			}
			return nil
		},
	})
	for path, it := range items {
		if err := m.Attach(path, it); err != nil {
			t.Fatal(err)
		}
	}
	return fstest.Mount(t, m, fs.Options{Opens: true}), m
}

// shell runs a line in a shell, as a user does.
func shell(t *testing.T, dir, line string) (string, error) {
	t.Helper()
	out, err := exec.Command("/bin/sh", "-c", "cd "+dir+" && "+line).CombinedOutput()
	return string(out), err
}

func constant(s string) mem.File {
	return mem.Text(func(context.Context) ([]byte, error) { return []byte(s), nil })
}

func TestControlText(t *testing.T) {
	n := 0
	long := strings.Repeat("0123456789\n", 50_000)
	dir, _ := control(t, map[string]mem.Item{
		"version":    constant("astrid 1\n"),
		"deep/in/it": constant("nested\n"),
		"long":       constant(long),
		"counter":    mem.Text(func(context.Context) ([]byte, error) { n++; return []byte(fmt.Sprint(n)), nil }),
		"failing":    mem.Text(func(context.Context) ([]byte, error) { return nil, syscall.ESTALE }),
		"alias":      mem.Link("version"),
	})
	for line, want := range map[string]string{
		"cat version":                          "astrid 1\n",
		"cat alias":                            "astrid 1\n",
		"cat deep/in/it":                       "nested\n",
		"ls":                                   "alias\ncounter\ndeep\nfailing\nlong\nversion\n",
		"ls -ln version | cut -c1-10":          "-r--------\n",
		"wc -l <long":                          "50000\n",
		"head -c 5 version":                    "astri",
		"cp long /dev/stdout | wc -c":          "550000\n",
		"grep -c 9 long":                       "50000\n",
		"find . -type f | sort | tr '\\n' ' '": "./counter ./deep/in/it ./failing ./long ./version ",
	} {
		if got, err := shell(t, dir, line); got != want || err != nil {
			t.Errorf("%s: %q, %v", line, got, err)
		}
	}
	if got, err := shell(t, dir, "cat failing"); err == nil || !strings.Contains(got, "Stale") {
		t.Errorf("%q, %v", got, err)
	}
	// One open is one snapshot, read in parts and from anywhere; the next is new.
	fd, err := unix.Open(dir+"/counter", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for range 3 {
		b := make([]byte, 1)
		if k, err := unix.Pread(fd, b, 0); k != 1 || b[0] != '1' || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	if got := reads(t, dir+"/counter"); got != "2" {
		t.Errorf("the next open reads %q", got)
	}
}

// journal keeps the lines that a file was given.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) sink(_ context.Context, c *tree.Caller, line string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
	switch {
	case c.PID == 0:
		return errors.New("a writer without a process")
	case line == "bad":
		return syscall.EINVAL
	case line == "busy":
		return fmt.Errorf("cannot: %w", syscall.EBUSY)
	}
	return nil
}

func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.lines
	j.lines = nil
	return l
}

func TestControlLines(t *testing.T) {
	var j journal
	dir, _ := control(t, map[string]mem.Item{
		"verbs": mem.Lines(20, j.sink),
		"both":  constant("state\n").And(mem.Lines(0, j.sink)),
	})
	said := func(want ...string) {
		t.Helper()
		if got := j.take(); !slices.Equal(got, want) {
			t.Errorf("lines %q, want %q", got, want)
		}
	}
	for _, line := range []string{"echo commit > verbs", "echo commit >> verbs", "printf commit > verbs", "echo commit | tee verbs"} {
		if _, err := shell(t, dir, line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		said("commit")
	}
	if _, err := shell(t, dir, "printf 'a b\\n\\nc' > verbs"); err != nil {
		t.Error(err)
	}
	said("a b", "", "c")
	if got, err := shell(t, dir, "cat both && echo do > both"); got != "state\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	said("do")

	// Splits at any byte.
	for cut := range len("one\ntwo\n") {
		fd, err := unix.Open(dir+"/verbs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"one\ntwo\n"[:cut], "one\ntwo\n"[cut:]} {
			if _, err := unix.Write(fd, []byte(part)); err != nil {
				t.Errorf("cut at %d: %v", cut, err)
			}
		}
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
		said("one", "two")
	}

	for text, want := range map[string]unix.Errno{
		"bad\n": unix.EINVAL, "busy\n": unix.EBUSY, "busy": unix.EBUSY,
		strings.Repeat("x", 21): unix.E2BIG, strings.Repeat("x", 20) + "\n": 0,
	} {
		if err := writes(dir+"/verbs", text, 0); !errors.Is(err, want) && (want != 0 || err != nil) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	j.take()
	if got, err := shell(t, dir, "echo bad | tee verbs"); err == nil || !strings.Contains(got, "Invalid argument") {
		t.Errorf("%q, %v", got, err)
	}
	said("bad")
}

func TestControlRefusals(t *testing.T) {
	var j journal
	dir, _ := control(t, map[string]mem.Item{
		"verbs":   mem.Lines(0, j.sink).Perm(0o622),
		"version": constant("v").Perm(0o644),
		"open":    mem.Static(map[string]mem.Item{"x": constant("x")}),
	})
	for what, err := range map[string]error{
		"creating":                 writes(dir+"/new", "x", unix.O_CREAT),
		"removing":                 unix.Unlink(dir + "/verbs"),
		"renaming":                 unix.Rename(dir+"/verbs", dir+"/v"),
		"mkdir":                    unix.Mkdir(dir+"/d", 0o755),
		"chmod":                    unix.Chmod(dir+"/verbs", 0o666),
		"removing from a folder":   unix.Unlink(dir + "/open/x"),
		"creating in a folder":     writes(dir+"/open/y", "x", unix.O_CREAT),
		"a directory in a folder":  unix.Mkdir(dir+"/open/y", 0o755),
		"a symlink in a folder":    unix.Symlink("x", dir+"/open/y"),
		"renaming within a folder": unix.Rename(dir+"/open/x", dir+"/open/y"),
	} {
		// The kernel refuses an ordinary user by the mode of the directory.
		if err != unix.EPERM && (os.Geteuid() == 0 || err != unix.EACCES) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := unix.Open(dir+"/version", unix.O_WRONLY, 0); err != unix.EACCES {
		t.Errorf("writing what is only read: %v", err)
	}
	if _, err := unix.Open(dir+"/verbs", unix.O_RDONLY, 0); err != unix.EACCES {
		t.Errorf("reading what is only written: %v", err)
	}
}

func TestControlFolder(t *testing.T) {
	var mu sync.Mutex
	names := []string{"beta", "alpha"}
	sessions := mem.Folder{
		List: func() ([]string, error) {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(names), nil
		},
		Child: func(name string) (mem.Item, error) {
			mu.Lock()
			defer mu.Unlock()
			if !slices.Contains(names, name) {
				return nil, syscall.ENOENT
			}
			return mem.Static(map[string]mem.Item{"status": constant(name + " is up\n")}), nil
		},
	}
	dir, _ := control(t, map[string]mem.Item{"sessions": sessions})
	if got, err := shell(t, dir, "ls sessions; cat sessions/*/status"); got != "alpha\nbeta\nalpha is up\nbeta is up\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	var a, b unix.Stat_t
	if err := unix.Stat(dir+"/sessions/alpha", &a); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(dir+"/sessions/alpha", &b); err != nil || a.Ino != b.Ino {
		t.Errorf("number %d, then %d, %v", a.Ino, b.Ino, err)
	}
	fd, err := unix.Open(dir+"/sessions/alpha", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	mu.Lock()
	names = []string{"beta", "gamma"}
	mu.Unlock()
	if got, err := shell(t, dir, "ls sessions; ls -i sessions | wc -l"); got != "beta\ngamma\n2\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := statErr(dir + "/sessions/alpha"); err != unix.ENOENT {
		t.Errorf("what is gone: %v", err)
	}
	// Who holds the old directory still has it.
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != a.Ino {
		t.Errorf("%v, number %d", err, st.Ino)
	}
}

func TestControlAttachDetach(t *testing.T) {
	dir, m := control(t, map[string]mem.Item{"sessions/one/status": constant("one\n")})
	if err := m.Attach("sessions/two/status", constant("two\n")); err != nil {
		t.Fatal(err)
	}
	if err := m.Attach("sessions/two/status", constant("again\n")); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("got %v", err)
	}
	if got := reads(t, dir+"/sessions/two/status"); got != "two\n" {
		t.Errorf("reads %q", got)
	}
	if err := m.Detach("sessions/one"); err != nil {
		t.Fatal(err)
	}
	if err := statErr(dir + "/sessions/one/status"); err != unix.ENOENT {
		t.Errorf("got %v", err)
	}
	if got, err := shell(t, dir, "ls sessions"); got != "two\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := m.Detach("sessions/one"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v", err)
	}
}

// TestControlOwnerOnly lets a stranger in by the mount and not by the tree.
func TestControlOwnerOnly(t *testing.T) {
	fstest.NeedRoot(t)
	m := mem.New(mem.Options{Mode: 0o755, Fixed: true, Allow: func(c *tree.Caller) error {
		if c.UID != 0 {
			return syscall.EACCES
		}
		return nil
	}})
	if err := m.Attach("open", constant("x").And(mem.Lines(0, (&journal{}).sink)).Perm(0o666)); err != nil {
		t.Fatal(err)
	}
	dir := fstest.Mount(t, m, fs.Options{Opens: true, AllowOther: true})
	cmd := exec.Command("cat", dir+"/open")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied") {
		t.Errorf("%q, %v", out, err)
	}
	if got := reads(t, dir+"/open"); got != "x" {
		t.Errorf("the owner reads %q", got)
	}
}
