package commit_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/overlay/commit"
)

// TestPreimagesAreNotLinked removes one of several names: what is kept of it
// must not be the file that the others name.
func TestPreimagesAreNotLinked(t *testing.T) {
	s := start(t)
	must(t, os.Link(filepath.Join(s.Base, "file"), filepath.Join(s.Base, "file.too")))
	s.do(unlink("file.too")...)
	res := s.mustCommit(commit.Request{})
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(s.Base, "file"), &st))
	if st.Nlink != 1 {
		t.Errorf("the name that stayed has %d links", st.Nlink)
	}
	s.write("file", "edited afterwards")
	kept := ""
	must(t, filepath.WalkDir(filepath.Join(s.Undo, "1"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, rerr := os.ReadFile(p)
			kept += string(b)
			return rerr
		}
		return err
	}))
	if res.Number != 1 || kept != "text\n" {
		t.Errorf("commit %d keeps %q", res.Number, kept)
	}
}
