package change_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"astrid/overlay/change"
)

func TestQuote(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"plain", "plain"},
		{"with space", "with space"},
		{"höhe", "höhe"},
		{"a\tb\n", `"a\tb\n"`},
		{`say "x"`, `"say \"x\""`},
		{`back\slash`, `"back\\slash"`},
		{"\xff\xc3", `"\377\303"`},
		{"\x01\x7f", `"\001\177"`},
		{"\u0085", `"\302\205"`},
		{"\u2028", `"\342\200\250"`},
		{"", ""},
	} {
		if got := change.Quote(c.name); got != c.want {
			t.Errorf("Quote(%q) = %s, want %s", c.name, got, c.want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"src", "src", true},
		{"src", "src/a/b", true},
		{"src/", "src/a", true},
		{"./src//a", "src/a/b", true},
		{"src", "srcs", false},
		{"*.go", "a.go", true},
		{"*.go", "d/a.go", false},
		{"**/*.go", "d/e/a.go", true},
		{"**/*.go", "a.go", true},
		{"src/*", "src/d/e", true},
		{"a[1].txt", "a[1].txt", true},
		{"a[1].txt", "a1.txt", true},
		{".", "anything", true},
		{"{a,b}", "b/c", true},
		{"x/**", "x", true},
	} {
		m, err := change.NewMatch([]string{c.pattern})
		must(t, err)
		if got := m.Path(c.path); got != c.want {
			t.Errorf("%s matches %s: %v, want %v", c.pattern, c.path, got, c.want)
		}
	}
	for _, bad := range []string{"", "/etc", "../x", "a/../b", "nul\x00"} {
		if _, err := change.NewMatch([]string{bad}); !errors.Is(err, change.ErrPattern) {
			t.Errorf("pattern %q: %v", bad, err)
		}
	}
	if _, err := change.NewMatch(make([]string, change.MaxPatterns+1)); !errors.Is(err, change.ErrPattern) {
		t.Errorf("too many patterns: %v", err)
	}
}

func TestFilterTakesParents(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, map[string]string{"a/f": "f", "a/g": "g"})
	v := newView(t, dir)
	v.sh("mv a z; echo >z/f; echo >z/g; mkdir -p n/m; echo >n/m/x; echo >n/y")
	m, err := change.NewMatch([]string{"z/f", "**/x"})
	must(t, err)
	if d := cmp.Diff("A n\nA n/m\nA n/m/x\nR z < a\nM z/f\n", lines(change.Filter(v.list(change.Options{}), m))); d != "" {
		t.Error(d)
	}
}

func TestGitIsOneLine(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, map[string]string{".git/HEAD": "ref\n", ".git/config": "c\n", "sub/.git": "gitdir: x\n", "f": "f"})
	v := newView(t, dir)
	v.sh("echo >>.git/HEAD; echo >>.git/config; rm -r .git/nothing || true; echo >>sub/.git; mkdir new; mkdir new/.git; echo >new/.git/HEAD; echo >>f")
	want := "M .git (2 paths)\nM f\nA new\nA new/.git (2 paths)\nM sub/.git\n"
	l := v.list(change.Options{})
	if d := cmp.Diff(want, lines(l)); d != "" {
		t.Error(d)
	}
	all := v.list(change.Options{All: true})
	if len(all) != 7 || len(change.Expand(l)) != len(all) {
		t.Errorf("all:\n%s", lines(all))
	}
	d, err := change.Digest(context.Background(), l, nil)
	must(t, err)
	if d != v.digest() {
		t.Error("the collapsed list has another digest")
	}
}

// TestDigest checks that the digest moves with what would be committed and with
// nothing else.
func TestDigest(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, map[string]string{"f": "one", "d/g": "g", "l": "-> f"})
	v := newView(t, dir)
	seen := map[string]string{v.digest(): "nothing"}
	for _, script := range []string{
		"echo two >f", "echo tzo >f", "chmod 755 f", "touch -d 2002-02-02 f", "setfattr -n user.a -v 1 f", "setfattr -n user.a -v 2 f",
		"rm d/g", "mkdir d/n", "ln -sfn d l", "mv f h", "ln h i", "mkfifo p",
	} {
		v.sh(script)
		d := v.digest()
		if other, ok := seen[d]; ok {
			t.Errorf("after %q the digest is as after %q", script, other)
		}
		seen[d] = script
		v.sh("cat h f 2>/dev/null || true; ls -laR >/dev/null")
		if v.digest() != d {
			t.Errorf("after %q reading moved the digest", script)
		}
	}
	d := v.digest()
	v.sh("cp -a h t; rm -f i; ln t i2; mv i2 i; rm h; mv t h")
	if v.digest() == d {
		return // the same state by other means: the same digest
	}
	// h is not the moved base file any more: that is another change.
	if l := lines(v.list(change.Options{})); strings.Contains(l, "R h") {
		t.Errorf("the digest moved:\n%s", l)
	}
}

func TestDigestIsOfTheState(t *testing.T) {
	digest := func(script string) string {
		dir := t.TempDir()
		plant(t, dir, map[string]string{"f": "one", "d/g": "g"})
		v := newView(t, dir)
		v.sh(script)
		return v.digest()
	}
	times := "; touch -d 2001-01-01 f x n/y; touch -d 2001-01-01 n"
	a := digest("echo x >x; mkdir n; echo y >n/y; echo 2 >f" + times)
	b := digest("echo 3 >f; mkdir m; mv m n; echo y >t; mv t n/y; echo x >x; rm f; echo 2 >f" + times)
	if a != b {
		t.Error("two ways to one state have two digests")
	}
}

func TestStat(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, map[string]string{"f": "1\n2\n3\n", "gone": "a\nb\n", "m/x": "x\n", "b": "\x00"})
	v := newView(t, dir)
	v.sh("printf '1\\nzwei\\n3\\n4\\n' >f; rm gone; mv m n; echo y >>n/x; printf 'a\\000' >b; printf 'new' >new")
	got, err := change.Stat(context.Background(), v.o.Live(), v.list(change.Options{}))
	must(t, err)
	want := map[string]change.Lines{
		"f": {Added: 2, Deleted: 1}, "gone": {Deleted: 2}, "n/x": {Added: 1}, "b": {Binary: true}, "new": {Added: 1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestHardLinksOfTheBase(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, map[string]string{"p": "one\n", "d/": ""})
	must(t, os.Link(filepath.Join(dir, "p"), filepath.Join(dir, "q")))
	v := newView(t, dir)
	v.sh("echo two >>p")
	if d := cmp.Diff("M p\nM q\n", lines(v.list(change.Options{}))); d != "" {
		t.Error(d)
	}
	v.sh("mv q d/r; rm p")
	if d := cmp.Diff("R d/r < p\nD q\n", lines(v.list(change.Options{}))); d != "" {
		t.Error(d)
	}
}

// TestBaseMoves lists while the base changes under the view.
func TestBaseMoves(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, map[string]string{"f": "one\n", "g": "g\n", "d/x": "x\n"})
	v := newView(t, dir)
	v.sh("echo two >f; rm g; echo y >d/x; echo n >n")
	must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("two\n"), 0o644)) // now the same
	must(t, os.Remove(filepath.Join(dir, "g")))
	must(t, os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "e")))
	must(t, os.WriteFile(filepath.Join(dir, "n"), []byte("theirs\n"), 0o644))
	l := v.list(change.Options{})
	at := map[string]change.Change{}
	for _, c := range l {
		at[c.Path] = c
	}
	if _, ok := at["f"]; ok {
		t.Error("f equals the base and is listed")
	}
	if _, ok := at["g"]; ok {
		t.Error("g is gone in both and is listed")
	}
	if !at["d"].Vanished || !at["d/x"].Vanished {
		t.Errorf("the moved directory: %+v %+v", at["d"], at["d/x"])
	}
	if !at["n"].Appeared {
		t.Errorf("n appeared: %+v", at["n"])
	}
}

func TestCacheKeepsSettledFilesOnly(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, map[string]string{"f": "aaaa\n"})
	v := newView(t, dir)
	v.sh("echo bbbb >f")
	c := &change.Cache{Now: time.Now}
	list := func() string { return lines(v.list(change.Options{Cache: c})) }
	if list() != "M f\n" {
		t.Error(list())
	}
	v.sh("echo aaaa >f; touch -r . f") // the same size, within one tick perhaps
	if got := list(); got != "" {
		t.Errorf("after it is as the base again: %s", got)
	}
	late := &change.Cache{Now: func() time.Time { return time.Now().Add(time.Hour) }}
	for range 2 {
		if got := lines(v.list(change.Options{Cache: late})); got != "" {
			t.Errorf("with a full cache: %s", got)
		}
	}
}

func TestListStops(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, map[string]string{"f": "one"})
	v := newView(t, dir)
	v.sh("echo >g")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := change.List(ctx, v.o.Live(), change.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("List of a cancelled context: %v", err)
	}
}

func TestCompare(t *testing.T) {
	order := []string{".", "a", "a/b", "a/b/c", "a\x01", "a b", "a-b", "b", "\xff"}
	for i := range order {
		for j := range order {
			if got := change.Compare(order[i], order[j]); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("Compare(%q, %q) = %d", order[i], order[j], got)
			}
		}
	}
}
