package fs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
)

func TestPanicIsEIOAndTheMountLives(t *testing.T) {
	h := newHooked()
	h.root.lookup = func(name string) error {
		if name == "boom" {
			panic("boom")
		}
		return nil
	}
	s := fstest.Serve(t, h, fs.Options{Log: quiet()})
	for range 3 {
		if err := statErr(s.Dir() + "/boom"); err != unix.EIO {
			t.Errorf("got %v", err)
		}
	}
	if s.Panics() != 3 {
		t.Errorf("%d panics counted", s.Panics())
	}
	if err := writes(s.Dir()+"/f", "alive", unix.O_CREAT); err != nil {
		t.Error(err)
	}
	if got := reads(t, s.Dir()+"/f"); got != "alive" {
		t.Errorf("reads %q", got)
	}
}

func TestErrorsBecomeErrnos(t *testing.T) {
	h := newHooked()
	answers := map[string]error{
		"wrapped": fmt.Errorf("the disk: %w", syscall.EDQUOT),
		"nosys":   syscall.ENOSYS,
		"strange": errors.New("no errno in here"),
		"huge":    syscall.Errno(5000),
	}
	h.root.lookup = func(name string) error { return answers[name] }
	dir := fstest.Mount(t, h, fs.Options{Log: quiet()})
	for name, want := range map[string]error{
		"wrapped": unix.EDQUOT, "nosys": unix.EOPNOTSUPP, "strange": unix.EIO, "huge": unix.EIO, "none": unix.ENOENT,
	} {
		if err := statErr(dir + "/" + name); err != want {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

// TestSlowRequestsDoNotStallOthers blocks several lookups for as long as the
// test likes; only the watchdog can let the others go on.
func TestSlowRequestsDoNotStallOthers(t *testing.T) {
	h := newHooked()
	release := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Add(10)
	h.root.lookup = func(name string) error {
		if strings.HasPrefix(name, "slow") {
			waiting.Done()
			<-release
		}
		return nil
	}
	dir := fstest.Mount(t, h, fs.Options{})
	// Lookups in one directory may wait for each other in the kernel only if
	// they want the same name.
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			if err := statErr(fmt.Sprintf("%s/slow%d", dir, i)); err != unix.ENOENT {
				t.Errorf("got %v", err)
			}
		})
	}
	waiting.Wait()
	if err := statErr(dir + "/quick"); err != unix.ENOENT {
		t.Errorf("got %v", err)
	}
	close(release)
	all.Wait()
}

// TestStatfsComesAfterWrites is the freeze: a STATFS read after a WRITE is
// answered after it, and so does Drain return; others go on meanwhile.
func TestStatfsComesAfterWrites(t *testing.T) {
	h := newHooked()
	var applied atomic.Bool
	h.statfs = func() {
		if !applied.Load() {
			t.Error("the tree was asked before the write was applied")
		}
	}
	s := fstest.Serve(t, h, fs.Options{})
	f := s.Dir() + "/f"
	if err := writes(f, "x", unix.O_CREAT); err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	hook := func() { close(entered); <-release; applied.Store(true) }
	h.root.write.Store(&hook)
	var all sync.WaitGroup
	all.Go(func() {
		if err := writes(f, "y", 0); err != nil {
			t.Error(err)
		}
	})
	<-entered
	all.Go(func() {
		var st unix.Statfs_t
		if err := unix.Statfs(s.Dir(), &st); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() {
		if err := s.Drain(context.Background()); err != nil || !applied.Load() {
			t.Errorf("drained with %v before the write was applied", err)
		}
	})
	short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a drain of 50 ms ended with %v", err)
	}
	for i := range 100 {
		if err := statErr(fmt.Sprintf("%s/other%d", s.Dir(), i)); err != unix.ENOENT {
			t.Errorf("another request: %v", err)
		}
	}
	close(release)
	all.Wait()
}

func TestUnmountReturnsReferences(t *testing.T) {
	m := newMem()
	dir := filepath.Join(t.TempDir(), "m")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fstest.Need(t)
	for range 3 {
		s, err := fs.Mount(dir, m, fs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if err := writes(fmt.Sprintf("%s/f%d", dir, i), "x", unix.O_CREAT); err != nil {
				t.Fatal(err)
			}
		}
		if s.Nodes() == 0 || m.Held() == 0 {
			t.Error("the kernel holds nothing")
		}
		if err := s.Unmount(context.Background()); err != nil {
			t.Fatal(err)
		}
		if m.Held() != 0 {
			t.Errorf("%d references are left", m.Held())
		}
	}
}

func TestReadOnly(t *testing.T) {
	m := newMem()
	rw := fstest.Mount(t, m, fs.Options{})
	if err := writes(rw+"/f", "kept", unix.O_CREAT); err != nil {
		t.Fatal(err)
	}
	// The other tree's references are its own: a second mount of one tree works
	// while both are only read.
	ro := fstest.Mount(t, newMem(), fs.Options{ReadOnly: true})
	for what, err := range map[string]error{
		"creating": writes(ro+"/f", "x", unix.O_CREAT),
		"mkdir":    unix.Mkdir(ro+"/d", 0o755),
		"chmod":    unix.Chmod(ro, 0o700),
	} {
		if err != unix.EROFS {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMountInfoSaysWhatItIs(t *testing.T) {
	s := fstest.Serve(t, newMem(), fs.Options{FsName: "session one, really", Subtype: "astrid-view"})
	all, err := fs.Mounts(filepath.Dir(s.Dir()))
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	m := all[0]
	if m.Dir != s.Dir() || m.FSType != "fuse.astrid-view" || m.Minor != s.Minor() || m.Source != "session one, really" {
		t.Errorf("%+v", m)
	}
	if sibling, _ := fs.Mounts(s.Dir() + "x"); len(sibling) != 0 {
		t.Errorf("a longer name finds %v", sibling)
	}
}

func TestMountRefusals(t *testing.T) {
	fstest.Need(t)
	if _, err := fs.Mount(t.TempDir()+"/none", newMem(), fs.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Mount(file, newMem(), fs.Options{}); err == nil {
		t.Error("a file was mounted over")
	}
}

// TestMountAsUser goes by fusermount3, where that is installed for users.
func TestMountAsUser(t *testing.T) {
	fstest.Need(t)
	if _, err := exec.LookPath("fusermount3"); err != nil {
		t.Skip("no fusermount3 here")
	}
	fstest.DoAsUser(t, "mount", usersDir(t))
}

// usersDir is a directory of the user that DoAsUser becomes.
func usersDir(t *testing.T) string {
	t.Helper()
	fstest.NeedRoot(t)
	dir, err := os.MkdirTemp("", "astrid-user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestMountAsUserWithoutHelper is a container without fuse3: it says what to do.
func TestMountAsUserWithoutHelper(t *testing.T) {
	fstest.Need(t)
	dir := usersDir(t)
	t.Setenv("PATH", "/nowhere")
	fstest.DoAsUser(t, "unmounted", dir, "install the package fuse3")
}

// TestMountAsUserForOthers: without user_allow_other the helper's own words arrive.
func TestMountAsUserForOthers(t *testing.T) {
	fstest.Need(t)
	if _, err := exec.LookPath("fusermount3"); err != nil {
		t.Skip("no fusermount3 here")
	}
	if b, _ := os.ReadFile("/etc/fuse.conf"); strings.Contains("\n"+string(b), "\nuser_allow_other") {
		t.Skip("users may let others in here")
	}
	fstest.DoAsUser(t, "unmounted", usersDir(t), "user_allow_other", "others")
}

// TestHammer does everything from everywhere at once.
func TestHammer(t *testing.T) {
	s := fstest.Serve(t, newMem(), fs.Options{})
	dir := s.Dir()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			mine := fmt.Sprintf("%s/d%d", dir, i)
			for n := range 60 {
				path := fmt.Sprintf("%s/f%d", mine, n%7)
				_ = unix.Mkdir(mine, 0o755)
				_ = writes(path, strings.Repeat("x", n*100), unix.O_CREAT|unix.O_TRUNC)
				_ = unix.Rename(path, fmt.Sprintf("%s/d%d/g%d", dir, (i+1)%8, n%5))
				_, _ = os.ReadDir(mine)
				var st unix.Statfs_t
				_ = unix.Statfs(dir, &st)
				if n%20 == 19 {
					_ = os.RemoveAll(mine)
				}
				if err := s.Drain(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if s.Panics() != 0 {
		t.Errorf("%d panics", s.Panics())
	}
}
