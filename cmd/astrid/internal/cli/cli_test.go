package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

func session(name, base, state string) wire.Session {
	return wire.Session{Name: name, Base: base, Workspace: "/home/sessions/" + name + "/workspace", State: state}
}

func TestChoose(t *testing.T) {
	one, two := session("one", "/src/one", "running"), session("two", "/src/two", "running")
	inner, twin := session("inner", "/src/one/inner", "running"), session("twin", "/src/one", "running")
	down := session("down", "/src/down", "stopped")
	for name, c := range map[string]struct {
		list []wire.Session
		dir  string
		want string // a name, or a part of the error
		kind fault.Kind
	}{
		"in the workspace":            {[]wire.Session{one, two}, "/src/two/deep", "two", 0},
		"in the view":                 {[]wire.Session{one, two}, "/home/sessions/one/workspace/x", "one", 0},
		"beside the view":             {[]wire.Session{one, two}, "/home/sessions/one", "one", 0},
		"the deepest workspace":       {[]wire.Session{one, inner}, "/src/one/inner/x", "inner", 0},
		"not a name that only begins": {[]wire.Session{one, two}, "/src/one-more", "say which", fault.Usage},
		"the only one":                {[]wire.Session{one}, "/elsewhere", "one", 0},
		"the only one, and down":      {[]wire.Session{down}, "/elsewhere", "down", 0},
		"the only one that is up":     {[]wire.Session{down, one}, "/elsewhere", "one", 0},
		"one that is down, in it":     {[]wire.Session{down, one}, "/src/down", "down", 0},
		"two on one workspace":        {[]wire.Session{one, twin}, "/src/one", "one, twin", fault.Usage},
		"two and nowhere":             {[]wire.Session{one, two}, "/elsewhere", "one, two", fault.Usage},
		"none":                        {nil, "/src/one", "astrid up", fault.NotRunning},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := choose(c.list, c.dir)
			switch {
			case err == nil && (s.Name != c.want || c.kind != 0):
				t.Errorf("chose %s", s.Name)
			case err != nil && (!fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestInWorkspace(t *testing.T) {
	s := session("s", "/src/a[b]", "running")
	for name, c := range map[string]struct{ dir, arg, want string }{
		"relative in the workspace":      {"/src/a[b]/d", "f", "d/f"},
		"relative in the view":           {s.Workspace + "/d", "f", "d/f"},
		"the directory itself":           {s.Workspace + "/d", ".", "d"},
		"the root":                       {s.Workspace, ".", "."},
		"upwards":                        {s.Workspace + "/d/e", "../f", "d/f"},
		"out of it":                      {s.Workspace + "/d", "../../f", ""},
		"absolute in the workspace":      {"/elsewhere", "/src/a[b]/d/f", "d/f"},
		"absolute in the view":           {"/elsewhere", s.Workspace + "/d/f", "d/f"},
		"absolute elsewhere":             {"/src/a[b]", "/etc/passwd", ""},
		"relative from elsewhere":        {"/elsewhere", "d/f", "d/f"},
		"climbing from elsewhere":        {"/elsewhere", "../f", ""},
		"a glob":                         {s.Workspace + "/d", "**/*.go", "d/**/*.go"},
		"a glob in a directory of stars": {s.Workspace + "/x*y", "*.go", `x\*y/*.go`},
		"a path in a directory of stars": {s.Workspace + "/x*y", "f", "x*y/f"},
		"nothing":                        {s.Workspace, "", ""},
		"from a directory that is gone":  {"", "f", "f"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := inWorkspace(s, c.dir, []string{c.arg})
			switch {
			case c.want == "" && !fault.Is(err, fault.Usage):
				t.Errorf("got %q, %v", got, err)
			case c.want != "" && (err != nil || got[0] != c.want):
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestInWorkspaceThroughLinks(t *testing.T) {
	dir := t.TempDir()
	base, link := filepath.Join(dir, "base"), filepath.Join(dir, "link")
	if err := os.Mkdir(base, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(base, link); err != nil {
		t.Fatal(err)
	}
	s := session("s", base, "running")
	for _, c := range [][2]string{{link, "gone/f"}, {"/elsewhere", filepath.Join(link, "f")}} {
		if got, err := inWorkspace(s, c[0], []string{c[1]}); err != nil || !strings.HasSuffix(got[0], "f") {
			t.Errorf("%v: %q, %v", c, got, err)
		}
	}
}

func TestProjectRoot(t *testing.T) {
	top := t.TempDir()
	for _, dir := range []string{"p/.astrid", "p/q/.git", "p/q/r/s", "g/.git", "g/h", "m/n/o"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(top, "m", "ASTRID.md"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{"p/q/r/s": "p", "p/q": "p", "g/h": "g", "m/n/o": "m"} {
		if got := projectRoot(filepath.Join(top, from)); got != filepath.Join(top, want) {
			t.Errorf("from %s: %s", from, got)
		}
	}
}
