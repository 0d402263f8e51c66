package commit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

// hunks lists what of a view can be committed by itself.
func hunks(o *overlay.Overlay) (all []change.Hunk, err error) {
	err = o.Still(func(s *overlay.Snapshot) error {
		all = nil
		list, err := change.List(context.Background(), s, change.Options{All: true})
		if err != nil {
			return err
		}
		return change.Hunks(context.Background(), s, list, nil, nil, func(h change.Hunk) error {
			all = append(all, h)
			return nil
		})
	})
	return all, err
}

func (s *session) hunks() []change.Hunk {
	s.t.Helper()
	all, err := hunks(s.o)
	must(s.t, err)
	return all
}

func oddHunks(o *overlay.Overlay) (ids []string, err error) {
	all, err := hunks(o)
	for i, h := range all {
		if i%2 == 1 {
			ids = append(ids, h.ID)
		}
	}
	return ids, err
}

// numbers is a text of n lines, those of but replaced.
func numbers(n int, but map[int]string) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		line, ok := but[i]
		if !ok {
			line = fmt.Sprintf("line %d\n", i)
		}
		b.WriteString(line)
	}
	return b.String()
}

func rewrite(p, content string) []ot.Op {
	return []ot.Op{{Kind: ot.Truncate, Path: p}, {Kind: ot.Write, Path: p, Value: []byte(content)}}
}

// saved replaces a file as editors do.
func saved(p, content string) []ot.Op {
	return join(one(ot.Op{Kind: ot.Create, Path: "tmp~", Mode: 0o644}), one(ot.Op{Kind: ot.Write, Path: "tmp~", Value: []byte(content)}), rename("tmp~", p))
}

func plantText(t TB, dir string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(dir, "d"), 0o755))
	for _, p := range []string{"text", "d/text"} {
		must(t, os.WriteFile(filepath.Join(dir, p), []byte(numbers(40, nil)), 0o644))
	}
}

func read(t TB, p ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p...))
	must(t, err)
	return string(b)
}

func ids(l []change.Hunk, which ...int) (ids []string) {
	for _, i := range which {
		ids = append(ids, l[i].ID)
	}
	return ids
}

// edited is what a view is made of in these tests.
func edited() map[string][]ot.Op {
	but := map[int]string{2: "two\n", 20: "", 38: "thirty-eight\nmore\n"}
	return map[string][]ot.Op{
		"written": rewrite("text", numbers(40, but)),
		"saved":   saved("text", numbers(40, but)),
		"moved":   join(rename("d", "e"), rewrite("e/text", numbers(40, but))),
		"mode":    join(rewrite("text", numbers(40, but)), one(ot.Op{Kind: ot.Chmod, Path: "text", Mode: 0o755})),
		"more":    join(saved("text", numbers(40, but)), rewrite("d/text", numbers(40, but)), create("new", 1, 9), unlink("file"), mkdir("n"), create("n/f", 2, 3)),
		"end":     join(rewrite("text", numbers(40, map[int]string{1: "", 40: "no end"})), write("other", 3)),
	}
}

// TestCommitHunks commits some hunks of a file, and then the rest.
func TestCommitHunks(t *testing.T) {
	p := newPlace(t)
	plantText(t, p.Base)
	s := p.open(t)
	defer s.close()
	s.do(edited()["saved"]...)
	view, before := s.view(), disk(t, p.Base)
	all := s.hunks()
	if len(all) != 3 {
		t.Fatalf("%d hunks: %v", len(all), all)
	}
	if _, err := s.commit(commit.Request{Hunks: ids(all, 0, 2)}); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, p.Base, "text"), numbers(40, map[int]string{2: "two\n", 38: "thirty-eight\nmore\n"}); got != want {
		t.Errorf("the base has\n%s", got)
	}
	if d := differ(view, s.view()); d != "" {
		t.Errorf("the view changed:\n%s", d)
	}
	left := s.hunks()
	if len(left) != 1 || left[0].ID != all[1].ID {
		t.Fatalf("left: %v", left)
	}
	var conflict *commit.ConflictError
	if _, err := s.commit(commit.Request{Hunks: ids(all, 0)}); !errors.Is(err, change.ErrNoHunk) {
		t.Errorf("a hunk that was committed: %v", err)
	}
	if _, err := commit.Undo(context.Background(), s.o, s.config(), commit.UndoRequest{}); err != nil {
		t.Fatal(err)
	}
	if d := differ(before, disk(t, p.Base)) + differ(view, s.view()); d != "" {
		t.Fatalf("after the undo:\n%s", d)
	}
	if now := s.hunks(); len(now) != 3 || now[0].ID != all[0].ID {
		t.Fatalf("after the undo: %v", now)
	}
	if _, err := commit.Undo(context.Background(), s.o, s.config(), commit.UndoRequest{Redo: true}); err != nil {
		t.Fatal(err)
	}
	if l := s.hunks(); len(l) != 1 {
		t.Fatalf("after the redo: %v", l)
	}
	must(t, os.WriteFile(filepath.Join(p.Base, "text"), []byte("theirs\n"), 0o644))
	if _, err := s.commit(commit.Request{}); !errors.As(err, &conflict) {
		t.Errorf("an edit in the base: %v", err)
	}
}

// TestHunksOfOneRun commits a part of a hunk, and attributes alone.
func TestHunksOfOneRun(t *testing.T) {
	p := newPlace(t)
	plantText(t, p.Base)
	s := p.open(t)
	defer s.close()
	s.do(rewrite("text", numbers(40, map[int]string{10: "ten\n", 12: "twelve\n", 13: ""}))...)
	s.do(ot.Op{Kind: ot.Chmod, Path: "text", Mode: 0o755})
	all := s.hunks()
	if len(all) != 2 || len(all[0].Parts) != 2 || all[1].What != change.WhatAttributes {
		t.Fatalf("hunks: %+v", all)
	}
	if _, err := s.commit(commit.Request{Hunks: []string{all[0].Parts[1].ID}}); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, p.Base, "text"), numbers(40, map[int]string{12: "twelve\n", 13: ""}); got != want {
		t.Errorf("the base has\n%s", got)
	}
	if st, err := os.Stat(filepath.Join(p.Base, "text")); err != nil || st.Mode() != 0o644 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if _, err := s.commit(commit.Request{Hunks: ids(s.hunks(), 1)}); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(p.Base, "text")); err != nil || st.Mode() != 0o755 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if l := s.hunks(); len(l) != 1 {
		t.Errorf("left: %v", l)
	}
}

// TestKillInPart kills a commit of some hunks at each of its points, and its undo.
func TestKillInPart(t *testing.T) {
	for name, ops := range edited() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after, points := partly(t, ops)
			back := undone(t, ops, 0)
			if testing.Short() {
				return
			}
			for k := 1 + len(name)%stride; k <= len(points); k += stride {
				p, base, view := preparedText(t, ops)
				if _, killed := (childJob{place: p, Part: true, KillAt: k}).run(t); !killed {
					t.Fatalf("the commit ended before its point %d, %s", k, points[k-1])
				}
				if !recoversInPart(t, p, base, after, view) {
					t.Fatalf("point %d, %s", k, points[k-1])
				}
			}
			for k := 1 + len(name)%stride; k <= back; k += stride {
				undone(t, ops, k)
			}
		})
	}
}

func preparedText(t testing.TB, ops []ot.Op) (p place, base, view ot.Image) {
	t.Helper()
	p = newPlace(t)
	plantBase(t, p.Base)
	plantText(t, p.Base)
	base = disk(t, p.Base)
	s := p.open(t)
	s.do(ops...)
	view = s.view()
	s.close()
	return p, base, view
}

// partly commits every other hunk, and then what is left.
func partly(t testing.TB, ops []ot.Op) (after ot.Image, points []string) {
	t.Helper()
	p, _, view := preparedText(t, ops)
	points, _ = childJob{place: p, Part: true}.run(t)
	after = disk(t, p.Base)
	s := p.open(t)
	defer s.close()
	if d := differ(view, s.view()) + renumbered(view, s.view()); d != "" {
		t.Fatalf("the view changed:\n%s", d)
	}
	if s.changes() == "" {
		t.Fatal("nothing is left")
	}
	s.rest(view)
	return after, points
}

// rest commits what is left.
func (s *session) rest(view ot.Image) {
	s.t.Helper()
	if _, err := s.commit(commit.Request{Git: commit.GitYes}); err != nil {
		s.t.Fatalf("the rest: %v", err)
	}
	if d := s.settled(view); d != "" {
		s.t.Fatalf("the rest: %s", d)
	}
}

// timeless is an image without times: a file that is committed in part has that of
// the commit.
func timeless(m ot.Image) ot.Image {
	out := maps.Clone(m)
	for p, e := range m {
		c := *e
		c.Mtime = 0
		out[p] = &c
	}
	return out
}

func recoversInPart(t testing.TB, p place, base, after, view ot.Image) bool {
	t.Helper()
	s := p.open(t)
	defer s.close()
	report := s.recover()
	now := disk(t, p.Base)
	asBefore, asAfter := differ(base, now), differ(timeless(after), timeless(now))
	if len(report.Left) > 0 || asBefore != "" && asAfter != "" {
		t.Errorf("left %v; the base is neither as before:\n%s\nnor as after:\n%s\nrecovery: %q", report.Left, asBefore, asAfter, report.Actions)
		return false
	}
	if d := differ(view, s.view()) + renumbered(view, s.view()); d != "" {
		t.Errorf("the view changed:\n%s", d)
		return false
	}
	s.rest(view)
	return true
}

// undone undoes a commit in part, killed at its k-th point (0: not), and tells how
// many points there are.
func undone(t testing.TB, ops []ot.Op, k int) int {
	t.Helper()
	p, base, view := preparedText(t, ops)
	(childJob{place: p, Part: true}).run(t)
	s := p.open(t)
	after := disk(t, p.Base)
	res, err := commit.Undo(context.Background(), s.o, s.config(), commit.UndoRequest{DryRun: true})
	must(t, err)
	s.close()
	if len(res.Conflicts) > 0 { // the view has changes in a directory that would move
		return 0
	}
	points, killed := childJob{place: p, Back: true, KillAt: k}.run(t)
	if killed != (k != 0) {
		t.Fatalf("killed at %d of %d: %v", k, len(points), killed)
	}
	s = p.open(t)
	defer s.close()
	s.recover()
	now := disk(t, p.Base)
	if before, stays := differ(base, now), differ(after, now); before != "" && stays != "" {
		t.Fatalf("point %d: neither undone:\n%s\nnor as it was:\n%s", k, before, stays)
	}
	if text := s.view()["text"]; text == nil || text.Size != view["text"].Size || text.Ino != view["text"].Ino {
		t.Fatalf("point %d: the view has not what it had in text", k)
	}
	s.rest(s.view())
	return len(points)
}

// TestHunksNameNoMore names by a hunk what it is of, and not what comes along with it.
func TestHunksNameNoMore(t *testing.T) {
	p := newPlace(t)
	plantBase(t, p.Base)
	must(t, os.WriteFile(filepath.Join(p.Base, "d/.env"), nil, 0o644))
	s := p.open(t)
	defer s.close()
	s.do(join(create(".git/hooks", 1, 3), unlink("d/.env"), removeD(), create(".env", 1, 3))...)
	all := s.hunks()
	if len(all) != 3 || all[0].Path != ".env" || all[1].Path != ".git/hooks" || all[2].Path != "d" {
		t.Fatalf("hunks: %v", all)
	}
	res, err := s.commit(commit.Request{Hunks: ids(all, 1, 2)})
	must(t, err)
	if len(res.Held) == 0 || strings.Contains(lines(res.Applied), ".git") || strings.Contains(lines(res.Applied), ".env") {
		t.Errorf("applied\n%sheld\n%s", lines(res.Applied), lines(res.Held))
	}
	res, err = s.commit(commit.Request{Hunks: ids(s.hunks(), 0, 1), Git: commit.GitYes})
	must(t, err)
	if l := lines(res.Applied); !strings.Contains(l, "A .env\n") || !strings.Contains(l, "A .git/hooks\n") {
		t.Errorf("applied\n%s", l)
	}
}

// drawLines draws a text of a few lines, of which many are the same.
func drawLines(r *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "d\n", "e\n", "\n", "end"}), 0, 40).Draw(r, label)
}

// TestHunksRandom commits random hunks of random texts until nothing is left: the
// view never changes, and undos bring back what was.
func TestHunksRandom(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := newPlace(t)
		names := []string{"x", "y", "d/z"}
		must(r, os.Mkdir(filepath.Join(p.Base, "d"), 0o755))
		texts := map[string][]string{}
		for _, n := range names {
			texts[n] = drawLines(r, n)
			must(r, os.WriteFile(filepath.Join(p.Base, n), []byte(strings.Join(texts[n], "")), 0o644))
		}
		s := p.open(r)
		defer s.close()
		for _, n := range names {
			l := texts[n]
			for range rapid.IntRange(0, 5).Draw(r, "edits") {
				at := rapid.IntRange(0, len(l)).Draw(r, "at")
				end := min(len(l), at+rapid.IntRange(0, 2).Draw(r, "cut"))
				l = slices.Concat(l[:at], drawLines(r, "put")[:min(1, len(l))], l[end:])
			}
			if rapid.Bool().Draw(r, "saved") {
				s.do(saved(n, strings.Join(l, ""))...)
			} else {
				s.do(rewrite(n, strings.Join(l, ""))...)
			}
			if rapid.IntRange(0, 3).Draw(r, "mode") == 0 {
				s.do(ot.Op{Kind: ot.Chmod, Path: n, Mode: 0o755})
			}
		}
		for range 3 {
			s.someHunks(r)
		}
		s.rest(s.viewOfChanges())
	})
}

// someHunks commits some of what is left, and perhaps takes it back.
func (s *session) someHunks(r *rapid.T) {
	var which []string
	for _, h := range s.hunks() {
		switch rapid.IntRange(0, 3).Draw(r, "take") {
		case 0:
			which = append(which, h.ID)
		case 1:
			if len(h.Parts) > 0 {
				which = append(which, rapid.SampledFrom(h.Parts).Draw(r, "part").ID)
			}
		}
	}
	if len(which) == 0 {
		return
	}
	before, changes, view := disk(s.t, s.Base), s.changes(), s.viewOfChanges()
	same := s.same()
	if _, err := s.commit(commit.Request{Hunks: which}); err != nil {
		r.Fatalf("commit %v of\n%s%v", which, changes, err)
	}
	maps.Copy(same, s.same())
	if d := undated(without(view, same), without(s.viewOfChanges(), same)) + renumbered(view, s.view()); d != "" {
		r.Fatalf("commit %v changed the view:\n%s", which, d)
	}
	if rapid.Bool().Draw(r, "undo") {
		_, err := commit.Undo(context.Background(), s.o, s.config(), commit.UndoRequest{})
		var conflict *commit.ConflictError
		switch {
		case errors.As(err, &conflict):
			r.Fatalf("undo of %v: %v", which, err)
		case err != nil:
			r.Fatal(err)
		}
		if d := differ(before, disk(s.t, s.Base)); d != "" {
			r.Fatalf("undo of %v:\n%s", which, d)
		}
	}
}
