package commit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

// TestConflicts changes the base under the view: nothing may be applied.
func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		name string
		view []ot.Op
		edit func(s *session)
		path string // "" when there must be no conflict
	}{
		{"changed on both sides", write("file", 3), func(s *session) { s.write("file", "theirs\n") }, "file"},
		{"the same change on both sides", write("file", 3), func(s *session) { s.write("file", string(ot.Bytes(7, 3))+"t\n") }, ""},
		{"touched but not changed", write("file", 3), func(s *session) { must(s.t, os.Chmod(filepath.Join(s.Base, "file"), 0o640)) }, ""},
		{"removed there", write("file", 3), func(s *session) { must(s.t, os.Remove(filepath.Join(s.Base, "file"))) }, "file"},
		{"removed here, changed there", unlink("file"), func(s *session) { s.write("file", "theirs\n") }, "file"},
		{"removed on both sides", unlink("file"), func(s *session) { must(s.t, os.Remove(filepath.Join(s.Base, "file"))) }, ""},
		{"made on both sides", create("new", 1, 2), func(s *session) { s.write("new", "theirs\n") }, "new"},
		{"a directory made on both sides", join(mkdir("n"), create("n/x", 1, 2)), func(s *session) {
			must(s.t, os.Mkdir(filepath.Join(s.Base, "n"), 0o755))
			s.write("n/theirs", "x")
		}, "n/x"},
		{"an empty directory made on both sides", mkdir("n"), func(s *session) { must(s.t, os.Mkdir(filepath.Join(s.Base, "n"), 0o755)) }, ""},
		{"moved here, gone there", rename("file", "z"), func(s *session) { must(s.t, os.Remove(filepath.Join(s.Base, "file"))) }, "z"},
		{"moved here, replaced there", rename("file", "z"), func(s *session) {
			s.write("t", "x")
			must(s.t, os.Rename(filepath.Join(s.Base, "t"), filepath.Join(s.Base, "file")))
		}, "z"},
		{"moved onto what appeared", rename("file", "z"), func(s *session) { s.write("z", "theirs") }, "z"},
		{"a directory moved there, changed here", write("a/f", 3), func(s *session) {
			must(s.t, os.Rename(filepath.Join(s.Base, "a"), filepath.Join(s.Base, "b")))
		}, "a"},
		{"a directory moved here, changed there", rename("a", "z"), func(s *session) { s.write("a/f", "theirs") }, ""},
		{"a removed directory that grew", removeD(), func(s *session) { s.write("d/new", "theirs") }, "d/new"},
		{"a directory made anew over one that grew", join(removeD(), mkdir("d")), func(s *session) { s.write("d/new", "theirs") }, "d/new"},
		{"somewhere else", write("file", 3), func(s *session) { s.write("other", "theirs") }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			s.do(c.view...)
			tick(t)
			c.edit(s)
			before := disk(t, s.Base)
			var view ot.Image
			if c.path == "" {
				view = s.viewOfChanges()
			}
			_, err := s.commit(commit.Request{})
			var conflict *commit.ConflictError
			if c.path == "" {
				must(t, err)
				if d := s.settled(view); d != "" && c.name != "touched but not changed" {
					t.Error(d)
				}
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
			pre, err := commit.Preview(context.Background(), s.o, s.config(), commit.Request{})
			must(t, err)
			if len(pre.Conflicts) == 0 {
				t.Error("the preview does not show it")
			}
		})
	}
}

// tick waits until the clock of the file system has moved on.
func tick(t *testing.T) {
	t.Helper()
	f, now := filepath.Join(t.TempDir(), "f"), time.Now()
	for deadline := now.Add(5 * time.Second); time.Now().Before(deadline); {
		must(t, os.WriteFile(f, nil, 0o600))
		st, err := os.Stat(f)
		must(t, err)
		if st.ModTime().After(now) {
			return
		}
		must(t, os.Remove(f))
	}
	t.Fatal("the clock of the file system stands still")
}

// TestSurprise changes the base between the plan and the steps.
func TestSurprise(t *testing.T) {
	for name, edit := range map[string]func(s *session){
		"a replaced file changes":    func(s *session) { s.write("file", "theirs") },
		"a removed tree grows":       func(s *session) { s.write("d/e/new", "theirs") },
		"something at a new name":    func(s *session) { s.write("zz", "theirs") },
		"a moved file is gone":       func(s *session) { must(s.t, os.Remove(filepath.Join(s.Base, "other"))) },
		"a file to be changed moved": func(s *session) { must(s.t, os.Rename(filepath.Join(s.Base, "run.sh"), filepath.Join(s.Base, "r"))) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.do(join(write("file", 3), removeD(), create("zz", 1, 2), rename("other", "o2"),
				one(ot.Op{Kind: ot.Chmod, Path: "run.sh", Mode: 0o755}))...)
			cfg := s.config()
			var before ot.Image
			cfg.Kill = func(point string) {
				if point == "journal: plan written" {
					edit(s)
					before = disk(t, s.Base)
				}
			}
			view := s.view()
			_, err := commit.Commit(context.Background(), s.o, cfg, commit.Request{})
			var conflict *commit.ConflictError
			if !errors.As(err, &conflict) {
				t.Fatalf("%v", err)
			}
			for p := range before { // ours was there while it was looked at
				if strings.HasPrefix(p, ".astrid") {
					delete(before, p)
				}
			}
			if d := undated(before, disk(t, s.Base)); d != "" {
				t.Errorf("the base is not as it was:\n%s", d)
			}
			if name != "a moved file is gone" && name != "a file to be changed moved" {
				if d := undated(view, s.view()); d != "" {
					t.Errorf("the view changed:\n%s", d)
				}
			}
			if l, _ := os.ReadDir(s.Journal); len(l) != 0 {
				t.Errorf("journals left: %v", l)
			}
		})
	}
}
