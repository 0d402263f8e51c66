package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"astrid/kernel/audit"
	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/capsule/mcp"
	"astrid/kernel/capsule/proc"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// servers are the MCP servers of one capsule, and their tools.
type servers struct {
	k     *Kernel
	found capsule.Found
	env   map[string]string
	all   []*mcp.Server

	mu     sync.Mutex
	tools  []served // of all servers; guarded by mu
	failed error    // why a server could not be asked for its tools; guarded by mu
}

// served is a tool and who has it.
type served struct {
	capsule.Tool
	by *mcp.Server
}

// nowhere is what a program that is about no session sees as its workspace: an
// empty directory.
const nowhere = "/tmp/workspace"

// newServers makes the servers that a capsule's manifest names, without starting
// any. It is nil when there are none.
func newServers(k *Kernel, f capsule.Found, env map[string]string) (*servers, error) {
	s := &servers{k: k, found: f, env: env}
	for _, m := range f.MCPServers {
		if m.Type != "stdio" {
			continue
		}
		argv, err := serverCommand(f, m)
		if err != nil {
			return nil, err
		}
		s.all = append(s.all, s.server(m.ID, argv))
	}
	if len(s.all) == 0 {
		return nil, nil
	}
	return s, nil
}

// serverCommand is the command of a server as its sandbox has it. What begins
// with ./ and a command that the capsule brings are files of the capsule.
func serverCommand(f capsule.Found, m capsule.MCPServer) ([]string, error) {
	if f.Listed != nil {
		return append([]string{m.Command}, m.Args...), nil
	}
	if !slices.Contains(f.Capabilities.HostProcess, m.Command) {
		return nil, fault.New(fault.Denied, "the capsule %s may not run %.128q: host_process of its manifest does not name it", f.Package.Name, m.Command)
	}
	if filepath.IsAbs(m.Command) {
		return nil, fault.New(fault.Denied, "the MCP server %s of the capsule %s is at a fixed place, %.128q: name a program of the capsule or of PATH", m.ID, f.Package.Name, m.Command)
	}
	argv := append([]string{m.Command}, m.Args...)
	for i, a := range argv {
		own := strings.HasPrefix(a, "./") || i == 0 && brings(f, a)
		switch {
		case own && !filepath.IsLocal(a), i == 0 && !own && strings.Contains(a, "/"):
			return nil, fault.New(fault.Denied, "the MCP server %s of the capsule %s: %.128q lies outside of the capsule", m.ID, f.Package.Name, a)
		case own:
			argv[i] = filepath.Join(proc.Program, a)
		}
	}
	return argv, nil
}

// brings tells whether a capsule has a file.
func brings(f capsule.Found, name string) bool {
	if !filepath.IsLocal(name) {
		return false
	}
	st, err := os.Lstat(filepath.Join(f.Dir, name))
	return err == nil && st.Mode().IsRegular()
}

func (s *servers) server(id string, argv []string) *mcp.Server {
	name := string(s.found.Package.Name)
	full, ends := "capsule:"+name+":"+id, 0
	if s.found.Listed != nil {
		full, ends = name, s.found.Listed.MaxEnds
	}
	var server *mcp.Server
	server = mcp.New(mcp.Config{
		Capsule: name, Server: id, Log: s.k.config.Log.With("capsule", name, "server", id), Root: s.root, Approve: s.elicited, MaxEnds: ends,
		Launch: func(ctx context.Context, session string, stdin, stdout, stderr *os.File) error {
			return s.launch(ctx, session, argv, stdin, stdout, stderr)
		},
		Changed: func() { s.ask(context.Background(), server); s.k.injectSchemas() },
		Connected: func(session, protocol string) {
			s.k.lifecycle("mcp_server_connected", bus.Message{Session: session}, map[string]any{"server_name": full, "protocol_version": protocol})
			s.note(session, audit.ServerStarted, audit.Fields{"name": full, "transport": "stdio"})
		},
		Disconnected: func(session string, reason error) {
			why := "no longer needed"
			if reason != nil {
				why = reason.Error()
			}
			s.k.lifecycle("mcp_server_disconnected", bus.Message{Session: session}, map[string]any{"server_name": full, "reason": why})
			s.note(session, audit.ServerStopped, audit.Fields{"name": full, "reason": why})
		},
	})
	return server
}

func (s *servers) note(session string, what audit.Type, fields audit.Fields) {
	s.k.Audit.Note(audit.Record{
		Session: session, Action: audit.Action{Type: what, Fields: fields},
		Authorization: audit.Authorization{Type: audit.System, Fields: audit.Fields{"reason": "a server of a capsule"}}, Outcome: audit.Outcome{Success: true},
	})
}

// root is where the program of a session sees the workspace.
func (s *servers) root(session string) (string, error) {
	if session == "" {
		return nowhere, nil
	}
	_, base, err := s.k.workspace(session)
	return base, err
}

// launch runs a server in a sandbox around the view of a session.
func (s *servers) launch(ctx context.Context, session string, argv []string, stdin, stdout, stderr *os.File) error {
	if err := unchanged(s.found); err != nil {
		return err
	}
	box, tidy, err := s.sandbox(session)
	if err != nil {
		return err
	}
	defer tidy()
	box.Stdin, box.Stdout, box.Stderr = stdin, stdout, stderr
	box.Program, box.Net = s.found.Dir, slices.Contains(s.found.Capabilities.Net, "*")
	for name, value := range s.env {
		if !reserved(name) {
			box.Env = append(box.Env, name+"="+value)
		}
	}
	if l := s.found.Listed; l != nil {
		if err := enter(&box, *l, session, argv); err != nil {
			return err
		}
	}
	code, err := box.Run(ctx, argv)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d", code)
	}
	return err
}

// sandbox is one around the view of a session, or around an empty directory that
// tidy removes.
func (s *servers) sandbox(session string) (box proc.Sandbox, tidy func(), err error) {
	if session != "" {
		view, base, err := s.k.workspace(session)
		return s.k.sandbox(view, base, s.k.Home.Cache(session)), func() {}, err
	}
	dir := ""
	if err = os.MkdirAll(s.k.nowheres(), 0o700); err == nil {
		dir, err = os.MkdirTemp(s.k.nowheres(), "")
	}
	if err != nil {
		return box, nil, fault.Wrap(fault.KindOf(err), err, "make an empty workspace")
	}
	view := filepath.Join(dir, "view")
	if err := os.Mkdir(view, 0o700); err != nil {
		_ = os.RemoveAll(dir)
		return box, nil, fault.Wrap(fault.KindOf(err), err, "make an empty workspace")
	}
	return s.k.sandbox(view, nowhere, filepath.Join(dir, "cache")), func() { _ = os.RemoveAll(dir) }, nil
}

// nowheres holds the empty workspaces of programs that are about no session; what
// is there at boot was left by a kernel that was killed, and its programs with it.
func (k *Kernel) nowheres() string { return filepath.Join(k.Home.Tmp(), ".nowhere") }

// reserved tells whether a variable is not for a capsule to set, because it
// changes what its programs are or where they find things (section 14.2 of the
// 0.2 protocol).
func reserved(name string) bool {
	for _, prefix := range []string{"ASTRID_", "LD_", "DYLD_", "NPM_CONFIG_", "JAVA_TOOL_", "_JAVA_", "JDK_JAVA_", "SSL_CERT_"} {
		if strings.HasPrefix(strings.ToUpper(name), prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"HOME", "PATH", "NODE_OPTIONS", "NODE_PATH", "NODE_EXTRA_CA_CERTS", "PYTHONPATH", "PYTHONSTARTUP", "PERL5LIB", "RUBYLIB", "BASH_ENV", "ENV",
		"OPENSSL_CONF", "TMPDIR", "TEMP", "TMP", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
	}, strings.ToUpper(name))
}

// open asks every server for its tools.
func (s *servers) open(ctx context.Context) {
	for _, server := range s.all {
		s.ask(ctx, server)
	}
}

// ask replaces the tools of one server by those that it has now, but for those
// that are served by others.
func (s *servers) ask(ctx context.Context, server *mcp.Server) {
	list, err := server.Tools(ctx, "")
	s.k.naming.Lock() // so that of two servers that begin at once one is first
	defer s.k.naming.Unlock()
	if err == nil {
		list = s.unclaimed(list, server)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed = err
		return
	}
	s.failed = nil
	s.tools = slices.DeleteFunc(s.tools, func(t served) bool { return t.by == server })
	for _, t := range list {
		s.tools = append(s.tools, served{capsule.Tool{Name: t.Name, Description: t.Description, InputSchema: t.InputSchema}, server})
	}
}

// unclaimed leaves out the tools that another capsule serves, the manifest of this
// one declares, or another of its servers has.
//
// Preconditions: Kernel.naming is held, and s.mu is not.
func (s *servers) unclaimed(list []mcp.Tool, server *mcp.Server) []mcp.Tool {
	taken := map[string]capsule.ID{}
	for _, other := range s.k.Capsules.List() {
		if other.Package.Name == s.found.Package.Name || other.State == capsule.Untrusted {
			continue
		}
		for _, t := range other.Tools {
			taken[t.Name] = other.Package.Name
		}
	}
	for _, t := range s.found.Tools {
		taken[t.Name] = s.found.Package.Name
	}
	s.mu.Lock()
	for _, t := range s.tools {
		if t.by != server {
			taken[t.Name] = s.found.Package.Name
		}
	}
	s.mu.Unlock()
	return slices.DeleteFunc(list, func(t mcp.Tool) bool {
		by, is := taken[t.Name]
		if is = is && t.Name != hookTool; is {
			s.k.config.Log.Warn("a tool is left out: it is served already", "capsule", s.found.Package.Name, "tool", t.Name, "by", by)
		}
		return is
	})
}

// find returns who serves a tool, or nil.
func (s *servers) find(tool string) *mcp.Server {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tools {
		if t.Name == tool {
			return t.by
		}
	}
	return nil
}

// call calls a tool in the session that the call is about, the only one there is
// when it names none.
func (s *servers) call(ctx context.Context, by *mcp.Server, tool string, arguments []byte) ([]byte, error) {
	session := host.CallerOf(ctx).Session
	if session == "" {
		only, err := s.k.session("")
		if err != nil && !fault.Is(err, fault.NotRunning) {
			return nil, err
		}
		session = only.Name
	}
	return by.Call(ctx, session, tool, arguments)
}

// hookTool is the tool that is a server's interceptor.
const hookTool = "astrid_hook_intercept"

// hook lets a server have its say about a message. Null and nothing let it pass.
func (s *servers) hook(ctx context.Context, action string, payload []byte) ([]byte, error) {
	by := s.find(hookTool)
	if by == nil {
		return nil, nil
	}
	in := struct {
		Hook    string `json:"hook"`
		Payload any    `json:"payload"`
	}{action, string(payload)}
	if json.Valid(payload) {
		in.Payload = json.RawMessage(payload)
	}
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	out, err := s.call(ctx, by, hookTool, data)
	if strings.TrimSpace(string(out)) == "null" {
		out = nil
	}
	return out, err
}

// list are the tools of all servers but the interceptor.
func (s *servers) list() []capsule.Tool {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var tools []capsule.Tool
	for _, t := range s.tools {
		if t.Name != hookTool {
			tools = append(tools, t.Tool)
		}
	}
	return tools
}

// alive is why the servers could not be asked for their tools.
func (s *servers) alive() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// endSession ends the programs that work in the view of a session.
func (s *servers) endSession(ctx context.Context, session string) error {
	var failed []error
	for _, server := range s.all {
		failed = append(failed, server.EndSession(ctx, session))
	}
	return errors.Join(failed...)
}

func (s *servers) close(ctx context.Context) error {
	if s == nil {
		return nil
	}
	var failed []error
	for _, server := range s.all {
		failed = append(failed, server.Close(ctx))
	}
	return errors.Join(failed...)
}

// emptied are the sessions, from whose views the servers of capsules go before
// they end.
type emptied struct {
	op.Sessions
	k *Kernel
}

// Down implements op.Sessions.
func (e emptied) Down(ctx context.Context, req wire.DownRequest) error {
	var failed []error
	e.k.Capsules.Each(func(_ capsule.Status, u capsule.Unit) bool {
		if unit, ok := u.(*unit); ok && unit.servers != nil {
			failed = append(failed, unit.servers.endSession(ctx, req.Session))
		}
		return true
	})
	if err := errors.Join(failed...); err != nil {
		e.k.config.Log.Warn("a server of a capsule did not leave the view", "session", req.Session, "err", err)
	}
	return e.Sessions.Down(ctx, req)
}
