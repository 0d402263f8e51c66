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

// TestPreimagesOfEveryKindAreNotLinked is the same for what is no regular file.
func TestPreimagesOfEveryKindAreNotLinked(t *testing.T) {
	s := start(t)
	at := func(p string) string { return filepath.Join(s.Base, p) }
	must(t, unix.Mkfifo(at("fifo"), 0o640))
	for _, p := range []string{"link", "fifo"} {
		must(t, os.Link(at(p), at(p+".too")))
		s.do(unlink(p + ".too")...)
	}
	view := s.view()
	s.mustCommit(commit.Request{})
	for _, p := range []string{"link", "fifo"} {
		var st unix.Stat_t
		must(t, unix.Lstat(at(p), &st))
		if st.Nlink != 1 || view[p].Nlink != 1 {
			t.Errorf("%s has %d links, and %d in the view", p, st.Nlink, view[p].Nlink)
		}
	}
	kinds := map[fs.FileMode]int{}
	must(t, filepath.WalkDir(filepath.Join(s.Undo, "1"), func(p string, d fs.DirEntry, err error) error {
		if err == nil {
			kinds[d.Type()]++
		}
		if err == nil && d.Type() == fs.ModeSymlink {
			if target, err := os.Readlink(p); err != nil || target != "file" {
				t.Errorf("kept: a link to %q %v", target, err)
			}
		}
		return err
	}))
	if kinds[fs.ModeSymlink] != 1 || kinds[fs.ModeNamedPipe] != 1 {
		t.Errorf("kept: %v", kinds)
	}
}

// TestNamesOutsideCostNoCopy removes files of which a store outside of the
// workspace has the other names, as package managers make them.
func TestNamesOutsideCostNoCopy(t *testing.T) {
	s := start(t)
	const size = 24 << 20
	big, inside := filepath.Join(s.Base, "big"), filepath.Join(s.Base, "inside")
	for _, p := range []string{big, inside} {
		f, err := os.Create(p)
		must(t, err)
		must(t, unix.Fallocate(int(f.Fd()), 0, 0, size))
		must(t, f.Close())
	}
	must(t, os.Link(big, filepath.Join(s.Beside, "store")))
	must(t, os.Link(inside, filepath.Join(s.Base, "stays")))
	s.do(join(unlink("big"), unlink("inside"))...)
	s.mustCommit(commit.Request{})
	links := map[uint64]int{}
	must(t, filepath.WalkDir(filepath.Join(s.Undo, "1"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var st unix.Stat_t
			must(t, unix.Stat(p, &st))
			links[st.Nlink]++
		}
		return err
	}))
	if links[1] != 1 || links[2] != 1 {
		t.Errorf("pre-images by their number of names: %v", links)
	}
}
