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

// mine makes whoever runs the test the owner of the root.
func mine(o mem.Options) mem.Options {
	o.UID, o.GID = uint32(os.Getuid()), uint32(os.Getgid())
	return o
}

func writable() *mem.Tree { return mem.New(mine(mem.Options{TTL: time.Hour})) }

func TestPosix(t *testing.T) {
	fstest.Modes(t, func(t *testing.T, mode fs.Options) {
		mode.AllowOther = true
		fstest.Posix(t, fstest.Mount(t, writable(), mode))
	})
}

func TestSuite(t *testing.T) { fstest.Modes(t, suite) }

func suite(t *testing.T, mode fs.Options) {
	m := writable()
	t.Cleanup(func() { // runs after the unmount
		if n := m.Held(); n != 0 {
			t.Errorf("%d references were not given back", n)
		}
	})
	mode.AllowOther = true
	fstest.Run(t, fstest.Mount(t, m, mode))
}

func TestSuiteUncached(t *testing.T) {
	fstest.Modes(t, func(t *testing.T, mode fs.Options) {
		mode.AllowOther = true
		fstest.Run(t, fstest.Mount(t, mem.New(mine(mem.Options{})), mode))
	})
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
