package cap

import (
	"path"
	"strings"
)

// ActionKind is what a capsule wants to do and a person may have to approve.
type ActionKind string

// The actions that an allowance can spare the question for. Others are always
// asked about.
const (
	FileRead          ActionKind = "file_read"
	FileDelete        ActionKind = "file_delete"
	FileWrite         ActionKind = "file_write_outside_sandbox"
	ExecuteCommand    ActionKind = "execute_command"
	NetworkRequest    ActionKind = "network_request"
	MCPToolCall       ActionKind = "mcp_tool_call"
	CapsuleExecution  ActionKind = "capsule_execution"
	CapsuleHTTP       ActionKind = "capsule_http_request"
	CapsuleFileAccess ActionKind = "capsule_file_access"
)

// Action is one thing that somebody wants to do. Which fields count depends on Kind.
type Action struct {
	Kind       ActionKind
	Server     string     // mcp_tool_call
	Tool       string     // mcp_tool_call
	Path       string     // files: absolute and clean
	Permission Permission // capsule_file_access: read, write or delete
	Host       string     // network_request
	Port       uint16     // network_request
	Command    string     // execute_command: a program, or a whole line when Args is empty
	Args       []string   // execute_command
	Capsule    string     // capsule_*
	Capability string     // capsule_execution
}

// Request is an action with who wants it.
type Request struct {
	Capsule   string // who asks; empty: no capsule
	Principal string
	Session   string
	Workspace string // the root of the session's workspace; empty: none
	Action    Action
}

// filePermission is what a does with a file; empty for what is about none.
func (a *Action) filePermission() Permission {
	switch a.Kind {
	case FileRead:
		return Read
	case FileWrite:
		return Write
	case FileDelete:
		return Delete
	}
	return ""
}

// capsuleCapability is the word for what a capsule does; empty for other actions.
func (a *Action) capsuleCapability() string {
	switch a.Kind {
	case CapsuleExecution:
		return a.Capability
	case CapsuleHTTP:
		return "http_request"
	case CapsuleFileAccess:
		switch a.Permission {
		case Read, Write, Delete:
			return "file_" + string(a.Permission)
		}
	}
	return ""
}

// cleanPath tells whether name says where it leads.
func cleanPath(name string) bool { return path.IsAbs(name) && path.Clean(name) == name }

// below is what of name lies below root.
func below(root, name string) (rel string, ok bool) {
	if !cleanPath(root) || !cleanPath(name) {
		return "", false
	}
	return strings.CutPrefix(name, strings.TrimSuffix(root, "/")+"/")
}

// sameHost compares names of hosts.
func sameHost(a, b string) bool {
	return a != "" && strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}
