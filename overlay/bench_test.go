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
