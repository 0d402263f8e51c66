package commit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

// rewritten is a session on a base of n small files, and the writes that change them all.
func rewritten(b *testing.B, n int) (*session, []ot.Op) {
	b.Helper()
	p := newPlace(b)
	var ops []ot.Op
	for i := range n {
		f := fmt.Sprintf("d%d/f%d", i/100, i)
		must(b, os.MkdirAll(filepath.Dir(filepath.Join(p.Base, f)), 0o755))
		must(b, os.WriteFile(filepath.Join(p.Base, f), []byte("content"), 0o644))
		ops = append(ops, write(f, 100)...)
	}
	return p.open(b), ops
}

// BenchmarkCommit commits small files that were all changed, and undoes that.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, ops := rewritten(b, n)
			defer s.close()
			for b.Loop() {
				b.StopTimer()
				for i := range ops {
					ops[i].Seed++
				}
				s.do(ops...)
				b.StartTimer()
				_, err := s.commit(commit.Request{})
				must(b, err)
			}
		})
	}
}

// BenchmarkUndo undoes and redoes such a commit.
func BenchmarkUndo(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, ops := rewritten(b, n)
			defer s.close()
			s.do(ops...)
			_, err := s.commit(commit.Request{})
			must(b, err)
			redo := false
			for b.Loop() {
				_, err := s.undo(commit.UndoRequest{Redo: redo})
				must(b, err)
				redo = !redo
			}
		})
	}
}
