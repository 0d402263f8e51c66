package cap

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"astrid/kernel/fault"
)

// PatternType is what sort of actions a Pattern matches.
type PatternType string

// The pattern types of 0.2.
const (
	ExactTool         PatternType = "exact_tool"         // Server, Tool
	ServerTools       PatternType = "server_tools"       // Server
	FilePattern       PatternType = "file_pattern"       // Pattern, Permission
	NetworkHost       PatternType = "network_host"       // Host, Ports
	CommandPattern    PatternType = "command_pattern"    // Command
	WorkspaceRelative PatternType = "workspace_relative" // Pattern, Permission
	Custom            PatternType = "custom"             // Pattern; matches nothing
	CapsuleCapability PatternType = "capsule_capability" // CapsuleID, Capability
	CapsuleWildcard   PatternType = "capsule_wildcard"   // CapsuleID
)

// Pattern says which actions an allowance is for. Which fields it has depends
// on its Type.
type Pattern struct {
	Type       PatternType
	Server     string
	Tool       string
	Pattern    string
	Permission Permission
	Host       string
	Ports      []uint16 // empty: all
	Command    string
	CapsuleID  string
	Capability string
}

// patternJSON is a Pattern in JSON: its tag, and the fields of its type.
type patternJSON struct {
	Type       PatternType    `json:"type"`
	Server     string         `json:"server,omitzero"`
	Tool       string         `json:"tool,omitzero"`
	Pattern    string         `json:"pattern,omitzero"`
	Permission Permission     `json:"permission,omitzero"`
	Host       string         `json:"host,omitzero"`
	Ports      jsontext.Value `json:"ports,omitzero"`
	Command    string         `json:"command,omitzero"`
	CapsuleID  string         `json:"capsule_id,omitzero"`
	Capability string         `json:"capability,omitzero"`
}

// MarshalJSON is the form of 0.2.
func (p Pattern) MarshalJSON() ([]byte, error) {
	j := patternJSON{p.Type, p.Server, p.Tool, p.Pattern, p.Permission, p.Host, nil, p.Command, p.CapsuleID, p.Capability}
	if p.Type == NetworkHost {
		j.Ports = jsontext.Value("null")
	}
	if len(p.Ports) > 0 {
		ports, err := json.Marshal(p.Ports)
		if err != nil {
			return nil, err
		}
		j.Ports = ports
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse; unknown keys are ignored.
func (p *Pattern) UnmarshalJSON(data []byte) error {
	var j patternJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*p = Pattern{j.Type, j.Server, j.Tool, j.Pattern, j.Permission, j.Host, nil, j.Command, j.CapsuleID, j.Capability}
	if j.Ports == nil {
		return nil
	}
	return json.Unmarshal(j.Ports, &p.Ports)
}

// matcher decides about requests. nil decides for no.
type matcher func(*Request) bool

// compile checks p and makes it ready to match.
func (p Pattern) compile() (matcher, error) {
	p.Ports = slices.Clone(p.Ports)
	bad := func(reason string) (matcher, error) {
		return nil, fault.New(fault.Usage, "invalid action pattern: %.32q %s", string(p.Type), reason)
	}
	for _, text := range []string{p.Server, p.Tool, p.Pattern, p.Host, p.Command, p.CapsuleID, p.Capability} {
		if len(text) > MaxPattern {
			return bad("has a text that is longer than 1024 bytes")
		}
	}
	switch p.Type {
	case ExactTool, ServerTools:
		if p.Server == "" || p.Type == ExactTool && p.Tool == "" {
			return bad("needs a server, and a tool if it is exact")
		}
		return p.matchTool, nil
	case FilePattern:
		return p.compileFile(false)
	case NetworkHost:
		if p.Host == "" {
			return bad("needs a host")
		}
		return p.matchHost, nil
	case CommandPattern:
		c, err := compileCommand(p.Command)
		return func(r *Request) bool {
			return r.Action.Kind == ExecuteCommand && c.match(r.Action.Command, r.Action.Args)
		}, err
	case WorkspaceRelative:
		return p.compileWorkspace()
	case Custom:
		return func(*Request) bool { return false }, nil
	case CapsuleCapability, CapsuleWildcard:
		if p.CapsuleID == "" || p.Type == CapsuleCapability && p.Capability == "" {
			return bad("needs a capsule, and a capability unless it is for all")
		}
		return p.matchCapsule, nil
	}
	return bad("is no type of a pattern")
}

func (p *Pattern) matchTool(r *Request) bool {
	a := &r.Action
	return a.Kind == MCPToolCall && a.Server == p.Server && (p.Type == ServerTools || a.Tool == p.Tool)
}

func (p *Pattern) matchHost(r *Request) bool {
	a := &r.Action
	return a.Kind == NetworkRequest && sameHost(p.Host, a.Host) && (len(p.Ports) == 0 || slices.Contains(p.Ports, a.Port))
}

func (p *Pattern) matchCapsule(r *Request) bool {
	what := r.Action.capsuleCapability()
	return what != "" && r.Action.Capsule == p.CapsuleID && (p.Type == CapsuleWildcard || what == p.Capability)
}

// compileFile makes a matcher for files; relative patterns, if they are let,
// mean those below the workspace, and all files must be there.
func (p *Pattern) compileFile(workspace bool) (matcher, error) {
	g, err := p.compileGlob()
	if err != nil {
		return nil, err
	}
	absolute := strings.HasPrefix(p.Pattern, "/")
	switch p.Permission {
	case Read, Write, Delete:
	default:
		return nil, fault.New(fault.Usage, "invalid action pattern: the permission %.32q is not for files", string(p.Permission))
	}
	if !absolute && !workspace {
		return nil, fault.New(fault.Usage, "invalid action pattern: %.128q is not absolute", p.Pattern)
	}
	return func(r *Request) bool {
		if r.Action.filePermission() != p.Permission || !cleanPath(r.Action.Path) {
			return false
		}
		rel, inside := below(r.Workspace, r.Action.Path)
		if absolute {
			return (inside || !workspace) && g.match(r.Action.Path)
		}
		return inside && g.match(rel)
	}, nil
}

func (p *Pattern) compileGlob() (*glob, error) {
	reason := strange(p.Pattern)
	if p.Pattern == "" {
		reason = "it is empty"
	}
	g, err := compile(p.Pattern, segmented)
	if err != nil {
		reason = err.Error()
	}
	if reason != "" {
		return nil, fault.New(fault.Usage, "invalid action pattern: %.128q - %s", p.Pattern, reason)
	}
	return g, nil
}

// compileWorkspace makes a matcher that needs a workspace.
func (p *Pattern) compileWorkspace() (matcher, error) {
	switch p.Permission {
	case Invoke:
		g, err := p.compileGlob()
		return func(r *Request) bool {
			tool := r.Action.Server + "/" + r.Action.Tool
			return r.Workspace != "" && r.Action.Kind == MCPToolCall && !climbs(tool) && g.match(tool)
		}, err
	case Execute:
		c, err := compileCommand(p.Pattern)
		return func(r *Request) bool {
			return r.Workspace != "" && r.Action.Kind == ExecuteCommand && c.match(r.Action.Command, r.Action.Args)
		}, err
	}
	return p.compileFile(true)
}
