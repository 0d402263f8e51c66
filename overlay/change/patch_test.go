package change_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"astrid/overlay/change"
)

// files reads what git keeps of a tree: path to mode and content.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		switch {
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(p)
			m[rel] = "link " + target
			return err
		case d.Type().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			m[rel] = fmt.Sprintf("file %v %s", info.Mode()&0o100 != 0, b)
		}
		return nil
	})
	must(t, err)
	return m
}

func copyTree(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	return to
}

func gitApply(t testing.TB, dir string, patch []byte, args ...string) error {
	t.Helper()
	cmd := exec.Command("git", append([]string{"apply", "--whitespace=nowarn"}, append(args, "-")...)...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(patch)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CEILING_DIRECTORIES=" + filepath.Dir(dir)}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("git apply: %w\n%s", err, out)
	}
	return nil
}

func (v *view) patch(l []change.Change) []byte {
	v.t.Helper()
	var buf bytes.Buffer
	must(v.t, change.Patch(context.Background(), &buf, v.o.Live(), l))
	return buf.Bytes()
}

// checkPatch applies the patch of a view to a copy of its base and compares; and
// back again.
func checkPatch(t testing.TB, v *view) error {
	t.Helper()
	l := v.list(change.Options{})
	patch := v.patch(l)
	to := copyTree(t, v.base)
	before := files(t, to)
	if len(patch) > 0 {
		if err := gitApply(t, to, patch); err != nil {
			return fmt.Errorf("%w\nchanges:\n%spatch:\n%s", err, lines(l), patch)
		}
	}
	if d := difference(files(t, v.mnt), files(t, to)); d != "" {
		return fmt.Errorf("view and patched copy differ:\n%s\nchanges:\n%spatch:\n%s", d, lines(l), patch)
	}
	if len(patch) == 0 {
		return nil
	}
	if err := gitApply(t, to, patch, "-R"); err != nil {
		return fmt.Errorf("%w\nchanges:\n%spatch:\n%s", err, lines(l), patch)
	}
	if d := difference(before, files(t, to)); d != "" {
		return fmt.Errorf("base and copy patched back differ:\n%s\npatch:\n%s", d, patch)
	}
	return nil
}

func difference(want, have map[string]string) string {
	var out []string
	for p, w := range want {
		if h, ok := have[p]; !ok {
			out = append(out, fmt.Sprintf("%q is missing", p))
		} else if h != w {
			out = append(out, fmt.Sprintf("%q is %.80q, not %.80q", p, h, w))
		}
	}
	for p := range have {
		if _, ok := want[p]; !ok {
			out = append(out, fmt.Sprintf("%q is too much", p))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func oddNames() []string {
	return []string{
		"plain", "with space", " lead", "trail ", "tab\there", "new\nline", `quo"te`, `back\slash`, "höhe", "\xff\xfe", "a\x01b",
		"-dash", "x b", "a b a", "*", "[x]", "ünï cödé", "very" + strings.Repeat("long", 50), "'", "$(x)", "#", "%41", "\u2028",
	}
}

func TestPatchNames(t *testing.T) {
	dir := t.TempDir()
	names := oddNames()
	for _, n := range names {
		must(t, os.WriteFile(filepath.Join(dir, n), []byte("one\ntwo\n"), 0o644))
		must(t, os.WriteFile(filepath.Join(dir, n+".gone"), []byte("gone\n"), 0o644))
		must(t, os.Mkdir(filepath.Join(dir, n+".d"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, n+".d", n), []byte("in\n"), 0o644))
	}
	v := newView(t, dir)
	for _, n := range names {
		must(t, os.WriteFile(v.path(n), []byte("one\n2\n"), 0o644))
		must(t, os.Remove(v.path(n+".gone")))
		must(t, os.Rename(v.path(n+".d"), v.path(n+".e")))
		must(t, os.WriteFile(v.path(n+".new"), nil, 0o755))
		must(t, os.WriteFile(v.path(n+".bin"), []byte{0, 1, 2}, 0o644))
		must(t, os.Symlink(n, v.path(n+".ln")))
	}
	if err := checkPatch(t, v); err != nil {
		t.Fatal(err)
	}
}

func TestPatchContents(t *testing.T) {
	big := make([]byte, 4<<20+1)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(big)
	lines := strings.Repeat("a line\n", 600_000)
	contents := map[string][]byte{
		"empty": nil, "newline": []byte("\n"), "one": []byte("one"), "one line": []byte("one\n"), "no end": []byte("a\nb\nc"),
		"crlf": []byte("a\r\nb\r\n"), "nul": []byte("a\x00b"), "late nul": append(bytes.Repeat([]byte("text\n"), 4000), 0),
		"latin": []byte("gr\xfc\xdf\n"), "big": big, "long text": []byte(lines), "marker": []byte("\\ No newline at end of file\n"),
		"diff": []byte("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"), "long line": bytes.Repeat([]byte("x"), 100_000),
		"52": bytes.Repeat([]byte{0, 7}, 26), "53": append(bytes.Repeat([]byte{0, 7}, 26), 9),
	}
	names := []string{}
	for n := range contents {
		names = append(names, n)
	}
	slices.Sort(names)
	dir := t.TempDir()
	others := func(name string) []string {
		if len(contents[name]) > 1<<20 {
			return []string{"empty"} // git takes its time
		}
		return []string{"empty", "no end", "nul", "marker"}
	}
	for _, a := range names {
		for _, b := range others(a) {
			must(t, os.WriteFile(filepath.Join(dir, a+" to "+b), contents[a], 0o644))
			must(t, os.WriteFile(filepath.Join(dir, b+" to "+a), contents[b], 0o644))
		}
	}
	v := newView(t, dir)
	for _, a := range names {
		for _, b := range others(a) {
			must(t, os.WriteFile(v.path(a+" to "+b), contents[b], 0o644))
			must(t, os.WriteFile(v.path(b+" to "+a), contents[a], 0o644))
		}
		must(t, os.WriteFile(v.path("new "+a), contents[a], 0o755))
	}
	if err := checkPatch(t, v); err != nil {
		s := err.Error()
		t.Fatal(s[:min(len(s), 5000)])
	}
}

// TestPatchRandom changes random trees at random.
func TestPatchRandom(t *testing.T) {
	names := []string{"a", "b", "c", "d e", "f\ng", "\xfe"}
	rapid.Check(t, func(r *rapid.T) {
		dir := t.TempDir()
		plant(t, dir, map[string]string{"real/a": "real\n", "real/b/c": "real\n"})
		plantRandom(t, r, dir, names)
		v := newView(t, dir)
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			v.random(r, names)
		}
		if err := checkPatch(t, v); err != nil {
			r.Fatal(err)
		}
	})
}

func drawPath(r *rapid.T, names []string, label string) string {
	n := rapid.IntRange(1, 3).Draw(r, label+" depth")
	parts := make([]string, n)
	for i := range parts {
		parts[i] = rapid.SampledFrom(names).Draw(r, label)
	}
	return strings.Join(parts, "/")
}

// targets are those of symbolic links: never one that leads back to itself,
// because git cannot look below those.
func targets() []string { return []string{"real", "../real", "real/a", "nowhere"} }

func drawContent(r *rapid.T) []byte {
	n := rapid.IntRange(0, 12).Draw(r, "lines")
	var b []byte
	for range n {
		b = append(b, rapid.SampledFrom([]string{"x\n", "y\n", "\n", "long line of text\n", "z"}).Draw(r, "line")...)
	}
	if rapid.IntRange(0, 9).Draw(r, "binary") == 0 {
		b = append(b, 0)
	}
	return b
}

func plantRandom(t *testing.T, r *rapid.T, dir string, names []string) {
	for range rapid.IntRange(0, 20).Draw(r, "files") {
		p := filepath.Join(dir, drawPath(r, names, "planted"))
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		if rapid.IntRange(0, 6).Draw(r, "as link") == 0 {
			_ = os.Symlink(rapid.SampledFrom(targets()).Draw(r, "target"), p)
			continue
		}
		_ = os.WriteFile(p, drawContent(r), 0o644)
	}
}

// random makes one change; that some are refused does not matter.
func (v *view) random(r *rapid.T, names []string) {
	p := v.path(drawPath(r, names, "path"))
	switch rapid.IntRange(0, 10).Draw(r, "what") {
	case 0, 1:
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		_ = os.WriteFile(p, drawContent(r), 0o644)
	case 2:
		_ = os.RemoveAll(p)
	case 3, 4, 5, 6:
		_ = os.Rename(p, v.path(drawPath(r, names, "to")))
	case 7:
		_ = os.Chmod(p, rapid.SampledFrom([]fs.FileMode{0o755, 0o644, 0o600}).Draw(r, "mode"))
	case 8:
		_ = os.Symlink(rapid.SampledFrom(targets()).Draw(r, "target"), p)
	case 9:
		_ = os.Mkdir(p, 0o755)
	case 10:
		to := v.path(drawPath(r, names, "to"))
		_ = os.RemoveAll(to)
		_ = os.Rename(p, to)
	}
}
