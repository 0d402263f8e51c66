package gitindex_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"astrid/overlay/gitindex"
)

// repository is a work tree of real git.
type repository struct {
	t   testing.TB
	dir string
}

func newRepository(t testing.TB, args ...string) repository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	r := repository{t, t.TempDir()}
	r.git(append([]string{"init", "-q"}, args...)...)
	r.git("config", "user.name", "a")
	r.git("config", "user.email", "a@example.org")
	for _, name := range []string{"a", "dir/b", "dir/b.c", "dir/sub/" + strings.Repeat("long", 40), "z", "\xff\n"} {
		r.write(name, name)
	}
	r.git("add", ".")
	return r
}

func (r repository) git(args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (r repository) write(name, content string) {
	r.t.Helper()
	p := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r repository) index() []byte {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, ".git/index"))
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func digest(t testing.TB, b []byte) [32]byte {
	t.Helper()
	d, err := gitindex.Digest(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestSameEntries does what rewrites an index and changes nothing in it.
func TestSameEntries(t *testing.T) {
	for name, init := range map[string][]string{"SHA-1": nil, "SHA-256": {"--object-format=sha256"}} {
		t.Run(name, func(t *testing.T) {
			r := newRepository(t, init...)
			first := r.index()
			want := digest(t, first)
			touch := func() {
				old := time.Unix(1e9, 0)
				if err := os.Chtimes(filepath.Join(r.dir, "a"), old, old); err != nil {
					t.Fatal(err)
				}
			}
			for _, args := range [][]string{
				{"status"}, {"commit", "-q", "-m", "x"}, {"update-index", "--index-version", "4"}, {"update-index", "--untracked-cache"},
				{"status"}, {"read-tree", "HEAD"}, {"update-index", "--index-version", "3"}, {"update-index", "--refresh"},
				{"-c", "index.skipHash=true", "update-index", "--force-write-index"},
			} {
				touch()
				r.git(args...)
				if digest(t, r.index()) != want {
					t.Errorf("git %v changes an entry", args)
				}
			}
			if bytes.Equal(first, r.index()) {
				t.Error("nothing was rewritten")
			}
		})
	}
}

// TestOtherEntries does what changes something.
func TestOtherEntries(t *testing.T) {
	r := newRepository(t)
	r.git("commit", "-q", "-m", "x")
	seen := map[[32]byte]string{digest(t, r.index()): "nothing"}
	for _, args := range [][]string{
		{"update-index", "--chmod=+x", "a"}, {"update-index", "--assume-unchanged", "a"},
		{"update-index", "--skip-worktree", "z"}, {"rm", "-q", "--cached", "dir/b"}, {"add", "--intent-to-add", "dir/b"},
		{"add", "dir/b", "new"}, {"mv", "new", "newer"},
	} {
		r.write("new", "new")
		r.git(args...)
		d := digest(t, r.index())
		if was, ok := seen[d]; ok {
			t.Errorf("git %v and %s are the same", args, was)
		}
		seen[d] = strings.Join(args, " ")
	}
}

// TestNotUnderstood refuses what cannot be compared by its entries.
func TestNotUnderstood(t *testing.T) {
	r := newRepository(t)
	good := r.index()
	summed := func(b []byte) []byte {
		body := b[:len(b)-sha1.Size]
		s := sha1.Sum(body)
		return append(bytes.Clone(body), s[:]...)
	}
	with := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return summed(b)
	}
	extension := func(name string) []byte {
		b := append(bytes.Clone(good[:len(good)-sha1.Size]), name...)
		return summed(append(binary.BigEndian.AppendUint32(b, 0), make([]byte, sha1.Size)...))
	}
	if _, err := gitindex.Digest(extension("TREE")); err != nil {
		t.Errorf("a cache: %v", err)
	}
	flipped := bytes.Clone(good)
	flipped[40] ^= 1
	for name, b := range map[string][]byte{
		"nothing": nil, "a torn file": good[:len(good)-1], "a wrong checksum": flipped, "another file": with(0, 'X'),
		"version 5": with(7, 5), "version 1": with(7, 1), "an entry too many": with(11, good[11]+1), "an entry too few": with(11, good[11]-1),
		"a split index": extension("link"), "a sparse one": extension("sdir"), "what will come": extension("ABCD"),
		"a file too large": make([]byte, gitindex.MaxSize+1),
	} {
		if _, err := gitindex.Digest(b); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// FuzzDigest feeds files that git did not write. The checksum is left out, so
// that what is in them is reached.
func FuzzDigest(f *testing.F) {
	r := newRepository(f)
	for _, v := range []string{"2", "3", "4"} {
		r.git("update-index", "--index-version", v)
		b := r.index()
		f.Add(b[:len(b)-sha1.Size])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.HasSuffix(body, make([]byte, sha256.Size-sha1.Size)) {
			return // with what follows it may be a checksum of the longer kind
		}
		b := append(bytes.Clone(body), make([]byte, sha1.Size)...)
		one, err := gitindex.Digest(b)
		if err != nil {
			return
		}
		cache := append(bytes.Clone(body), "TREE\x00\x00\x00\x00"...)
		two, err := gitindex.Digest(append(cache, make([]byte, sha1.Size)...))
		if err != nil || one != two {
			t.Errorf("a cache makes another index: %v", err)
		}
	})
}
