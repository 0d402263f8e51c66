package cap

import (
	"strings"
	"testing"

	"astrid/kernel/fault"
)

// matches tells whether a pattern alone matches an action of a session whose
// workspace is /w.
func matches(t *testing.T, p Pattern, a Action) bool {
	t.Helper()
	match, err := p.compile()
	if err != nil {
		t.Fatalf("%+v: %v", p, err)
	}
	return match(&Request{Workspace: "/w", Action: a})
}

func TestPatterns(t *testing.T) {
	tool := func(server, tool string) Action { return Action{Kind: MCPToolCall, Server: server, Tool: tool} }
	file := func(kind ActionKind, path string) Action { return Action{Kind: kind, Path: path} }
	host := func(host string, port uint16) Action { return Action{Kind: NetworkRequest, Host: host, Port: port} }
	run := func(command string) Action { return Action{Kind: ExecuteCommand, Command: command} }
	for _, c := range []struct {
		name    string
		pattern Pattern
		yes, no []Action
	}{
		{"an exact tool", Pattern{Type: ExactTool, Server: "s", Tool: "t"}, []Action{tool("s", "t")},
			[]Action{tool("s", "u"), tool("x", "t"), run("s t"), {}}},
		{"the tools of a server", Pattern{Type: ServerTools, Server: "s"}, []Action{tool("s", "t"), tool("s", "u")},
			[]Action{tool("x", "t"), {}}},
		{"files", Pattern{Type: FilePattern, Pattern: "/d/**", Permission: Read}, []Action{file(FileRead, "/d/a/b"), file(FileRead, "/d")},
			[]Action{file(FileWrite, "/d/a"), file(FileDelete, "/d/a"), file(FileRead, "/e"), file(FileRead, "/d/../e"), file(FileRead, "/d//a"),
				file(FileRead, "d/a"), file(FileRead, ""), {Kind: CapsuleFileAccess, Permission: Read, Path: "/d/a"}}},
		{"files to delete", Pattern{Type: FilePattern, Pattern: "/d/*.o", Permission: Delete}, []Action{file(FileDelete, "/d/a.o")},
			[]Action{file(FileDelete, "/d/a/b.o"), file(FileRead, "/d/a.o")}},
		{"a host", Pattern{Type: NetworkHost, Host: "Example.org"}, []Action{host("example.org", 1), host("EXAMPLE.ORG.", 443)},
			[]Action{host("a.example.org", 443), host("", 443), run("example.org")}},
		{"ports of a host", Pattern{Type: NetworkHost, Host: "h", Ports: []uint16{80, 443}}, []Action{host("h", 80), host("h", 443)},
			[]Action{host("h", 81), host("h", 0)}},
		{"files of the workspace", Pattern{Type: WorkspaceRelative, Pattern: "src/**", Permission: Write},
			[]Action{file(FileWrite, "/w/src/a"), file(FileWrite, "/w/src")},
			[]Action{file(FileWrite, "/w/a"), file(FileWrite, "/src/a"), file(FileWrite, "/ww/src/a"), file(FileRead, "/w/src/a"), file(FileWrite, "src/a")}},
		{"an absolute pattern in the workspace", Pattern{Type: WorkspaceRelative, Pattern: "/**", Permission: Read},
			[]Action{file(FileRead, "/w/a")}, []Action{file(FileRead, "/etc/passwd"), file(FileRead, "/w")}},
		{"tools of a workspace", Pattern{Type: WorkspaceRelative, Pattern: "s/*", Permission: Invoke}, []Action{tool("s", "t")},
			[]Action{tool("x", "t"), tool("s", "a/b"), tool("s", "..")}},
		{"commands of a workspace", Pattern{Type: WorkspaceRelative, Pattern: "make *", Permission: Execute}, []Action{run("make"), run("make all")},
			[]Action{run("makefile"), run("make;ls")}},
		{"custom", Pattern{Type: Custom, Pattern: "**"}, nil, []Action{{}, run("x"), tool("s", "t")}},
		{"a capability of a capsule", Pattern{Type: CapsuleCapability, CapsuleID: "c", Capability: "http_request"},
			[]Action{{Kind: CapsuleHTTP, Capsule: "c"}, {Kind: CapsuleExecution, Capsule: "c", Capability: "http_request"}},
			[]Action{{Kind: CapsuleHTTP, Capsule: "d"}, {Kind: CapsuleExecution, Capsule: "c", Capability: "x"}, {Kind: CapsuleFileAccess, Capsule: "c", Permission: Read}}},
		{"files of a capsule", Pattern{Type: CapsuleCapability, CapsuleID: "c", Capability: "file_read"},
			[]Action{{Kind: CapsuleFileAccess, Capsule: "c", Permission: Read}},
			[]Action{{Kind: CapsuleFileAccess, Capsule: "c", Permission: Write}, {Kind: FileRead, Capsule: "c", Path: "/a"}}},
		{"all of a capsule", Pattern{Type: CapsuleWildcard, CapsuleID: "c"},
			[]Action{{Kind: CapsuleHTTP, Capsule: "c"}, {Kind: CapsuleExecution, Capsule: "c", Capability: "x"}, {Kind: CapsuleFileAccess, Capsule: "c", Permission: Delete}},
			[]Action{{Kind: CapsuleHTTP, Capsule: "d"}, {Kind: CapsuleFileAccess, Capsule: "c", Permission: Execute}, {Kind: "capsule_net_bind", Capsule: "c"}, run("c")}},
	} {
		for _, a := range c.yes {
			if !matches(t, c.pattern, a) {
				t.Errorf("%s: does not match %+v", c.name, a)
			}
		}
		for _, a := range c.no {
			if matches(t, c.pattern, a) {
				t.Errorf("%s: matches %+v", c.name, a)
			}
		}
	}
	match, _ := Pattern{Type: WorkspaceRelative, Pattern: "/**", Permission: Read}.compile()
	if match(&Request{Action: file(FileRead, "/a")}) {
		t.Error("a request without a workspace is in it")
	}
}

func TestCommands(t *testing.T) {
	run := func(command string, args ...string) Action {
		return Action{Kind: ExecuteCommand, Command: command, Args: args}
	}
	for _, c := range []struct {
		pattern string
		action  Action
		want    bool
	}{
		{"git *", run("git"), true},
		{"git *", run("git status"), true},
		{"git *", run("git", "status", "-s"), true},
		{"git *", run("  git\tstatus "), true},
		{"git *", run("git commit -m 'a b'"), true},
		{"git *", run("git", "add", "a/b"), true},
		{"git *", run("gitk"), false},
		{"git *", run("gitk --all"), false},
		{"git *", run("/usr/bin/git status"), false},
		{"git *", run("sudo git status"), false},
		{"git *", run("A=1 git status"), false},
		{"git *", run(""), false},
		{"git", run("git"), true},
		{"git", run("git status"), false},
		{"git status", run("git", "status"), true},
		{"git status *", run("git stash"), false},
		{"git push * main", run("git push origin main"), true},
		{"git push * main", run("git push main"), false},
		{"git push * main", run("git push a b main"), false},
		{"git push * main", run(`git push 'a main`), false},
		{"git push * main", run("git", "push", "a b", "main"), true},
		{"make test-*", run("make test-a/b"), true},
		{"make test-*", run("make", "test-"), true},
		{"make test-*", run("make test"), false},
		{"make tes?", run("make test"), true},
		{`make \*`, run("make *"), true},
		{`make \*`, run("make x"), false},
		{"git *", run("git status;id"), false},
		{"git *", run("git status & id"), false},
		{"git *", run("git status && id"), false},
		{"git *", run("git status || id"), false},
		{"git *", run("git status | sh"), false},
		{"git *", run("git $(id)"), false},
		{"git *", run("git `id`"), false},
		{"git *", run("git $HOME"), false},
		{"git *", run("git diff > /etc/passwd"), false},
		{"git *", run("git < x"), false},
		{"git *", run("git status\nid"), false},
		{"git *", run("git status\rid"), false},
		{"git *", run("git", "status;id"), false},
		{"git *", run("git", "a", "&"), false},
		{"git *", Action{Kind: NetworkRequest, Command: "git"}, false},
	} {
		if got := matches(t, Pattern{Type: CommandPattern, Command: c.pattern}, c.action); got != c.want {
			t.Errorf("%q matches %q %q: %v", c.pattern, c.action.Command, c.action.Args, got)
		}
	}
	for _, command := range []string{"git", "git status", `a\b *x? [y]`, "cp **"} {
		p := CommandPrefix(command)
		if !matches(t, p, run(command)) || !matches(t, p, run(command+" more words")) || matches(t, p, run(command+"x")) {
			t.Errorf("%q becomes %q", command, p.Command)
		}
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for name, p := range map[string]Pattern{
		"no type":                  {},
		"an unknown type":          {Type: "all"},
		"a tool without server":    {Type: ExactTool, Tool: "t"},
		"a server without tool":    {Type: ExactTool, Server: "s"},
		"no server":                {Type: ServerTools},
		"no host":                  {Type: NetworkHost},
		"no capsule":               {Type: CapsuleWildcard},
		"no capability":            {Type: CapsuleCapability, CapsuleID: "c"},
		"no file":                  {Type: FilePattern, Permission: Read},
		"a relative file":          {Type: FilePattern, Permission: Read, Pattern: "a/*"},
		"a file that climbs":       {Type: FilePattern, Permission: Read, Pattern: "/a/../*"},
		"a class":                  {Type: FilePattern, Permission: Read, Pattern: "/a/[b]"},
		"files to invoke":          {Type: FilePattern, Permission: Invoke, Pattern: "/a"},
		"no permission":            {Type: WorkspaceRelative, Pattern: "a"},
		"no command":               {Type: CommandPattern},
		"any command":              {Type: CommandPattern, Command: "*"},
		"any program":              {Type: CommandPattern, Command: "* x"},
		"many programs":            {Type: CommandPattern, Command: "g* x"},
		"two commands":             {Type: CommandPattern, Command: "a; b"},
		"a class in a command":     {Type: CommandPattern, Command: "a [b]"},
		"any command of workspace": {Type: WorkspaceRelative, Permission: Execute, Pattern: "*"},
		"a text that is too long":  {Type: NetworkHost, Host: strings.Repeat("h", MaxPattern+1)},
	} {
		if _, err := p.compile(); !fault.Is(err, fault.Usage) || !strings.HasPrefix(err.Error(), "invalid action pattern: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
