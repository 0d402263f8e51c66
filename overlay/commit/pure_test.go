package commit

import (
	"bytes"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestProtected(t *testing.T) {
	for p, want := range map[string]bool{
		".astrid": true, ".astrid/policy": true, "sub/.astrid/x": false,
		".git/hooks/pre-commit": true, "sub/.git/config": true, ".git/HEAD": false, ".GIT/Hooks/x": true,
		".git/modules/x/config": true, ".git/objects/info/alternates": true, ".git/info/attributes": true, ".git/info/exclude": false,
		".gitmodules": true, "a/.gitmodules": true, ".gitignore": false,
		".husky": true, "web/.husky/pre-commit": true, ".envrc": true, ".env": true, "a/.env.local": true, "env": false,
		".vscode/tasks.json": true, ".vscode/settings.json": false,
		"id_rsa": true, "keys/id_ed25519.pub": true, "tls/server.key": true, "tls/server.pem": true, "monkey": false, "main.go": false,
	} {
		if got := protected(p, false); got != want {
			t.Errorf("protected(%q) = %v", p, got)
		}
	}
	if protected("sub/.git", true) || !protected("sub/.git", false) {
		t.Error("a .git file is protected, a .git directory is not by itself")
	}
}

func TestIgnoreRules(t *testing.T) {
	rules := parseIgnore("# comment\n\n*.o\n/top\nbuild/\n!keep.o\ndocs/**/tmp\n a b \\ \n\\!bang\n[bad\n")
	for _, c := range []struct {
		path string
		dir  bool
		want bool
	}{
		{"x.o", false, true},
		{"a/b/x.o", false, true},
		{"keep.o", false, false},
		{"top", false, true},
		{"a/top", false, false},
		{"top/in", false, true},
		{"build", false, false},
		{"build", true, true},
		{"build/keep.o", false, true},
		{"docs/a/b/tmp", false, true},
		{"docs/tmp", false, true},
		{"!bang", false, true},
		{"main.go", false, false},
	} {
		if got := rules.match(c.path, c.dir); got != c.want {
			t.Errorf("match(%q, %v) = %v", c.path, c.dir, got)
		}
	}
}

func TestPathText(t *testing.T) {
	for _, p := range []Path{"", "plain", "50%", "%41", "\xff\xfe", "new\nline", "höhe", "a\xc3", "\x00"} {
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		var back Path
		if err := json.Unmarshal(b, &back); err != nil || back != p {
			t.Errorf("%q became %s and %q: %v", p, b, back, err)
		}
	}
	for _, bad := range []string{`"%"`, `"%4"`, `"%zz"`} {
		var p Path
		if err := json.Unmarshal([]byte(bad), &p); err == nil {
			t.Errorf("%s was taken for %q", bad, p)
		}
	}
}

func samplePlan() *plan {
	id := ident{Key: layer.Key{Dev: 1, Ino: 2, Btime: 3}, Kind: unix.S_IFREG, Size: 4, Mtime: 5}
	return &plan{
		Number: 7, Boot: "boot", Base: layer.Key{Dev: 1, Ino: 1}, Stage: ".astrid/commit-7", MadeDot: true, Message: "why",
		Open:  []metaStep{{Base: "d", Path: "d", Key: id.Key, Kind: unix.S_IFDIR, Perm: true, Before: attrs{Mode: 0o555}, After: attrs{Mode: 0o755}}},
		Steps: []step{{Do: doMove, From: "a\xff", To: ".astrid/commit-7/1", Obj: id, Tree: "00"}, {Do: doSwap, From: ".astrid/commit-7/2", To: "b", Obj: id, Pre: &id}},
		Meta:  []metaStep{{Base: "m", Path: "m", Key: id.Key, Kind: unix.S_IFREG, Xattrs: true, After: attrs{Xattrs: map[Path][]byte{"user.x": {1}}}}},
		Times: []timeStep{{Base: ".", Path: ".", Key: id.Key, Before: 1, After: 2}},
		Done:  []doneRec{{Path: "b", Ino: 1 << 52, Key: id.Key}, {Path: "a\xff"}},
	}
}

// sampleJournal writes a whole journal.
func sampleJournal(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	fd, err := openDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	j, err := createJournal(fd, begin{Number: 7, Stage: ".astrid/commit-7", MadeDot: true, Root: layer.Key{Ino: 1}, Time: 9})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		kind byte
		v    any
	}{{recPlan, samplePlan()}, {recApplied, nil}, {recFolded, nil}} {
		if err := j.record(r.kind, r.v); err != nil {
			t.Fatal(err)
		}
	}
	j.close()
	b, err := os.ReadFile(filepath.Join(dir, "commit-7.journal"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestJournalGolden holds the format: what was written once must be read.
func TestJournalGolden(t *testing.T) {
	const golden = "testdata/commit-7.journal"
	b := sampleJournal(t)
	if *update {
		if err := os.WriteFile(golden, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Error("the format changed; a new version is due")
	}
	s, err := parseJournal(want)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(samplePlan(), s.plan, cmp.AllowUnexported(plan{})); d != "" {
		t.Error(d)
	}
	if !s.applied || !s.folded || s.back || s.begin == nil || s.begin.Time != 9 {
		t.Errorf("state %+v", s)
	}
}

// TestJournalTorn cuts a journal at every byte: it says what it says up to there.
func TestJournalTorn(t *testing.T) {
	b := sampleJournal(t)
	var stages int
	for n := range b {
		s, err := parseJournal(b[:n])
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if s.folded {
			t.Fatalf("cut at %d it is whole", n)
		}
		if s.plan != nil {
			stages++
		}
	}
	if stages == 0 {
		t.Error("the plan was never read")
	}
	for n := headSize; n < len(b); n++ {
		c := bytes.Clone(b)
		c[n] ^= 1
		if s, err := parseJournal(c); err == nil && s.folded {
			t.Fatalf("a flipped bit at %d was not seen", n)
		}
	}
}

func TestJournalRefusals(t *testing.T) {
	b := sampleJournal(t)
	other := bytes.Clone(b)
	copy(other, "NOTOURS1")
	newer := bytes.Clone(b)
	binary.LittleEndian.PutUint32(newer[8:], journalVersion+1)
	for _, c := range [][]byte{other, newer} {
		if _, err := parseJournal(c); err == nil {
			t.Errorf("%.12q was read", c)
		}
	}
}

func FuzzJournal(f *testing.F) {
	f.Add(sampleJournal(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseJournal(b)
		if err == nil && s.plan != nil {
			if _, err := json.Marshal(s.plan); err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
		}
	})
}
