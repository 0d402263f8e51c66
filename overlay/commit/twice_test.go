package commit_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

// linkedBase has two names of one file and another file.
func linkedBase(t *testing.T) *session {
	p := newPlace(t)
	must(t, os.WriteFile(filepath.Join(p.Base, "one"), []byte("linked\n"), 0o644))
	must(t, os.Link(filepath.Join(p.Base, "one"), filepath.Join(p.Base, "two")))
	must(t, os.Mkdir(filepath.Join(p.Base, "d"), 0o755))
	must(t, os.WriteFile(filepath.Join(p.Base, "d/scan"), []byte("scan\n"), 0o644))
	s := p.open(t)
	t.Cleanup(s.close)
	return s
}

// TestNamesOfOneFileGivenBack removes a name of a base file and gives it back by
// a rename of another: it is where it was, and no other name came from there.
func TestNamesOfOneFileGivenBack(t *testing.T) {
	link := func(from, to string) ot.Op { return ot.Op{Kind: ot.Link, Path: from, To: to} }
	for name, ops := range map[string][]ot.Op{
		"after its content was edited": join(one(link("one", "three")), write("two", 3), unlink("one"), rename("three", "one"),
			unlink("d/scan"), one(link("two", "d/scan"))),
		"over another file": join(one(link("one", "three")), write("two", 3), unlink("one"), rename("three", "one"),
			one(link("two", "tmp")), rename("tmp", "d/scan")),
		"away and back": join(write("two", 3), rename("one", "d/one"), one(link("two", "new")), rename("d/one", "one")),
	} {
		t.Run(name, func(t *testing.T) {
			s := linkedBase(t)
			s.do(ops...)
			t.Log("\n" + s.changes())
			view := s.viewOfChanges()
			s.mustCommit(commit.Request{})
			if d := s.settled(view) + miscounted(s.view()); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestNameGivenBackAcrossFreeze is the same where the removal is in a frozen
// layer.
func TestNameGivenBackAcrossFreeze(t *testing.T) {
	s := linkedBase(t)
	s.do(join(write("two", 3), rename("one", "three"))...)
	f, err := s.o.Freeze()
	must(t, err)
	s.do(join(rename("three", "one"), one(ot.Op{Kind: ot.Link, Path: "two", To: "d/new"}))...)
	must(t, s.o.Thaw(f))
	view := s.viewOfChanges()
	s.mustCommit(commit.Request{})
	if d := s.settled(view); d != "" {
		t.Error(d)
	}
}

// TestRemovedInWhatIsMovedOut moves a directory out of one that is removed, and
// removes something in it.
func TestRemovedInWhatIsMovedOut(t *testing.T) {
	s := start(t)
	must(t, os.MkdirAll(filepath.Join(s.Base, "d/e/in"), 0o755))
	s.write("d/e/in/x", "x")
	s.do(join(rename("d/e", "z"), unlink("z/3"), unlink("z/in/x"), unlink("d/1"), unlink("d/2"), rmdir("d"))...)
	view := s.view()
	s.mustCommit(commit.Request{})
	if d := s.settled(view); d != "" {
		t.Error(d)
	}
}

// TestPartsOfADirectoryMadeAnew commits a part of a directory that was made anew
// over one of the base: what else covers a name of the base goes on doing so, and
// still knows what it covers.
func TestPartsOfADirectoryMadeAnew(t *testing.T) {
	for name, edit := range map[string]string{"": "", " and an edit of what remains": "d/1"} {
		t.Run("a part"+name, func(t *testing.T) {
			s := start(t)
			s.do(join(removeD(), mkdir("d"), one(ot.Op{Kind: ot.Chmod, Path: "d", Mode: 0o700}), mkdir("d/1"), create("d/1/x", 1, 2),
				create("d/new", 1, 4))...)
			view := s.view()
			res := s.mustCommit(commit.Request{Paths: []string{"d/2", "d/e"}})
			if want := "m d\nD d/2\nD d/e\nD d/e/3\n"; lines(res.Applied) != want {
				t.Errorf("applied\n%s", lines(res.Applied))
			}
			if d := undated(view, s.view()); d != "" {
				t.Error(d)
			}
			if d := miscounted(s.view()); d != "" {
				t.Error(d)
			}
			if edit == "" {
				s.mustCommit(commit.Request{})
				if d := s.settled(view); d != "" {
					t.Error(d)
				}
				return
			}
			s.write(edit, "theirs")
			var conflict *commit.ConflictError
			if _, err := s.commit(commit.Request{}); !errors.As(err, &conflict) || conflict.List[0].Path != edit {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestNameTakenFromAFile commits what replaces one name of a base file, which
// the view has moved: it is found by the other.
func TestNameTakenFromAFile(t *testing.T) {
	s := linkedBase(t)
	must(t, os.Symlink("x", filepath.Join(s.Base, "link")))
	s.do(join(unlink("two"), swap("one", "link"))...)
	view := s.viewOfChanges()
	res := s.mustCommit(commit.Request{Paths: []string{"one"}})
	if len(res.Applied) == 0 {
		t.Error("nothing was applied")
	}
	if d := undated(view, s.view()); d != "" {
		t.Error(d)
	}
	s.mustCommit(commit.Request{})
	if d := s.settled(view); d != "" {
		t.Error(d)
	}
}
