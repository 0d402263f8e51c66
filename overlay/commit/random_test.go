package commit_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"astrid/overlay/change"
	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

func pathNames() []string { return []string{"a", "b", "c", "d"} }

func drawPath(r *rapid.T, label string) string {
	n := rapid.IntRange(1, 3).Draw(r, label+" depth")
	parts := make([]string, n)
	for i := range parts {
		parts[i] = rapid.SampledFrom(pathNames()).Draw(r, label)
	}
	return strings.Join(parts, "/")
}

// plantRandom makes a random base, hard links included.
func plantRandom(r *rapid.T, dir string, links bool) {
	var files []string
	for range rapid.IntRange(0, 25).Draw(r, "planted") {
		p := filepath.Join(dir, drawPath(r, "at"))
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		switch rapid.IntRange(0, 9).Draw(r, "as") {
		case 0:
			_ = os.Symlink(rapid.SampledFrom(pathNames()).Draw(r, "target"), p)
		case 1:
			if links && len(files) > 0 {
				_ = os.Link(rapid.SampledFrom(files).Draw(r, "linked"), p)
			}
		case 2:
			_ = os.MkdirAll(p, 0o755)
		default:
			if os.WriteFile(p, ot.Bytes(rapid.Uint64Range(0, 3).Draw(r, "seed"), rapid.Int64Range(0, 9).Draw(r, "size")), 0o644) == nil {
				files = append(files, p)
			}
		}
	}
}

// drawOp draws one operation; that it may be refused does not matter.
func drawOp(r *rapid.T, links bool) ot.Op {
	op := ot.Op{At: ot.NoSlot, ToAt: ot.NoSlot, Path: drawPath(r, "path")}
	kinds := []ot.Kind{
		ot.Create, ot.Create, ot.Mkdir, ot.Symlink, ot.Unlink, ot.Unlink, ot.Rmdir, ot.Rename, ot.Rename, ot.Rename,
		ot.Rename, ot.Write, ot.Write, ot.Write, ot.Truncate, ot.Chmod, ot.Utimes, ot.Setxattr,
	}
	if links {
		kinds = append(kinds, ot.Link)
	}
	op.Kind = rapid.SampledFrom(kinds).Draw(r, "kind")
	op.Mode = rapid.SampledFrom([]uint32{0o644, 0o755, 0o600}).Draw(r, "mode")
	switch op.Kind {
	case ot.Mkdir:
		op.Mode = 0o755
	case ot.Symlink:
		op.Target = rapid.SampledFrom(pathNames()).Draw(r, "target")
	case ot.Link, ot.Rename:
		op.To = drawPath(r, "to")
		if op.Kind == ot.Rename {
			op.Flags = rapid.SampledFrom([]uint32{0, 0, 0, 2}).Draw(r, "flags")
		}
	case ot.Write:
		op.Seed, op.Len = rapid.Uint64Range(0, 3).Draw(r, "seed"), rapid.SampledFrom([]int64{1, 5, 70_000}).Draw(r, "len")
	case ot.Truncate:
		op.Len = rapid.Int64Range(0, 5).Draw(r, "len")
	case ot.Utimes:
		op.Atime, op.Mtime = 1e18, 1e18+rapid.Int64Range(0, 5).Draw(r, "time")
	case ot.Setxattr:
		op.Name, op.Value = "user.x", []byte{byte(rapid.IntRange(1, 3).Draw(r, "value"))}
	}
	return op
}

// removeTree empties and removes a directory of the view, as rm -r does.
func (s *session) removeTree(p string) {
	if r, err := s.c.Do(&ot.Op{Kind: ot.Unlink, At: ot.NoSlot, Path: p}); err != nil || r.Errno == 0 {
		return
	}
	r, _ := s.c.Do(&ot.Op{Kind: ot.Readdir, At: ot.NoSlot, Path: p})
	for _, name := range r.Names {
		s.removeTree(p + "/" + name)
	}
	_, _ = s.c.Do(&ot.Op{Kind: ot.Rmdir, At: ot.NoSlot, Path: p})
}

func (s *session) scramble(r *rapid.T, links bool) {
	for range rapid.IntRange(1, 25).Draw(r, "operations") {
		if rapid.IntRange(0, 9).Draw(r, "remove") == 0 {
			s.removeTree(drawPath(r, "removed"))
			continue
		}
		op := drawOp(r, links)
		if _, err := s.c.Do(&op); err != nil {
			r.Fatal(err)
		}
	}
}

// TestCommitRandom commits random changes, in parts and whole: the view never
// changes, and in the end the base is what the view is.
func TestCommitRandom(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := newPlace(t)
		links, parts := rapid.Bool().Draw(r, "links"), 3
		plantRandom(r, p.Base, links)
		s := p.open(r)
		defer s.close()
		for range rapid.IntRange(1, 3).Draw(r, "rounds") {
			s.scramble(r, links)
			view := s.viewOfChanges()
			for range rapid.IntRange(0, parts).Draw(r, "parts") {
				req := commit.Request{Paths: []string{drawPath(r, "commit")}}
				if rapid.IntRange(0, 2).Draw(r, "but") == 0 {
					req = commit.Request{Exclude: req.Paths}
				}
				before, same := s.changes(), s.same()
				res, err := s.commit(req)
				r.Logf("commit %v but %v of\n%sapplied\n%s", req.Paths, req.Exclude, before, lines(res.Applied))
				if err != nil {
					r.Fatalf("commit %v: %v\nof\n%s", req.Paths, err, before)
				}
				maps.Copy(same, s.same())
				if d := undated(without(view, same), without(s.viewOfChanges(), same)); d != "" {
					r.Fatalf("commit %v changed the view:\n%s\nchanges\n%s\napplied\n%s\nremain\n%s", req.Paths, d, before, lines(res.Applied), s.changes())
				}
				if d := miscounted(s.view()); d != "" {
					r.Fatalf("commit %v: link counts\n%s\nof\n%sapplied\n%s", req.Paths, d, before, lines(res.Applied))
				}
				if d := renumbered(view, s.view()); d != "" {
					r.Fatalf("commit %v: numbers\n%s\nof\n%s", req.Paths, d, before)
				}
				view = s.viewOfChanges()
			}
			before := s.changes()
			if _, err := s.commit(commit.Request{}); err != nil {
				r.Fatalf("commit: %v\nof\n%s", err, before)
			}
			if d := s.settled(view) + miscounted(s.view()); d != "" {
				r.Fatalf("%s\nafter a commit of\n%s", d, before)
			}
		}
	})
}

// viewOfChanges is the view, but files rewritten with the bytes that they had
// have the time that they have in the base, unless one moves and takes its time
// along.
func (s *session) viewOfChanges() ot.Image {
	s.t.Helper()
	m, times := s.view(), s.same()
	for _, e := range m {
		if t, ok := times[e.Ino]; ok {
			e.Mtime = t
		}
	}
	return m
}

// same returns the files that were rewritten with the bytes that they had, with
// the time that they have in the base.
func (s *session) same() map[uint64]int64 {
	s.t.Helper()
	l, err := change.List(context.Background(), s.o.Live(), change.Options{All: true, Same: true})
	must(s.t, err)
	times := map[uint64]int64{}
	for _, c := range l {
		if c.Op == change.Same && !c.IsDir() {
			times[c.Object.Ino] = c.Base.Mtime
		}
	}
	for _, c := range l {
		if c.Op == change.Renamed && c.Times {
			delete(times, c.Object.Ino)
		}
	}
	return times
}

// without is an image without the times of some objects: a file may become one
// that equals the base's when another name of that is committed.
func without(m ot.Image, times map[uint64]int64) ot.Image {
	out := maps.Clone(m)
	for p, e := range m {
		if _, ok := times[e.Ino]; ok {
			c := *e
			c.Mtime = 0
			out[p] = &c
		}
	}
	return out
}

// settled tells what is wrong after everything has been committed.
func (s *session) settled(view ot.Image) string {
	var out []string
	add := func(what, d string) {
		if d != "" {
			out = append(out, what+":\n"+d)
		}
	}
	add("the view changed", undated(view, s.viewOfChanges()))
	add("numbers changed", renumbered(view, s.view()))
	add("base and view differ", undated(view, disk(s.t, s.Base)))
	add("changes remain", s.changes())
	return strings.Join(out, "\n")
}

// undated is differ without the times of directories: those of one in which
// nothing was committed stay as they are in the base.
func undated(want, have ot.Image) string {
	for p, w := range want {
		if h := have[p]; h != nil && w.Kind() == 0o040000 {
			h.Mtime = w.Mtime
		}
	}
	return differ(want, have)
}

// theirs counts the files that TestConflictsAreNoLoss has written.
func theirs(m ot.Image) int {
	inodes := map[uint64]bool{}
	for _, e := range m {
		if string(e.Data) == "theirs" {
			inodes[e.Ino] = true
		}
	}
	return len(inodes)
}

// editBase makes changes in the base, as somebody else does.
func editBase(r *rapid.T, base string, moves bool) {
	for range rapid.IntRange(1, 3).Draw(r, "edits") {
		f := filepath.Join(base, drawPath(r, "edited"))
		switch rapid.IntRange(0, 3).Draw(r, "edit") {
		case 0:
			_ = os.WriteFile(f, []byte("theirs"), 0o644)
		case 1:
			_ = os.RemoveAll(f)
		case 2:
			if to := filepath.Join(base, drawPath(r, "moved to")); moves {
				_ = os.Rename(f, to)
			}
		case 3:
			_ = os.Mkdir(f, 0o755)
		}
	}
}

// TestConflictsAreNoLoss commits while somebody changes the base: it does, or
// refuses and touches nothing; what they wrote is there in either case.
func TestConflictsAreNoLoss(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := newPlace(t)
		plantRandom(r, p.Base, true)
		s := p.open(r)
		defer s.close()
		s.scramble(r, true)
		editBase(r, p.Base, true)
		base := disk(t, p.Base)
		changes := s.changes()
		_, err := s.commit(commit.Request{})
		var conflict *commit.ConflictError
		switch {
		case errors.As(err, &conflict):
			if d := differ(base, disk(t, p.Base)); d != "" {
				r.Fatalf("a refused commit changed the base:\n%s\n%v", d, err)
			}
		case err != nil:
			r.Fatalf("commit: %v\nof\n%s", err, changes)
		default:
			if before, after := theirs(base), theirs(disk(t, p.Base)); after < before {
				r.Fatalf("%d files of theirs, and %d after a commit of\n%s", before, after, changes)
			}
		}
		if l, _ := os.ReadDir(filepath.Join(p.Base, ".astrid")); len(l) > 0 {
			r.Fatalf("left in .astrid: %v", l)
		}
	})
}
