package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// files parses what a package is built from.
func files(t *testing.T, p pkg) (*token.FileSet, map[string]*ast.File) {
	t.Helper()
	set := token.NewFileSet()
	parsed := map[string]*ast.File{}
	for _, name := range append(p.GoFiles, p.CgoFiles...) {
		f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		parsed[name] = f
	}
	return set, parsed
}

// TestDocs wants one text about every package, in doc.go, where it is looked for.
func TestDocs(t *testing.T) {
	for _, p := range list(t, "./...") {
		_, parsed := files(t, p)
		for name, f := range parsed {
			switch {
			case name == "main.go" && f.Name.Name == "main" && parsed["doc.go"] == nil && f.Doc != nil:
				// The text of a small program may stand above its main function.
			case name != "doc.go" && f.Doc != nil:
				t.Errorf("%s: %s has a package comment; it belongs into doc.go, or two texts say different things", p.ImportPath, name)
			}
		}
		doc := parsed["doc.go"]
		if doc == nil {
			doc = parsed["main.go"]
		}
		if doc == nil || doc.Doc == nil {
			t.Errorf("%s has no doc.go with a package comment", p.ImportPath)
			continue
		}
		want := "Package " + doc.Name.Name + " "
		if doc.Name.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(doc.Doc.Text(), want) {
			t.Errorf("%s: its text begins with %q and not with %q", p.ImportPath, first(doc.Doc.Text()), want)
		}
	}
}

func first(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// mayBeGlobal are the package variables that have a reason.
func mayBeGlobal() map[string]string {
	return map[string]string{
		"astrid/cmd/astrid.revision":          "the linker sets it (see Makefile), and nothing after that",
		"astrid/fs/fstest.posixGaps":          "the list of known gaps, which is read only",
		"astrid/overlay/overlaytest.longName": "a string of the length at which names end",
	}
}

// TestGlobals refuses package variables that could change. What could not:
// errors, compiled patterns and tables, embedded files, and assertions of a type.
func TestGlobals(t *testing.T) {
	allowed := mayBeGlobal()
	for _, p := range list(t, "./...") {
		set, parsed := files(t, p)
		for _, f := range parsed {
			for _, decl := range f.Decls {
				switch d := decl.(type) {
				case *ast.GenDecl:
					if d.Tok != token.VAR {
						continue
					}
					for _, name := range mutable(d) {
						if _, ok := allowed[p.ImportPath+"."+name.Name]; !ok {
							t.Errorf("%s: package variable %s\n\twhy:  state belongs to a value that somebody makes and owns; a table is a function that returns it", set.Position(name.Pos()), name.Name)
						}
					}
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						t.Errorf("%s: init function\n\twhy:  importing a package must do nothing", set.Position(d.Pos()))
					}
				}
			}
		}
	}
}

// mutable lists the names of a declaration that are not obviously constant.
func mutable(d *ast.GenDecl) (names []*ast.Ident) {
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec)
		if embedded(d.Doc) || embedded(spec.Doc) {
			continue
		}
		for i, name := range spec.Names {
			if name.Name != "_" && !(i < len(spec.Values) && constant(spec.Values[i])) {
				names = append(names, name)
			}
		}
	}
	return names
}

func embedded(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// constant tells whether a value is one of those that are made once and cannot
// be changed.
func constant(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	from, ok := fun.X.(*ast.Ident)
	if !ok {
		return false
	}
	switch from.Name + "." + fun.Sel.Name {
	case "errors.New", "fmt.Errorf", "regexp.MustCompile", "crc32.MakeTable", "fault.New":
		return true
	}
	return false
}

// mayRead are the packages that look something up in the environment for a
// reason. Handing the environment on to a program is no reading.
func mayRead() map[string]string {
	return map[string]string{
		"astrid/overlay/commit": "git is told where the user's own ignore rules lie, and nothing else",
	}
}

// TestEnvironment lets only the command read the environment.
func TestEnvironment(t *testing.T) {
	allowed := mayRead()
	for _, p := range list(t, "./...") {
		if _, ok := allowed[p.ImportPath]; ok || p.under("cmd", "scripts") || strings.HasSuffix(p.ImportPath, "test") {
			continue
		}
		set, parsed := files(t, p)
		for _, f := range parsed {
			for _, call := range reads(f) {
				t.Errorf("%s: reads the environment\n\twhy:  what a package depends on is in its configuration; only cmd knows where it comes from", set.Position(call.Pos()))
			}
		}
	}
}

// reads finds calls of os.Getenv and its kin.
func reads(f *ast.File) (found []ast.Node) {
	imported := false
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		imported = imported || path == "os" && spec.Name == nil
	}
	if !imported {
		return nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		from, ok := sel.X.(*ast.Ident)
		if ok && from.Name == "os" {
			switch sel.Sel.Name {
			case "Getenv", "LookupEnv", "ExpandEnv", "UserHomeDir", "UserCacheDir", "UserConfigDir":
				found = append(found, n)
			}
		}
		return true
	})
	return found
}
