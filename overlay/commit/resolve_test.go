package commit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

func (s *session) disputes() []commit.Dispute {
	s.t.Helper()
	l, err := commit.Disputes(context.Background(), s.o, s.config(), nil)
	must(s.t, err)
	return l
}

func (s *session) resolve(keep commit.Side, paths ...string) error {
	_, _, err := commit.Resolve(context.Background(), s.o, s.config(), commit.Resolution{Paths: paths, Keep: keep})
	return err
}

// disputed are conflicts: what the view does, and what somebody does in the base.
func disputed() map[string]struct {
	path  string
	ops   []ot.Op
	edits func(t *testing.T, base string)
} {
	put := func(p, text string) func(*testing.T, string) {
		return func(t *testing.T, base string) {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(base, p)), 0o755))
			must(t, os.WriteFile(filepath.Join(base, p), []byte(text), 0o644))
		}
	}
	renameOver := func(t *testing.T, base string) {
		put("file.new", "theirs, and longer\n")(t, base)
		must(t, os.Rename(filepath.Join(base, "file.new"), filepath.Join(base, "file")))
	}
	remove := func(p string) func(*testing.T, string) {
		return func(t *testing.T, base string) { must(t, os.RemoveAll(filepath.Join(base, p))) }
	}
	type row = struct {
		path  string
		ops   []ot.Op
		edits func(t *testing.T, base string)
	}
	return map[string]row{
		"both wrote":               {"file", write("file", 9), put("file", "theirs, and longer\n")},
		"written and replaced":     {"file", write("file", 9), renameOver},
		"written and removed":      {"file", write("file", 9), remove("file")},
		"written and now a dir":    {"file", write("file", 9), func(t *testing.T, b string) { remove("file")(t, b); put("file/x", "t")(t, b) }},
		"removed and written":      {"file", unlink("file"), put("file", "theirs, and longer\n")},
		"replaced and written":     {"file", join(unlink("file"), create("file", 5, 6)), put("file", "theirs, and longer\n")},
		"both made":                {"new", create("new", 5, 6), put("new", "theirs")},
		"both made a dir":          {"new", mkdir("new"), put("new", "theirs")},
		"dir removed, file in it":  {"d/1", removeD(), put("d/1", "theirs, and longer\n")},
		"dir removed, one more":    {"d/new", removeD(), put("d/new", "theirs")},
		"renamed over and written": {"other", rename("file", "other"), put("other", "theirs, and longer\n")},
		"file to dir and written":  {"file", join(unlink("file"), mkdir("file"), create("file/in", 8, 9)), put("file", "theirs, and longer\n")},
	}
}

func TestResolve(t *testing.T) {
	for name, c := range disputed() {
		for _, keep := range []commit.Side{commit.Mine, commit.Theirs} {
			t.Run(name+", "+string(keep), func(t *testing.T) {
				s := start(t)
				s.do(c.ops...)
				tick(t)
				c.edits(t, s.Base)
				l := s.disputes()
				if len(l) == 0 || l[0].Path != c.path {
					t.Fatalf("conflicts: %+v\nchanges\n%s", l, s.changes())
				}
				before, theirs := s.view(), disk(t, s.Base)
				must(t, s.resolve(keep, l[0].Path))
				for _, x := range s.disputes() { // of several in one directory
					must(t, s.resolve(keep, x.Path))
				}
				if d := miscounted(s.view()); d != "" {
					t.Errorf("link counts: %s", d)
				}
				if keep == commit.Mine {
					if d := undated(before, s.view()); d != "" {
						t.Errorf("the view changed: %s", d)
					}
					s.mustCommit(commit.Request{})
					if d := undated(before, disk(t, s.Base)); d != "" {
						t.Errorf("the base is not as the view was: %s", d)
					}
				} else if d := undated(theirs, s.view()); d != "" && c.path != "d/1" {
					t.Errorf("the view is not as the base: %s", d)
				}
				if l := s.changes(); l != "" && c.path != "d/1" && c.path != "d/new" {
					t.Errorf("changes that remain: %s", l)
				}
			})
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	s := start(t)
	s.do(write("file", 9)...)
	if err := s.resolve(commit.Mine, "file"); !errors.Is(err, commit.ErrNoConflict) {
		t.Errorf("no conflict: %v", err)
	}
	tick(t)
	must(t, os.WriteFile(filepath.Join(s.Base, "file"), []byte("theirs"), 0o644))
	state := s.disputes()[0].State
	tick(t)
	must(t, os.WriteFile(filepath.Join(s.Base, "file"), []byte("theirs again"), 0o644))
	_, _, err := commit.Resolve(context.Background(), s.o, s.config(), commit.Resolution{Paths: []string{"file"}, Keep: commit.Mine, State: state})
	var conflict *commit.ConflictError
	if !errors.As(err, &conflict) {
		t.Errorf("an edit since it was looked at: %v", err)
	}
	for side, want := range map[commit.Side]string{commit.Theirs: "theirs again", commit.Ancestor: "text\n"} {
		var b strings.Builder
		must(t, commit.ReadSide(context.Background(), s.o, s.config(), "file", side, &b))
		if b.String() != want {
			t.Errorf("%s is %q", side, b.String())
		}
	}
	must(t, s.resolve(commit.Mine, "file"))
	var b strings.Builder
	must(t, commit.ReadSide(context.Background(), s.o, s.config(), "file", commit.Ancestor, &b))
	if b.String() != "theirs again" {
		t.Errorf("the ancestor is %q then", b.String())
	}
}

// TestResolveRandom resolves whatever conflicts random changes and edits have
// made, but moves: by one side or the other each ends, and the rest can be committed.
func TestResolveRandom(t *testing.T) {
	unresolved, all := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		p := newPlace(t)
		plantRandom(r, p.Base, false)
		s := p.open(r)
		defer s.close()
		s.scramble(r, false)
		for range 4 {
			editBase(r, p.Base, false)
		}
		for range 60 {
			l := s.disputes()
			if len(l) == 0 {
				break
			}
			all++
			keep := rapid.SampledFrom([]commit.Side{commit.Mine, commit.Mine, commit.Theirs}).Draw(r, "keep")
			base := disk(r, p.Base)
			changes := s.changes()
			err := s.resolve(keep, l[0].Path)
			if errors.Is(err, commit.ErrNotResolved) {
				unresolved++
				r.Logf("%s %s (%s): %v", keep, l[0].Path, l[0].Why, err)
				err = s.resolve(commit.Theirs, l[0].Path)
			}
			if err != nil {
				r.Fatalf("%s %s (%s): %v\nof\n%s", keep, l[0].Path, l[0].Why, err, changes)
			}
			if d := differ(base, disk(r, p.Base)); d != "" {
				r.Fatalf("the base changed: %s", d)
			}
		}
		if l := s.disputes(); len(l) > 0 { // the base has given the number of one object to another
			unresolved++
			_, _, err := commit.Discard(context.Background(), s.o, s.config(), nil, nil)
			must(r, err)
			if l := s.disputes(); len(l) > 0 {
				r.Fatalf("no end of conflicts: %+v\nof\n%s", l, s.changes())
			}
		}
		view, changes := s.viewOfChanges(), s.changes()
		if _, err := s.commit(commit.Request{}); err != nil {
			r.Fatalf("commit: %v\nof\n%s", err, changes)
		}
		if d := undated(view, disk(r, p.Base)); d != "" {
			r.Fatalf("the base is not as the view was: %s\nof\n%s", d, changes)
		}
	})
	t.Logf("%d of %d were not resolved by the side that was asked for", unresolved, all)
}
