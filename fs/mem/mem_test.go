package mem_test

import (
	"os"
	"testing"
	"time"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/fs/mem"
)

func TestMain(m *testing.M) { fstest.Main(m) }

func writable() *mem.Tree { return mem.New(mem.Options{TTL: time.Hour}) }

func TestPosix(t *testing.T) {
	fstest.Posix(t, fstest.Mount(t, writable(), fs.Options{AllowOther: true}))
}

func TestSuite(t *testing.T) {
	m := writable()
	t.Cleanup(func() { // runs after the unmount
		if n := m.Held(); n != 0 {
			t.Errorf("%d references were not given back", n)
		}
	})
	fstest.Run(t, fstest.Mount(t, m, fs.Options{AllowOther: true}))
}

func TestSuiteUncached(t *testing.T) {
	fstest.Run(t, fstest.Mount(t, mem.New(mem.Options{}), fs.Options{AllowOther: true}))
}

// TestSuiteOnDisk holds the suite itself to a file system that is right.
func TestSuiteOnDisk(t *testing.T) {
	dir, err := os.MkdirTemp("", "astrid-suite")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fstest.Run(t, dir)
}
