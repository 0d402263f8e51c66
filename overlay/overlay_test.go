package overlay_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/overlay"
)

func TestMain(m *testing.M) { fstest.Main(m) }

// open returns an overlay of a fresh base over a fresh directory of changes.
func open(t *testing.T, base, dir string) *overlay.Overlay {
	t.Helper()
	o, err := overlay.Open(context.Background(), overlay.Config{Base: base, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func TestConformance(t *testing.T) {
	fstest.Modes(t, func(t *testing.T, mode fs.Options) {
		mode.AllowOther = true
		fstest.Run(t, fstest.Mount(t, open(t, t.TempDir(), t.TempDir()), mode))
	})
}

func TestPosix(t *testing.T) {
	fstest.Modes(t, func(t *testing.T, mode fs.Options) {
		mode.AllowOther = true
		fstest.Posix(t, fstest.Mount(t, open(t, t.TempDir(), t.TempDir()), mode))
	})
}

func TestSmoke(t *testing.T) {
	base, dir := t.TempDir(), t.TempDir()
	for p, s := range map[string]string{"a/b/c.txt": "hello\n", "a/d": "dd", "e": "eee"} {
		if err := os.MkdirAll(filepath.Join(base, filepath.Dir(p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, p), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := open(t, base, dir)
	mnt := fstest.Mount(t, o, fs.Options{})
	if err := os.Rename(mnt+"/a", mnt+"/z"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mnt+"/z/b/c.txt", []byte("changed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(mnt + "/z/b/c.txt")
	if err != nil || string(got) != "changed\n" {
		t.Fatalf("%q %v", got, err)
	}
	if err := os.RemoveAll(mnt + "/z/b"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(mnt+"/z/b", 0o755); err != nil {
		t.Fatal(err)
	}
	ents, err := os.ReadDir(mnt + "/z/b")
	if err != nil || len(ents) != 0 {
		t.Fatalf("%v %v", ents, err)
	}
	got, err = os.ReadFile(base + "/a/b/c.txt")
	if err != nil || string(got) != "hello\n" {
		t.Fatalf("base: %q %v", got, err)
	}
}
