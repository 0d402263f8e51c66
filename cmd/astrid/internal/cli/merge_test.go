package cli

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOverwriteStaysInTheView has a program in the view swap a file for something
// else just before its merge is written.
func TestOverwriteStaysInTheView(t *testing.T) {
	top := t.TempDir()
	view, outside := filepath.Join(top, "view"), filepath.Join(top, "outside")
	for _, err := range []error{
		os.Mkdir(view, 0o700), os.WriteFile(outside, []byte("mine alone"), 0o600),
		os.WriteFile(filepath.Join(view, "file"), []byte("a longer text"), 0o640),
		os.Symlink(outside, filepath.Join(view, "absolute")), os.Symlink("../outside", filepath.Join(view, "climbs")),
		os.Symlink("..", filepath.Join(view, "up")), syscall.Mkfifo(filepath.Join(view, "fifo"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"absolute", "climbs", "up/outside", "fifo", "none"} {
		if err := overwrite(view, p, []byte("theirs")); err == nil {
			t.Errorf("%s was written", p)
		}
	}
	if b, err := os.ReadFile(outside); err != nil || string(b) != "mine alone" {
		t.Errorf("outside of the view there is %q, %v", b, err)
	}
	if err := overwrite(view, "file", []byte("merged")); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(view, "file")); err != nil || string(b) != "merged" {
		t.Errorf("the file is %q, %v", b, err)
	}
}
