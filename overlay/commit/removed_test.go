package commit_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

// TestRemovedAndEdited changes in the base what the view has removed, and then
// something else in the same directory of the view: what the view did not know
// is not lost.
func TestRemovedAndEdited(t *testing.T) {
	at := func(s *session, p string) string { return filepath.Join(s.Base, p) }
	put := func(p string) func(s *session) { return func(s *session) { s.write(p, "theirs\n") } }
	again := func(p string) func(s *session) { // the same bytes and times in another inode
		return func(s *session) {
			st, err := os.Stat(at(s, p))
			must(s.t, err)
			s.write("copy", s.base(p))
			must(s.t, os.Chtimes(at(s, "copy"), st.ModTime(), st.ModTime()))
			must(s.t, os.Rename(at(s, "copy"), at(s, p)))
		}
	}
	back := func(p string) func(s *session) { // other bytes with the size and time there were
		return func(s *session) {
			st, err := os.Stat(at(s, p))
			must(s.t, err)
			s.write(p, string(make([]byte, st.Size())))
			must(s.t, os.Chtimes(at(s, p), st.ModTime(), st.ModTime()))
		}
	}
	for _, c := range []struct {
		name    string
		view    []ot.Op
		edit    func(s *session)
		between []ot.Op // in the view, after the edit
		path    string  // "" when there must be no conflict
	}{
		{"a file edited", unlink("file"), put("file"), nil, "file"},
		{"a file replaced by its like", unlink("file"), again("file"), nil, "file"},
		{"a file edited with its time put back", unlink("file"), back("file"), nil, "file"},
		{"a file edited before it was removed", nil, put("file"), unlink("file"), ""},
		{"a file edited after the view had changed and before it removed it", write("file", 3), put("file"), unlink("file"), "file"},
		{"a file replaced by one of the view", join(unlink("file"), create("file", 1, 9)), put("file"), nil, "file"},
		{"a file replaced by a rename", rename("other", "file"), put("file"), nil, "file"},
		{"a moved file edited and then removed", rename("file", "z"), put("file"), unlink("z"), ""},
		{"a moved file removed and then edited", join(rename("file", "z"), unlink("z")), put("file"), nil, "file"},
		{"a file below a removed directory", removeD(), put("d/e/3"), nil, "d/e/3"},
		{"a file below a removed directory replaced by its like", removeD(), again("d/1"), nil, "d/1"},
		{"a file edited before its directory was removed", nil, put("d/e/3"), removeD(), ""},
		{"a file edited after it was removed and before its directory was", unlink("d/1"), put("d/1"),
			join(unlink("d/2"), unlink("d/e/3"), rmdir("d/e"), rmdir("d")), "d/1"},
		{"a file that appeared below a removed directory", removeD(), put("d/e/new"), nil, "d/e/new"},
		{"a directory that appeared below a removed one", removeD(), func(s *session) { must(s.t, os.Mkdir(at(s, "d/new"), 0o755)) }, nil, "d/new"},
		{"a file below a directory made anew", join(removeD(), mkdir("d")), put("d/1"), nil, "d/1"},
		{"a file below a directory that was moved and then removed",
			join(rename("d", "z"), unlink("z/1"), unlink("z/2"), unlink("z/e/3"), rmdir("z/e"), rmdir("z")), put("d/e/3"), nil, "d/e/3"},
		{"what was moved out of a removed directory and then removed",
			join(rename("d/e", "z"), unlink("d/1"), unlink("d/2"), rmdir("d"), unlink("z/3"), rmdir("z")), func(*session) {}, nil, ""},
		{"a file in what was moved out of a removed directory and then removed",
			join(rename("d/e", "z"), unlink("d/1"), unlink("d/2"), rmdir("d"), unlink("z/3"), rmdir("z")), put("d/e/3"), nil, "d/e/3"},
		{"a file of a moved directory", join(rename("d", "z"), unlink("z/e/3")), put("d/e/3"), nil, "z/e/3"},
		{"a file removed from a directory that stays", unlink("d/1"), put("d/1"), nil, "d/1"},
		{"a file that appeared under the view's own", create("new", 1, 2), put("new"), unlink("new"), "new"},
		{"a file removed there too", unlink("file"), func(s *session) { must(s.t, os.Remove(at(s, "file"))) }, nil, ""},
		{"nothing", removeD(), func(*session) {}, nil, ""},
	} {
		for _, when := range []string{"", ", over a restart", ", over a freeze", ", over a compaction"} {
			t.Run(c.name+when, func(t *testing.T) {
				s := start(t)
				s.do(c.view...)
				c.edit(s)
				s.do(c.between...)
				// The directory of the view changes later than the base.
				s.do(join(create("later", 1, 1), create("a/later", 1, 1))...)
				switch when {
				case ", over a restart":
					s.close()
					*s = *s.place.open(t)
				case ", over a freeze":
					f, err := s.o.Freeze()
					must(t, err)
					s.do(create("frozen", 1, 1)...)
					must(t, s.o.Thaw(f))
				case ", over a compaction":
					s.mustCommit(commit.Request{Paths: []string{"a/later"}})
				}
				before := disk(t, s.Base)
				_, err := s.commit(commit.Request{})
				var conflict *commit.ConflictError
				if c.path == "" {
					must(t, err)
					return
				}
				if !errors.As(err, &conflict) {
					t.Fatalf("no conflict: %v", err)
				}
				if !slices.ContainsFunc(conflict.List, func(x commit.Conflict) bool { return x.Path == c.path }) {
					t.Errorf("conflicts %v, none at %s", conflict.List, c.path)
				}
				if d := differ(before, disk(t, s.Base)); d != "" {
					t.Errorf("the base changed:\n%s", d)
				}
			})
		}
	}
}

// TestRemovedDuringCommit removes, while a commit is under way, what it brings:
// the next commit knows that it was ours.
func TestRemovedDuringCommit(t *testing.T) {
	for name, edit := range map[string]func(s *session){"": nil, " and is edited": func(s *session) { s.write("n/x", "theirs") }} {
		t.Run("what was removed"+name, func(t *testing.T) {
			s := start(t)
			s.do(join(write("file", 3), mkdir("n"), create("n/x", 1, 2))...)
			cfg := s.config()
			cfg.Kill = func(point string) {
				if point == "chosen" {
					s.do(join(unlink("file"), unlink("n/x"), rmdir("n"))...)
				}
			}
			_, err := commit.Commit(t.Context(), s.o, cfg, commit.Request{})
			must(t, err)
			if edit != nil {
				edit(s)
			}
			_, err = s.commit(commit.Request{})
			var conflict *commit.ConflictError
			if edit == nil {
				must(t, err)
			} else if !errors.As(err, &conflict) || conflict.List[0].Path != "n/x" {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestRemovedAndTakenBack takes a commit back that had removed something, and
// commits again: the workspace is as it was.
func TestRemovedAndTakenBack(t *testing.T) {
	s := start(t)
	s.do(join(removeD(), unlink("file"), unlink("run.sh"), create("zz", 1, 2))...)
	cfg := s.config()
	cfg.Kill = func(point string) {
		if point == "journal: plan written" {
			s.write("zz", "theirs")
		}
	}
	var conflict *commit.ConflictError
	if _, err := commit.Commit(t.Context(), s.o, cfg, commit.Request{}); !errors.As(err, &conflict) {
		t.Fatal(err)
	}
	must(t, os.Remove(filepath.Join(s.Base, "zz")))
	view := s.view()
	s.mustCommit(commit.Request{})
	if d := s.settled(view); d != "" {
		t.Error(d)
	}
}
