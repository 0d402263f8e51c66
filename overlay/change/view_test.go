package change_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/check"
)

// Each check of a random tree mounts it and runs git twice, so that there are
// few of them unless more are asked for.
func TestMain(m *testing.M) {
	if f := flag.Lookup("rapid.checks"); f != nil {
		_ = f.Value.Set("25")
	}
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// view is a mounted view over a base, both plain directories to a test.
type view struct {
	t    testing.TB
	base string
	mnt  string
	o    *overlay.Overlay
}

// newView mounts a view of base.
func newView(t testing.TB, base string) *view {
	t.Helper()
	fstest.Need(t)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	o, err := overlay.Open(context.Background(), overlay.Config{Base: base, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
		check.Killed(t, dir)
	})
	return &view{t: t, base: base, mnt: fstest.Mount(t, o, fs.Options{}), o: o}
}

// plant makes files below dir: a name that ends with a slash is a directory, a
// content that begins with "-> " a symbolic link.
func plant(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		p := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		switch target, link := strings.CutPrefix(content, "-> "); {
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(p, 0o755))
		case link:
			must(t, os.Symlink(target, p))
		default:
			must(t, os.WriteFile(p, []byte(content), 0o644))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (v *view) path(p string) string { return filepath.Join(v.mnt, p) }

// sh runs a shell script in the view.
func (v *view) sh(script string) {
	v.t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = v.mnt
	if out, err := cmd.CombinedOutput(); err != nil {
		v.t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

func (v *view) list(opts change.Options) []change.Change {
	v.t.Helper()
	l, err := change.List(context.Background(), v.o.Live(), opts)
	must(v.t, err)
	return l
}

func (v *view) digest() string {
	v.t.Helper()
	d, err := change.Digest(context.Background(), v.list(change.Options{All: true}), nil)
	must(v.t, err)
	return d
}

// lines are the changes as a person reads them.
func lines(l []change.Change) string {
	var b strings.Builder
	for _, c := range l {
		b.WriteString(c.Op.String() + " " + change.Quote(c.Path))
		if c.From != "" {
			b.WriteString(" < " + change.Quote(c.From))
		}
		if c.Note != "" {
			b.WriteString(" (" + c.Note + ")")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
