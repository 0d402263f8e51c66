package commit_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

func TestDiscard(t *testing.T) {
	s := start(t)
	before := disk(t, s.Base)
	s.do(join(write("file", 70_000), rename("a", "z"), create("z/new", 3, 5), unlink("d/1"), mkdir("n"), create("n/x", 1, 2))...)
	dropped, kept, err := commit.Discard(context.Background(), s.o, s.config(), []string{"file", "n"})
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
	if _, _, err = commit.Discard(context.Background(), s.o, s.config(), nil); err != nil {
		t.Fatal(err)
	}
	if d := undated(before, s.view()); d != "" || s.changes() != "" {
		t.Errorf("%s\n%s", d, s.changes())
	}
	cfg := s.config()
	cfg.Now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	s.do(write("file", 1)...)
	_, kept, err = commit.Discard(context.Background(), s.o, cfg, []string{"file"})
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
			_, _, err := commit.Discard(context.Background(), s.o, s.config(), []string{c.path})
			must(t, err)
			if d := cmp.Diff(c.want, s.changes()); d != "" {
				t.Error(d)
			}
		})
	}
}
