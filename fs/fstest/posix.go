package fstest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

// Posix runs go-fuse's posixtest over a mounted directory, each test in a
// directory of its own. gaps names tests that this tree is known to fail, with
// the reason; they are skipped.
func Posix(t *testing.T, mnt string, gaps ...Gaps) {
	t.Helper()
	all := make(map[string]func(*testing.T, string), len(posixtest.All))
	maps.Copy(all, posixtest.All)
	runAll(t, mnt, all, append(gaps, posixGaps))
}

// Gaps are known failures: the name of a test, and why it cannot pass.
type Gaps map[string]string

func runAll(t *testing.T, mnt string, all map[string]func(*testing.T, string), gaps []Gaps) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			for _, g := range gaps {
				if why, known := g[name]; known {
					t.Skip("known gap: " + why)
				}
			}
			dir := filepath.Join(mnt, name)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			all[name](t, dir)
		})
	}
}
