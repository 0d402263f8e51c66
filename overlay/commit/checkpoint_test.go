package commit_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

// remembered are checkpoints with what the view showed then.
type remembered map[string]ot.Image

// checkpoint makes one and remembers it.
func (s *session) checkpoint(all remembered) {
	s.t.Helper()
	c, err := s.o.Checkpoint(overlay.Checkpoint{})
	must(s.t, err)
	all[c.Name] = s.view()
}

// past reads a checkpoint.
func (s *session) past(name string) ot.Image {
	s.t.Helper()
	past, release, err := s.o.Past(name)
	must(s.t, err)
	defer release()
	c := ot.NewClient(past)
	m, err := c.Image()
	must(s.t, err)
	must(s.t, c.Close())
	return m
}

// forgotten tells of which checkpoints something else is shown now.
func (s *session) forgotten(all remembered) string {
	s.t.Helper()
	out := ""
	for name, want := range all {
		have := s.past(name)
		if d := undated(want, have); d != "" {
			out += fmt.Sprintf("checkpoint %s shows something else:\n%s\n", name, d)
		}
	}
	return out
}

// TestCheckpointsRandom makes checkpoints between random changes, commits, undos and
// rollbacks: each shows what the view showed then, for good.
func TestCheckpointsRandom(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := newPlace(t)
		defer os.RemoveAll(filepath.Dir(p.Base)) // what is reserved for logs adds up
		links := rapid.Bool().Draw(r, "links")
		plantRandom(r, p.Base, links)
		s := p.open(r)
		defer func() { s.close() }()
		all := remembered{}
		for range rapid.IntRange(2, 8).Draw(r, "rounds") {
			did := s.turn(r, links, all)
			r.Logf("%s\nchanges\n%s", did, s.changes())
			if d := s.forgotten(all); d != "" {
				r.Fatalf("%s\nafter %s", d, did)
			}
		}
		view := s.viewOfChanges()
		changes := s.changes()
		if _, err := s.commit(commit.Request{Git: commit.GitYes}); err != nil {
			r.Fatalf("commit in the end: %v\nof\n%s", err, changes)
		}
		if d := s.settled(view) + s.forgotten(all); d != "" {
			r.Fatalf("%s\nafter a commit of\n%s", d, changes)
		}
	})
}

// turn does one thing and says what.
func (s *session) turn(r *rapid.T, links bool, all remembered) string {
	s.t.Helper()
	switch rapid.IntRange(0, 10).Draw(r, "turn") {
	case 0, 1, 2:
		s.scramble(r, links)
		return "changes"
	case 3:
		req := commit.Request{Paths: []string{drawPath(r, "commit")}}
		res, err := s.commit(req)
		must(r, err)
		return fmt.Sprintf("a commit of %v:\n%s", req.Paths, lines(res.Applied))
	case 4:
		res, err := s.commit(commit.Request{})
		must(r, err)
		return "a commit:\n" + lines(res.Applied)
	case 5:
		redo := rapid.Bool().Draw(r, "redo")
		res, err := s.undo(commit.UndoRequest{Redo: redo})
		return fmt.Sprintf("an undo (redo %v) of %d: %v", redo, res.Commit, err)
	case 6:
		if len(all) == 0 {
			return "nothing"
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(r, "back to")
		before := s.view()
		kept, err := s.o.Rollback(name, overlay.Checkpoint{Auto: "rollback"})
		must(r, err)
		if d := undated(all[name], s.view()); d != "" {
			r.Fatalf("rollback to %s:\n%s\nchanges\n%s", name, d, s.changes())
		}
		all[kept.Name] = before
		return "a rollback to " + name
	case 7:
		if len(all) == 0 || links {
			return "nothing"
		}
		name, path := rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(r, "from"), drawPath(r, "restored")
		want := restored(s.view(), all[name], path)
		before := s.changes()
		_, err := s.o.Restore(name, []string{path}, overlay.Checkpoint{Auto: "restore"})
		must(r, err)
		if d := undated(want, s.view()); d != "" {
			r.Fatalf("restore of %s from %s:\n%s\nchanges before\n%s\nand after\n%s", path, name, d, before, s.changes())
		}
		return "a restore of " + path + " from " + name
	case 8:
		s.close()
		*s = *s.place.open(r)
		return "reopening"
	default:
		s.checkpoint(all)
		return "a checkpoint"
	}
}

// restored is the image of a view in which a path was brought back from another.
func restored(view, from ot.Image, path string) ot.Image {
	const another = 1 << 62 // an object that is elsewhere in the view by now
	want, elsewhere := ot.Image{}, map[uint64]uint64{}
	for p, e := range view {
		if !change.Below(p, path) {
			want[p] = e
			elsewhere[e.Ino] = another
		}
	}
	if from[path] == nil {
		return want
	}
	for p, e := range from {
		if change.Below(p, path) {
			c := *e
			c.Ino |= elsewhere[e.Ino]
			want[p] = &c
		}
	}
	for up := change.Parent(path); up != change.Root; up = change.Parent(up) {
		if e := want[up]; e == nil || e.Kind() != 0o040000 {
			c := *from[up]
			c.Ino |= elsewhere[c.Ino]
			want[up] = &c
		}
	}
	return want
}
