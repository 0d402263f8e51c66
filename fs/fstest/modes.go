package fstest

import (
	"testing"

	"astrid/fs"
)

// Modes runs a test in each mode of writing that a view has: write-through, and
// with the kernel's write-back cache.
func Modes(t *testing.T, test func(t *testing.T, mode fs.Options)) {
	t.Helper()
	t.Run("writethrough", func(t *testing.T) { test(t, fs.Options{}) })
	t.Run("writeback", func(t *testing.T) { test(t, fs.Options{Writeback: true}) })
}
