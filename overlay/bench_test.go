package overlay_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay"
)

// benchView is a view in process, without FUSE, of a base with n files.
func benchView(b *testing.B, n int) *overlay.Overlay {
	b.Helper()
	base := b.TempDir()
	for i := range n {
		if err := os.WriteFile(fmt.Sprintf("%s/f%d", base, i), []byte("content"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	o, err := overlay.Open(context.Background(), overlay.Config{Base: base, Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { o.Close() })
	return o
}

func BenchmarkLookupBase(b *testing.B) {
	o := benchView(b, 1)
	var e tree.Entry
	b.ReportAllocs()
	for b.Loop() {
		n, err := o.Root().Lookup("f0", &e)
		if err != nil {
			b.Fatal(err)
		}
		n.Forget(1)
	}
}

func BenchmarkGetattrBase(b *testing.B) {
	o := benchView(b, 1)
	var e tree.Entry
	n, err := o.Root().Lookup("f0", &e)
	if err != nil {
		b.Fatal(err)
	}
	var a tree.Attr
	b.ReportAllocs()
	for b.Loop() {
		if err := n.Getattr(&a); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreateWriteUnlink(b *testing.B) {
	o := benchView(b, 1)
	c := &tree.Caller{}
	p := make([]byte, 1024)
	var e tree.Entry
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("n%d", i)
		n, err := o.Root().Mknod(c, name, unix.S_IFREG|0o644, 0, &e)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := n.(tree.File).WriteAt(c, p, 0, false, false); err != nil {
			b.Fatal(err)
		}
		if err := o.Root().Unlink(c, name); err != nil {
			b.Fatal(err)
		}
		n.Forget(1)
	}
}

func BenchmarkCopyUpSmall(b *testing.B) {
	o := benchView(b, 4000)
	c := &tree.Caller{}
	var e tree.Entry
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		n, err := o.Root().Lookup(fmt.Sprintf("f%d", i%4000), &e)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := n.(tree.File).WriteAt(c, []byte("x"), 0, true, false); err != nil {
			b.Fatal(err)
		}
		n.Forget(1)
	}
}

// benchChanged is a view of n base files in which each has been changed.
func benchChanged(b *testing.B, n int) *overlay.Overlay {
	b.Helper()
	o := benchView(b, n)
	var e tree.Entry
	for i := range n {
		f, err := o.Root().Lookup(fmt.Sprintf("f%d", i), &e)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.(tree.File).WriteAt(&tree.Caller{}, []byte("changed"), 0, false, false); err != nil {
			b.Fatal(err)
		}
		f.Forget(1)
	}
	return o
}

// BenchmarkCheckpoint makes checkpoints of a view with 10,000 changes, and keeps 100.
func BenchmarkCheckpoint(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n, " changes"), func(b *testing.B) {
			o := benchChanged(b, n)
			var names []string
			for b.Loop() {
				c, err := o.Checkpoint(overlay.Checkpoint{})
				if err != nil {
					b.Fatal(err)
				}
				if names = append(names, c.Name); len(names) == 200 {
					b.StopTimer()
					if err := o.DropCheckpoints(names[:100]...); err != nil {
						b.Fatal(err)
					}
					names = names[100:]
					b.StartTimer()
				}
			}
		})
	}
}

// BenchmarkRollback goes to and fro between no change and 1,000.
func BenchmarkRollback(b *testing.B) {
	o := benchView(b, 1000)
	if _, err := o.Checkpoint(overlay.Checkpoint{Name: "begin"}); err != nil {
		b.Fatal(err)
	}
	var e tree.Entry
	for i := range 1000 {
		f, err := o.Root().Lookup(fmt.Sprintf("f%d", i), &e)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.(tree.File).WriteAt(&tree.Caller{}, []byte("changed"), 0, false, false); err != nil {
			b.Fatal(err)
		}
		f.Forget(1)
	}
	if _, err := o.Checkpoint(overlay.Checkpoint{Name: "end"}); err != nil {
		b.Fatal(err)
	}
	to := [2]string{"begin", "end"}
	for i := 0; b.Loop(); i++ {
		if _, err := o.Rollback(to[i%2], overlay.Checkpoint{Auto: "rollback"}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := o.PruneCheckpoints(0); err != nil {
			b.Fatal(err)
		}
		if err := o.PruneCheckpoints(1 << 62); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkPast opens a checkpoint with 10,000 changes.
func BenchmarkPast(b *testing.B) {
	o := benchChanged(b, 10_000)
	if _, err := o.Checkpoint(overlay.Checkpoint{Name: "c"}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, release, err := o.Past("c")
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}
