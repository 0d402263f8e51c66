package commit_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"astrid/overlay/change"
	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
	"pgregory.net/rapid"
	"slices"
)

func TestDiscard(t *testing.T) {
	s := start(t)
	before := disk(t, s.Base)
	s.do(join(write("file", 70_000), rename("a", "z"), create("z/new", 3, 5), unlink("d/1"), mkdir("n"), create("n/x", 1, 2))...)
	dropped, kept, err := commit.Discard(context.Background(), s.o, s.config(), []string{"file", "n"}, nil)
	must(t, err)
	if d := cmp.Diff("M file\nA n\nA n/x\n", lines(dropped)); d != "" {
		t.Error(d)
	}
	if _, ok := s.past(kept)["n/x"]; !ok {
		t.Errorf("checkpoint %s does not have what was dropped", kept)
	}
	if d := cmp.Diff("D d/1\nR z < a\nA z/new\n", s.changes()); d != "" {
		t.Error(d)
	}
	if _, _, err = commit.Discard(context.Background(), s.o, s.config(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if d := undated(before, s.view()); d != "" || s.changes() != "" {
		t.Errorf("%s\n%s", d, s.changes())
	}
	cfg := s.config()
	cfg.Now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	s.do(write("file", 1)...)
	_, kept, err = commit.Discard(context.Background(), s.o, cfg, []string{"file"}, nil)
	must(t, err)
	if l := s.o.Checkpoints(); len(l) != 1 || l[0].Name != kept {
		t.Errorf("after a day: %v", l)
	}
}

func TestDiscardTogether(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []ot.Op
		path string
		want string
	}{
		{"a new directory", join(mkdir("n"), create("n/x", 1, 2)), "n", ""},
		{"in a new directory", join(mkdir("n"), create("n/x", 1, 2), create("n/y", 1, 2)), "n/x", "A n\nA n/y\n"},
		{"a moved directory whose place is taken", join(rename("a", "z"), mkdir("a"), create("a/f", 1, 2)), "z", ""},
		{"one of a removed directory", removeD(), "d/1", ""},
		{"what came in place of a directory", join(removeD(), create("d", 1, 2)), "d", ""},
		{"something removed from a moved directory", join(rename("a", "z"), unlink("z/f")), "z/f", "R z < a\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			s.do(c.ops...)
			_, _, err := commit.Discard(context.Background(), s.o, s.config(), []string{c.path}, nil)
			must(t, err)
			if d := cmp.Diff(c.want, s.changes()); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestDiscardLeavesWhatIsExcluded discards everything but one path: the changes of
// that are there afterwards as before, and whatever else is there is needed.
func TestDiscardLeavesWhatIsExcluded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := newPlace(t)
		plantRandom(r, p.Base, false)
		s := p.open(r)
		defer s.close()
		s.scramble(r, false)
		spared := drawPath(r, "spared")
		before, view := s.below(spared), s.view()
		all := s.changes()
		dropped, _, err := commit.Discard(context.Background(), s.o, s.config(), nil, []string{spared})
		must(r, err)
		if d := s.below(spared); d != before {
			r.Fatalf("of %s stays\n%sinstead of\n%sof\n%sdropped\n%s", spared, d, before, all, lines(dropped))
		}
		for q, e := range view {
			now := s.view()[q]
			if change.Below(q, spared) && (now == nil || now.Ino != e.Ino || now.Size != e.Size) && before != "" {
				r.Fatalf("%s changed, of\n%sdropped\n%s", q, all, lines(dropped))
			}
		}
	})
}

// below lists the changes at and below a path.
func (s *session) below(p string) string {
	s.t.Helper()
	l, err := change.List(context.Background(), s.o.Live(), change.Options{All: true})
	must(s.t, err)
	m, err := change.NewMatch([]string{p})
	must(s.t, err)
	return lines(slices.DeleteFunc(l, func(c change.Change) bool { return !m.Change(&c) }))
}

// TestDiscardOneOfTwoNames keeps the bytes of what goes on without sharing them.
func TestDiscardOneOfTwoNames(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	defer s.close()
	s.do(join(create("x", 1, 70_000), link("x", "y"))...)
	if _, _, err := commit.Discard(context.Background(), s.o, s.config(), []string{"y"}, nil); err != nil {
		t.Fatal(err)
	}
	if l := s.changes(); l != "A x\n" {
		t.Errorf("changes: %s", l)
	}
}
