package arch

import (
	"slices"
	"strings"
)

// rule is one thing that packages must not import.
type rule struct {
	rule, why string
	about     func(pkg) bool
	forbids   func(path string) bool
	tests     bool // of their tests too
}

func rules() []rule { return slices.Concat(layerRules(), libraryRules()) }

// layerRules keep arrows between packages of ours going down.
func layerRules() []rule {
	return []rule{{
		rule:    "fs imports neither overlay nor kernel nor ctl",
		why:     "it serves any tree that it is handed; that keeps it testable without a view, and ctl and views on one face",
		about:   func(p pkg) bool { return p.under("fs") },
		forbids: func(path string) bool { return under(path, "overlay", "kernel", "ctl", "cmd") },
		tests:   true,
	}, {
		rule:    "fs/tree and kernel/fault import nothing of this module",
		why:     "they are the words that everybody else uses",
		about:   func(p pkg) bool { return p.is("fs/tree", "kernel/fault") },
		forbids: ours,
	}, {
		rule:    "kernel/wire imports only kernel/fault of this module",
		why:     "it is the format of the frames, and a client of another kind must be able to use it alone",
		about:   func(p pkg) bool { return p.is("kernel/wire") },
		forbids: except(ours, "kernel/fault"),
	}, {
		rule:    "overlay imports neither kernel nor ctl, and of fs only fs/tree",
		why:     "the tree must be usable and testable in process, without a mount and without a kernel",
		about:   func(p pkg) bool { return p.under("overlay") },
		forbids: except(func(path string) bool { return under(path, "kernel", "ctl", "cmd", "fs") }, "fs/tree"),
	}, {
		rule:    "overlay's tests import neither kernel nor ctl",
		why:     "see above; a mount they may have",
		about:   func(p pkg) bool { return p.under("overlay") },
		forbids: func(path string) bool { return under(path, "kernel", "ctl", "cmd") },
		tests:   true,
	}, {
		rule:    "no package under kernel but kernel/view imports overlay",
		why:     "the kernel reaches views through their servers: a crash or a hang of the data path must not be the kernel's",
		about:   func(p pkg) bool { return p.under("kernel") && !p.is("kernel/view") },
		forbids: func(path string) bool { return under(path, "overlay") },
		tests:   true,
	}, {
		rule:    "no package under kernel but kernel/view imports fs",
		why:     "the kernel opens no FUSE connection but ctl's, and that is package ctl's",
		about:   func(p pkg) bool { return p.under("kernel") && !p.is("kernel/view") },
		forbids: func(path string) bool { return under(path, "fs") },
	}, {
		rule:    "the examples import only the client and its words",
		why:     "they show what a frontend needs",
		about:   func(p pkg) bool { return p.under("scripts/examples") },
		forbids: except(ours, "kernel/client", "kernel/wire", "kernel/fault", "kernel/home"),
	}, {
		rule:    "of kernel, ctl imports only the operation table and the words of its requests",
		why:     "control files are a door to the table and get no other way in",
		about:   func(p pkg) bool { return p.under("ctl") },
		forbids: except(func(path string) bool { return under(path, "kernel", "overlay", "cmd") || path == module+"/kernel" }, "kernel/op", "kernel/fault", "kernel/wire"),
	}, {
		rule:    "kernel/op imports no door and no service",
		why:     "doors and services are given to the table, so that each can be tested against it alone",
		about:   func(p pkg) bool { return p.is("kernel/op") },
		forbids: except(ours, "kernel/fault", "kernel/wire", "kernel/home"),
	}, {
		rule:    "only cmd and the examples import kernel/client outside of tests",
		why:     "a server that is its own client waits for itself sooner or later",
		about:   func(p pkg) bool { return !p.under("cmd", "scripts/examples") },
		forbids: func(path string) bool { return path == module+"/kernel/client" },
	}, {
		rule:    "scripts import nothing of this module, but for the examples of the client",
		why:     "measurements and checks drive the program that users have",
		about:   func(p pkg) bool { return p.under("scripts") && !p.under("scripts/examples") },
		forbids: ours,
		tests:   true,
	}}
}

// libraryRules keep each library in one place, where it can be replaced.
func libraryRules() []rule {
	only := func(what, why string, allowed []string, forbids func(string) bool) rule {
		return rule{
			rule:    what + " only in " + strings.Join(allowed, ", "),
			why:     why,
			about:   func(p pkg) bool { return !p.under(allowed...) },
			forbids: forbids,
			tests:   true,
		}
	}
	fuse := only("go-fuse", "the protocol has one face; everything else speaks of trees", []string{"fs"}, from("github.com/hanwen/go-fuse"))
	fuse.about = func(p pkg) bool { return !p.is("fs", "fs/fstest") }
	return []rule{
		fuse,
		only("the command line and the terminal", "a package that is used by a server must not ask or colour anything", []string{"cmd"},
			from("github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/term")),
		only("systemd", "a package below cmd reads no environment and knows no service manager", []string{"cmd"}, from("github.com/coreos/go-systemd")),
		only("an HTTP client", "what leaves the machine goes through the gate of a capsule", []string{"kernel/capsule", "scripts/examples"}, from("net/http")),
		only("fsnotify", "what is watched is watched by the kernel, which may look", []string{"kernel"}, from("github.com/fsnotify/fsnotify")),
		only("Badger", "the store is one package, so that another can take its place", []string{"kernel/store"}, from("github.com/dgraph-io/badger")),
		only("wazero", "guests run in one package that bounds them", []string{"kernel/capsule/wasm"}, from("github.com/tetratelabs/wazero")),
		only("JSON Schema", "answers are judged in one place", []string{"kernel/question"}, from("github.com/google/jsonschema-go")),
		only("the MCP library", "foreign tools are reached through one package that bounds them", []string{"kernel/capsule/mcp"}, from("github.com/modelcontextprotocol")),
		only("Landlock and seccomp", "a sandbox is made in one place, or it has holes", []string{"kernel/capsule/proc"},
			from("github.com/landlock-lsm", "github.com/seccomp", "github.com/elastic/go-seccomp-bpf")),
	}
}

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// from forbids what lies in one of the modules or packages.
func from(prefixes ...string) func(string) bool {
	return func(path string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
	}
}

// except lets some packages of ours pass.
func except(forbids func(string) bool, allowed ...string) func(string) bool {
	return func(path string) bool {
		return forbids(path) && !slices.Contains(allowed, strings.TrimPrefix(path, module+"/"))
	}
}
