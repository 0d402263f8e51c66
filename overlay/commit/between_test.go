package commit_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"astrid/overlay/change"
	"astrid/overlay/commit"
	ot "astrid/overlay/overlaytest"
)

// TestBetweenRandom makes a patch between two checkpoints, over a commit, and applies
// it to a copy of the first: it is then the second, as far as a patch can say.
func TestBetweenRandom(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := newPlace(t)
		defer os.RemoveAll(filepath.Dir(p.Base)) // what is reserved for logs adds up
		plantRandom(r, p.Base, false)
		s := p.open(r)
		defer s.close()
		s.scramble(r, false)
		s.remember("a")
		if rapid.Bool().Draw(r, "commit") {
			_, err := s.commit(commit.Request{})
			must(r, err)
		}
		s.scramble(r, false)
		s.remember("b")
		if rapid.Bool().Draw(r, "commit again") {
			_, err := s.commit(commit.Request{})
			must(r, err)
		}
		old, new := s.past("a"), s.past("b")
		var patch bytes.Buffer
		s.between("a", "b", func(d *change.Difference) {
			if l := files(old, new); len(d.List()) == 0 && l != "" {
				r.Fatalf("no difference is listed:\n%s", l)
			}
			must(r, d.Patch(t.Context(), &patch))
		})
		copied := filepath.Join(t.TempDir(), "copy")
		plant(r, copied, old)
		if patch.Len() > 0 {
			cmd := exec.Command("git", "apply", "-")
			cmd.Dir, cmd.Stdin = copied, bytes.NewReader(patch.Bytes())
			cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(copied))
			if out, err := cmd.CombinedOutput(); err != nil {
				r.Fatalf("git apply: %v\n%s\npatch:\n%s", err, out, patch.String())
			}
		}
		if d := files(new, disk(r, copied)); d != "" {
			r.Fatalf("the patch does not make the one of the other:\n%s\npatch:\n%s", d, patch.String())
		}
		s.between("b", "b", func(d *change.Difference) {
			if l := d.List(); len(l) > 0 {
				r.Fatalf("a checkpoint differs from itself:\n%s", lines(l))
			}
		})
	})
}

// between compares two checkpoints.
func (s *session) between(a, b string, fn func(*change.Difference)) {
	s.t.Helper()
	x, free, err := s.o.Past(a)
	must(s.t, err)
	defer free()
	y, release, err := s.o.Past(b)
	must(s.t, err)
	defer release()
	d, err := change.Between(s.t.Context(), x.Live(), y.Live())
	must(s.t, err)
	fn(d)
}

// files compares what git keeps of two trees.
func files(want, have ot.Image) string {
	text := func(m ot.Image) map[string]string {
		out := map[string]string{}
		for p, e := range m {
			switch e.Kind() {
			case unix.S_IFREG:
				out[p] = fmt.Sprintf("%o %x", e.Mode&0o100, e.Data)
			case unix.S_IFLNK:
				out[p] = "-> " + e.Target
			}
		}
		return out
	}
	return cmp.Diff(text(want), text(have))
}

// plant makes a directory with the files of an image, and no empty ones in it, which
// git does not know.
func plant(t TB, dir string, m ot.Image) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	for _, p := range m.Paths() {
		e, at := m[p], filepath.Join(dir, p)
		if e.Kind() != unix.S_IFDIR {
			must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		}
		switch e.Kind() {
		case unix.S_IFLNK:
			must(t, os.Symlink(e.Target, at))
		case unix.S_IFREG:
			must(t, os.WriteFile(at, e.Data, os.FileMode(e.Mode&0o777|0o600)))
			must(t, os.Chmod(at, os.FileMode(e.Mode&0o777|0o600)))
		}
	}
}
