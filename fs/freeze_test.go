package fs_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/fs/tree"
)

// TestFreezeSeesMappedPages is what a commit relies on: after syncfs(2) and
// statfs(2) every page that was dirty in a mapping has reached the tree, however
// slowly it takes them.
func TestFreezeSeesMappedPages(t *testing.T) { fstest.Modes(t, freezeSeesMappedPages) }

func freezeSeesMappedPages(t *testing.T, mode fs.Options) {
	h := newHooked()
	s := fstest.Serve(t, h, mode)
	c := start(t, fstest.Command("dirty", s.Dir()))
	var slowed atomic.Int64
	slow := func() { slowed.Add(1); time.Sleep(20 * time.Millisecond) }
	h.root.write.Store(&slow)
	fd, err := unix.Open(s.Dir(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Syncfs(fd); err != nil {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		t.Fatal(err)
	}
	arrived := make([]bool, dirtyFiles)
	for i := range arrived {
		arrived[i] = allDirty(t, h, fmt.Sprintf("f%d", i))
	}
	missing := 0
	for _, ok := range arrived {
		if !ok {
			missing++
		}
	}
	if missing > 0 || slowed.Load() == 0 {
		t.Errorf("%d files had not arrived; %d writes were slowed", missing, slowed.Load())
	}
	c.end(t)
}

// allDirty looks at a file in the tree, past the mount.
func allDirty(t *testing.T, h *hooked, name string) bool {
	t.Helper()
	var e tree.Entry
	n, err := h.Tree.Root().Lookup(name, &e)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Forget(1)
	buf := make([]byte, dirtyBytes)
	got, err := n.(tree.File).ReadAt(buf, 0)
	return err == nil && got == dirtyBytes && bytes.Count(buf, []byte("D")) == dirtyBytes
}
