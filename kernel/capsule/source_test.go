package capsule

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever is changed, added or removed shows, but for what people and installers
// write.
func TestASourceIsOfAllThatACapsuleIs(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{ManifestName, "lib/meta.json", "lib/.env.json", "lib/x"} {
		write(t, filepath.Join(dir, name), name)
	}
	sum := func() string {
		t.Helper()
		s, err := SourceOf(dir, "a")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	seen := map[string]string{sum(): "the first"}
	changes := []struct {
		name string
		do   func(path string) error
	}{
		{"lib/meta.json", nil}, {"lib/.env.json", nil}, {"lib/x", nil}, {"lib/y", nil},
		{"lib/link", func(p string) error { return os.Symlink("x", p) }},
		{"lib/link2", func(p string) error { return os.Symlink("/etc", p) }},
		{"lib/x", os.Remove},
	}
	for _, c := range changes {
		path := filepath.Join(dir, c.name)
		if c.do == nil {
			write(t, path, "changed")
		} else if err := c.do(path); err != nil {
			t.Fatal(err)
		}
		s := sum()
		if before := seen[s]; before != "" {
			t.Errorf("after a change of %s it is as after %s", c.name, before)
		}
		seen[s] = c.name
	}
	last := sum()
	write(t, filepath.Join(dir, "meta.json"), "x")
	write(t, filepath.Join(dir, ".env.json"), "x")
	if sum() != last {
		t.Error("what people and installers write counts")
	}
	if other, err := SourceOf(dir, "b"); err != nil || other == last {
		t.Errorf("another id has the same source: %v", err)
	}
}
