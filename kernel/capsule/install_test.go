package capsule

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lukechampine.com/blake3"

	"astrid/kernel/fault"
)

// shop is an installer whose person agrees, or says no.
type shop struct {
	Installer
	no  error
	saw []Installation
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{}
	s.Installer = Installer{
		Root: t.TempDir(), Now: func() time.Time { return time.Unix(1_000_000, 0) },
		Agree: func(_ context.Context, in Installation) error { s.saw = append(s.saw, in); return s.no },
	}
	return s
}

// left is what is in the root.
func (s *shop) left(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(s.Root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestACapsuleIsInstalledAndUpgradedWithWhatWasSet(t *testing.T) {
	s, source := newShop(t), t.TempDir()
	write(t, filepath.Join(source, ManifestName), manifest("demo", "[capabilities]\nnet = [\"a.org\"]\n[[topic]]\nname = \"d.v1\"\ndirection = \"publish\"\nschema = \"s.json\"\n"))
	write(t, filepath.Join(source, "s.json"), `{"type":"object"}`)
	write(t, filepath.Join(source, ".git", "x"), "x")
	write(t, filepath.Join(source, "node_modules", "a", "dist", "index.js"), "x")
	write(t, filepath.Join(source, "node_modules", ".bin", "x"), "x")
	write(t, filepath.Join(source, ".env.json"), `{"STOLEN":"1"}`)
	f, err := s.Install(t.Context(), source)
	if err != nil || f.Package.Name != "demo" || f.Dir != filepath.Join(s.Root, "demo") {
		t.Fatalf("%+v, %v", f, err)
	}
	if asks := s.saw[0].Asks; !slices.Equal(asks, []string{"reach hosts: a.org"}) || s.saw[0].Old != nil {
		t.Errorf("asked %q", asks)
	}
	for name, want := range map[string]bool{"s.json": true, "meta.json": true, ".git": false, ".env.json": false, "node_modules/a/dist/index.js": true, "node_modules/.bin": false} {
		if _, err := os.Lstat(filepath.Join(f.Dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	write(t, filepath.Join(f.Dir, ".env.json"), `{"KEY":"1"}`)
	write(t, filepath.Join(source, ManifestName), strings.Replace(manifest("demo", "[capabilities]\nnet = [\"a.org\", \"b.org\"]\n"), "1.0.0", "1.1.0", 1))
	s.Granted = func(ID) Rights { return f.Rights() }
	again, err := s.Install(t.Context(), source)
	if err != nil || again.Package.Version != "1.1.0" || again.Source == f.Source {
		t.Fatalf("%+v, %v", again.Package, err)
	}
	if asks := s.saw[1].Asks; !slices.Equal(asks, []string{"reach hosts: b.org"}) || s.saw[1].Old == nil || s.saw[1].Change != Upgrade {
		t.Errorf("asked %q", asks)
	}
	if data, err := os.ReadFile(filepath.Join(again.Dir, ".env.json")); err != nil || string(data) != `{"KEY":"1"}` { // D16
		t.Errorf("what was set: %s, %v", data, err)
	}
	if got := s.left(t); !slices.Equal(got, []string{"demo"}) {
		t.Errorf("left behind: %q", got)
	}
	if err := s.Remove("demo"); err != nil || len(s.left(t)) != 0 {
		t.Errorf("removed: %v, %q", err, s.left(t))
	}
	if err := s.Remove("demo"); !fault.Is(err, fault.NotFound) {
		t.Errorf("again: %v", err)
	}
}

func TestWhatIsRefusedLeavesEverythingAsItWas(t *testing.T) {
	s, source := newShop(t), t.TempDir()
	write(t, filepath.Join(source, ManifestName), manifest("demo", ""))
	first, err := s.Install(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	s.no = errors.New("no, thanks")
	write(t, filepath.Join(source, "more"), "x")
	if _, err := s.Install(t.Context(), source); !errors.Is(err, s.no) {
		t.Errorf("a person says no: %v", err)
	}
	s.no = nil
	write(t, filepath.Join(source, ManifestName), manifest("demo", "[[component]]\nfile = \"x.wasm\"\n"))
	if _, err := s.Install(t.Context(), source); !fault.Is(err, fault.NotFound) {
		t.Errorf("a component is missing: %v", err)
	}
	write(t, filepath.Join(source, ManifestName), manifest("demo", "[[component]]\nfile = \"more\"\nhash = \""+strings.Repeat("00", 32)+"\"\n"))
	if _, err := s.Install(t.Context(), source); !fault.Is(err, fault.Denied) {
		t.Errorf("another component: %v", err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(source, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Install(t.Context(), source); !fault.Is(err, fault.Usage) {
		t.Errorf("a link: %v", err)
	}
	if _, err := s.Install(t.Context(), "relative"); !fault.Is(err, fault.Usage) {
		t.Errorf("a relative source: %v", err)
	}
	now, err := Load(first.Dir)
	if err != nil || now.Source != first.Source || !slices.Equal(s.left(t), []string{"demo"}) {
		t.Errorf("%+v, %v, %q", now.Package, err, s.left(t))
	}
}

func TestAComponentMustHaveItsHash(t *testing.T) {
	s, source := newShop(t), t.TempDir()
	sum := blake3.Sum256([]byte("code"))
	write(t, filepath.Join(source, "x.wasm"), "code")
	write(t, filepath.Join(source, ManifestName), manifest("demo", "[[component]]\nfile = \"x.wasm\"\nhash = \"blake3:"+hex.EncodeToString(sum[:])+"\"\n"))
	if _, err := s.Install(t.Context(), source); err != nil {
		t.Error(err)
	}
}

func archive(t *testing.T, entries ...tar.Header) string {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	out := tar.NewWriter(zip)
	for _, h := range entries {
		body := []byte(h.Linkname)
		if h.Typeflag == tar.TypeReg {
			h.Size, h.Linkname = int64(len(body)), ""
		}
		h.Mode = 0o644
		if err := out.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := out.Write(body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(out.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.capsule")
	if err := os.WriteFile(path, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestArchives(t *testing.T) {
	file := func(name, body string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeReg, Linkname: body}
	}
	good := file(ManifestName, manifest("demo", ""))
	s := newShop(t)
	if f, err := s.Install(t.Context(), archive(t, good, tar.Header{Name: "d/", Typeflag: tar.TypeDir}, file("d/x", "1"))); err != nil || f.Package.Name != "demo" {
		t.Errorf("%+v, %v", f.Package, err)
	}
	for name, entries := range map[string][]tar.Header{
		"a path above":     {good, file("../x", "1")},
		"an absolute path": {good, file("/tmp/x", "1")},
		"a symbolic link":  {good, {Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}},
		"a hard link":      {good, {Name: "l", Typeflag: tar.TypeLink, Linkname: ManifestName}},
		"a device":         {good, {Name: "l", Typeflag: tar.TypeChar}},
		"a file twice":     {good, good},
		"no manifest":      {file("x", "1")},
	} {
		if _, err := newShop(t).Install(t.Context(), archive(t, entries...)); err == nil {
			t.Errorf("%s was installed", name)
		}
	}
	broken := filepath.Join(t.TempDir(), "x")
	write(t, broken, "no gzip")
	if _, err := s.Install(t.Context(), broken); !fault.Is(err, fault.Usage) {
		t.Errorf("no archive: %v", err)
	}
}
