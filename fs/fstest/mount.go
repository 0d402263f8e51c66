package fstest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"astrid/fs"
	"astrid/fs/tree"
)

// patience bounds what a clean-up waits for: a sandbox of another test has our mount among
// its own as long as it lives.
const patience = 2 * time.Minute

// Need skips the test when nothing can be mounted here, with the reason.
func Need(t testing.TB) {
	t.Helper()
	if err := fs.Preflight(); err != nil {
		t.Skipf("no FUSE mounts here: %v", err)
	}
}

// Mount mounts a tree for the length of a test and returns where. A tree that
// keeps descriptors cached has a method DropCaches.
func Mount(t testing.TB, tr tree.Tree, o fs.Options) string {
	t.Helper()
	return Serve(t, tr, o).Dir()
}

// Serve is Mount for a test that wants the server.
func Serve(t testing.TB, tr tree.Tree, o fs.Options) *fs.Server {
	t.Helper()
	Need(t)
	dir := filepath.Join(t.TempDir(), "mnt")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	openUp(t, dir)
	check := leaks(t, dir)
	s, err := fs.Mount(dir, tr, o)
	if err != nil && o.AllowOther && os.Geteuid() != 0 {
		// This user may not let others in; who needs them skips.
		t.Logf("others are not let in: %v", err)
		o.AllowOther = false
		s, err = fs.Mount(dir, tr, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unmount(t, s)
		if c, ok := tr.(interface{ DropCaches() }); ok {
			c.DropCaches()
		}
		check()
	})
	if !o.Opens && !o.ReadOnly {
		quietPoll(s.Dir())
	}
	return s
}

// openUp lets other users reach the mount point through the test's directories.
func openUp(t testing.TB, dir string) {
	t.Helper()
	top := filepath.Clean(os.TempDir())
	for d := filepath.Dir(dir); len(d) > len(top); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// unmount ends a mount, by force when the test left something open in it.
func unmount(t testing.TB, s *fs.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := s.Unmount(ctx)
	if err == nil {
		return
	}
	var busy *fs.BusyError
	if errors.As(err, &busy) {
		t.Errorf("the test left the mount busy: %v", err)
	} else {
		t.Errorf("unmount: %v", err)
	}
	if err := s.Detach(); err != nil {
		t.Errorf("detach: %v", err)
	}
}

// leaks notes what the process has and returns a check that it has no more, and
// that nothing is mounted at dir.
func leaks(t testing.TB, dir string) func() {
	t.Helper()
	fds := descriptors(t)
	running := goleak.IgnoreCurrent()
	return func() {
		t.Helper()
		if err := goleak.Find(running); err != nil {
			t.Errorf("goroutines left: %v", err)
		}
		if now := descriptors(t); strings.Count(now, "=") > strings.Count(fds, "=") {
			t.Errorf("descriptors left:\nbefore: %s\nafter:  %s", fds, now)
		}
		if left, err := fs.Mounts(dir); err != nil || len(left) > 0 {
			t.Errorf("mounts left: %v, %v", left, err)
		}
	}
}

// descriptors lists what is open, less what the Go runtime opens when it likes.
func descriptors(t testing.TB) string {
	t.Helper()
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	names, err := d.Readdirnames(-1)
	d.Close()
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, n := range names {
		to, err := os.Readlink("/proc/self/fd/" + n)
		if err == nil && !strings.HasPrefix(to, "anon_inode:") && !strings.HasPrefix(to, "/proc/") {
			open = append(open, n+"="+to)
		}
	}
	sort.Strings(open)
	return strings.Join(open, " ")
}
