package wire

import "time"

// CapsuleInfo is one capsule as it is listed.
type CapsuleInfo struct {
	ID           string    `json:"id"`
	Version      string    `json:"version"`
	Description  string    `json:"description,omitempty"`
	State        string    `json:"state"` // loading, ready, failed, disabled
	Why          string    `json:"why,omitempty"`
	Since        time.Time `json:"since"`
	Restarts     int       `json:"restarts"`
	Source       string    `json:"source_id"` // UUID under which it publishes
	Dir          string    `json:"dir"`
	Tools        []string  `json:"tools"`
	Commands     []string  `json:"commands"`
	Interceptors []string  `json:"interceptors"` // "PATTERN → ACTION"
	Crons        []string  `json:"crons"`
	Asks         []string  `json:"asks"` // what it may do, one sentence each
}

// InstallCapsule is the 0.2 request of that name; Yes and DryRun are ours.
type InstallCapsule struct {
	Source    string `json:"source"` // absolute path of a directory or a .capsule archive
	Workspace bool   `json:"workspace"`
	// Yes grants what the manifest asks for; otherwise people are asked.
	Yes bool `json:"yes,omitzero"`
	// DryRun only says what would be installed.
	DryRun bool `json:"dry_run,omitzero"`
}

// Subject is the source, for the record.
func (i InstallCapsule) Subject() string {
	if i.DryRun {
		return "only a look at " + i.Source
	}
	return i.Source
}

// Installation says what was, or would be, installed.
type Installation struct {
	ID      string   `json:"id"`
	Version string   `json:"version"`
	Old     string   `json:"old_version,omitempty"` // that it replaces
	Asks    []string `json:"asks"`                  // capabilities that it asks for and the old one did not
	State   string   `json:"state,omitempty"`       // after it was loaded
	Why     string   `json:"why,omitempty"`
}

// CallTool calls a tool of a capsule and waits for its result.
type CallTool struct {
	Session   string `json:"session,omitempty"`
	Tool      string `json:"tool"`
	Arguments Raw    `json:"arguments"`
}

// SessionIfAny is the session that the tool works in.
func (c CallTool) SessionIfAny() string { return c.Session }

// Subject is the tool, for the record.
func (c CallTool) Subject() string { return c.Tool }

// ToolResult is what a tool returned.
type ToolResult struct {
	Content string `json:"content"`
	IsError bool   `json:"is_error"`
}
