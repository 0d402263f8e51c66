package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pkg is what go list says about a package.
type pkg struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	CgoFiles     []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	TestGoFiles  []string
	XTestGoFiles []string
	Module       *struct{ Path, Dir string }
}

// under tells whether the package lies in one of the trees, which are paths
// relative to the module.
func (p pkg) under(trees ...string) bool { return under(p.ImportPath, trees...) }

func under(path string, trees ...string) bool {
	for _, tree := range trees {
		if path == module+"/"+tree || strings.HasPrefix(path, module+"/"+tree+"/") {
			return true
		}
	}
	return false
}

// is tells whether the package is one of these, and not only below them.
func (p pkg) is(paths ...string) bool {
	return slices.Contains(paths, strings.TrimPrefix(p.ImportPath, module+"/"))
}

const module = "astrid"

// list runs go list in the root of the module.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json"}, args...)...)
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// root is the directory of the module.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestImports(t *testing.T) {
	for _, p := range list(t, "./...") {
		for _, r := range rules() {
			if !r.about(p) {
				continue
			}
			imports := slices.Clone(p.Imports)
			if r.tests {
				imports = slices.Concat(imports, p.TestImports, p.XTestImports)
			}
			for _, path := range slices.Compact(slices.Sorted(slices.Values(imports))) {
				if r.forbids(path) {
					t.Errorf("%s imports %s\n\trule: %s\n\twhy:  %s", p.ImportPath, path, r.rule, r.why)
				}
			}
		}
	}
}

// TestProgram proves that what only tests need is not linked into the program.
func TestProgram(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/astrid") {
		for _, banned := range []string{"testing", "pgregory.net/rapid", "go.uber.org/goleak"} {
			if p.ImportPath == banned {
				t.Errorf("the program links %s (go list -deps ./cmd/astrid)\n\twhy:  test code brings flags and weight along", banned)
			}
		}
	}
}

// TestNames refuses packages whose name says nothing.
func TestNames(t *testing.T) {
	for _, p := range list(t, "./...") {
		for _, part := range strings.Split(strings.TrimPrefix(p.ImportPath, module+"/"), "/") {
			if slices.Contains([]string{"util", "utils", "common", "helpers", "types", "misc", "pkg", "docs"}, part) {
				t.Errorf("%s: a package is called for what it is, and %q says nothing", p.ImportPath, part)
			}
		}
		if p.under("internal") {
			t.Errorf("%s: there is no internal at the top; what only the program uses lies in cmd/astrid/internal", p.ImportPath)
		}
	}
}

// TestModule refuses replacements: they work here and nowhere else.
func TestModule(t *testing.T) {
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct{ Replace []json.RawMessage }
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Replace {
		t.Errorf("go.mod replaces a module, which who installs the program does not get: %s", r)
	}
}
