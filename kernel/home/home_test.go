package home

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"astrid/kernel/fault"
)

func TestResolve(t *testing.T) {
	cases := map[string]struct {
		env  map[string]string
		want string // empty: an error
	}{
		"ASTRID_HOME comes first":            {map[string]string{"ASTRID_HOME": "/a", "HOME": "/h"}, "/a"},
		"else .astrid below HOME":            {map[string]string{"HOME": "/h"}, "/h/.astrid"},
		"an empty ASTRID_HOME is unset":      {map[string]string{"ASTRID_HOME": "", "HOME": "/h"}, "/h/.astrid"},
		"a relative ASTRID_HOME is refused":  {map[string]string{"ASTRID_HOME": "a", "HOME": "/h"}, ""},
		"dot-dot is refused":                 {map[string]string{"ASTRID_HOME": "/a/../b"}, ""},
		"dot-dot in HOME is refused":         {map[string]string{"HOME": "/h/.."}, ""},
		"a relative HOME is refused":         {map[string]string{"HOME": "h"}, ""},
		"nothing is refused":                 {nil, ""},
		"dots that are part of names are ok": {map[string]string{"ASTRID_HOME": "/a..b/..c/"}, "/a..b/..c"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, err := Resolve(func(k string) string { return c.env[k] })
			if h.String() != c.want || (err != nil) != (c.want == "") {
				t.Errorf("got %q, %v", h, err)
			}
			if err != nil && !fault.Is(err, fault.Usage) {
				t.Errorf("kind %v", fault.KindOf(err))
			}
		})
	}
}

// scratch is a home in a temporary directory.
func scratch(t *testing.T) Home {
	t.Helper()
	h, err := At(filepath.Join(t.TempDir(), "sub", "home"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Mode().Perm()
}

func TestEnsureMakesEverythingPrivate(t *testing.T) {
	h := scratch(t)
	for range 2 { // the second time finds everything there
		if err := h.Ensure(); err != nil {
			t.Fatal(err)
		}
		if err := h.EnsureSession("x", "/the/base"); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(h.String(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && mode(t, path) != 0o700 {
			t.Errorf("%s has mode %o", path, mode(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{h.BaseLink("x"): "/the/base", h.CtlLink("x"): "../ctl/sessions/x"} {
		if got, err := os.Readlink(name); err != nil || got != want {
			t.Errorf("%s points to %q, %v", name, got, err)
		}
	}
	if err := h.EnsureSession("x", "/moved"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.Readlink(h.BaseLink("x")); got != "/moved" {
		t.Errorf("base still points to %q", got)
	}
	if err := h.EnsureSession("../x", "/b"); !fault.Is(err, fault.Usage) {
		t.Errorf("a name that climbs: %v", err)
	}
}

func TestEnsureRefusesAHomeThatOthersMayWrite(t *testing.T) {
	for _, bad := range []fs.FileMode{0o770, 0o707, 0o777} {
		h := scratch(t)
		if err := os.MkdirAll(h.String(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(h.String(), bad); err != nil {
			t.Fatal(err)
		}
		if err := h.Ensure(); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("mode %o: %v", bad, err)
		}
	}
}

func TestEnsureClosesAHomeThatOthersMayRead(t *testing.T) {
	h := scratch(t)
	if err := os.MkdirAll(h.Sessions(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := h.Ensure(); err != nil {
		t.Fatal(err)
	}
	if mode(t, h.String()) != 0o700 || mode(t, h.Sessions()) != 0o700 {
		t.Error("still open")
	}
}

func TestEnsureRefusesSomebodyElsesHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	h := scratch(t)
	if err := os.MkdirAll(h.String(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(h.String(), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := h.Ensure(); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "12345") {
		t.Errorf("got %v", err)
	}
}

func TestEnsureFollowsALinkToTheHomeOnly(t *testing.T) {
	real, dir := t.TempDir(), t.TempDir()
	if err := os.Chmod(real, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "home")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	h, _ := At(link)
	if err := h.Ensure(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(h.Keys()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, h.Keys()); err != nil {
		t.Fatal(err)
	}
	if err := h.Ensure(); err == nil {
		t.Error("a link below the home was followed")
	}
}

func TestCheckSession(t *testing.T) {
	for _, good := range []string{"a", "0", "a.b_c-d", "ctl2", "systemd", strings.Repeat("x", MaxName)} {
		if err := CheckSession(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", ".a", "-a", "_a", "A", "a/b", "a b", "a\x00", "é", "ctl", "system.sock", "system.", "forks",
		strings.Repeat("x", MaxName+1)} {
		if err := CheckSession(bad); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNameFor(t *testing.T) {
	for dir, want := range map[string]string{
		"/src/Astrid": "astrid", "/src/my project": "my-project", "/": "session", "/a/...": "session", "/x/ctl": "session-ctl",
		"/x/system.sock": "session-system.sock", "/x/-lead": "lead", "/x/über": "ber", "/x/" + strings.Repeat("y", 99): strings.Repeat("y", MaxName),
	} {
		if got := NameFor(dir); got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
}

func TestNamesAreAlwaysValidAndUnique(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		taken := map[string]bool{}
		dir := "/" + rapid.String().Draw(t, "dir")
		for range rapid.IntRange(1, 120).Draw(t, "n") {
			name := Unique(NameFor(dir), func(n string) bool { return taken[n] })
			if err := CheckSession(name); err != nil {
				t.Fatal(err)
			}
			if taken[name] {
				t.Fatalf("%q is taken", name)
			}
			taken[name] = true
		}
	})
}

func TestWriteFileAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"one", "", "three"} {
		if err := WriteFileAtomic(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := WriteFileVia(path+".tmp", path+".2", []byte(text)); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, path + ".2"} {
			got, err := ReadPrivate(p, 100)
			if err != nil || string(got) != text || mode(t, p) != 0o600 {
				t.Errorf("%s: %q, %v, mode %o", p, got, err, mode(t, p))
			}
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
	if err := os.WriteFile(path+".tmp", []byte("of a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFileVia(path+".tmp", path, []byte("x")); err != nil {
		t.Errorf("over a leftover: %v", err)
	}
}

func TestWriteFileAtomicLeavesNothingOnFailure(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "d")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFileAtomic(path, []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestReadPrivateRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, perm fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("12345"), perm); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, perm); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", 0o600)
	if _, err := ReadPrivate(good, 5); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := ReadPrivate(good, 4); !fault.Is(err, fault.Limit) {
		t.Errorf("one past the limit: %v", err)
	}
	if _, err := ReadPrivate(file("open", 0o644), 5); !fault.Is(err, fault.Denied) {
		t.Errorf("readable by others: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPrivate(link, 5); err == nil {
		t.Error("a link was followed")
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPrivate(fifo, 5); !fault.Is(err, fault.Denied) {
		t.Errorf("a fifo: %v", err)
	}
	if _, err := ReadPrivate(filepath.Join(dir, "none"), 5); !errors.Is(err, fs.ErrNotExist) || !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing file: %v", err)
	}
}
