package wire

import "time"

// CapsuleInfo is one capsule as it is listed.
type CapsuleInfo struct {
	ID           string    `json:"id"`
	Version      string    `json:"version"`
	Description  string    `json:"description,omitempty"`
	State        string    `json:"state"` // loading, ready, failed, disabled, untrusted
	Why          string    `json:"why,omitempty"`
	Since        time.Time `json:"since"`
	Restarts     int       `json:"restarts"`
	Source       string    `json:"source_id"` // UUID under which it publishes
	Dir          string    `json:"dir"`
	Tools        []string  `json:"tools"`
	Commands     []string  `json:"commands"`
	Interceptors []string  `json:"interceptors"` // "PATTERN → ACTION"
	Crons        []string  `json:"crons"`
	Asks         []string  `json:"asks"`                // what it may do, one sentence each
	Publisher    string    `json:"publisher,omitempty"` // public key that is known for the id
	Granted      time.Time `json:"granted_at,omitzero"`
	GrantedBy    string    `json:"granted_by,omitempty"` // name of a user
	Workspace    string    `json:"workspace,omitempty"`  // whose it is; empty: nobody's, or not the caller's to know
}

// InstallCapsule is the 0.2 request of that name; Yes and DryRun are ours.
type InstallCapsule struct {
	Source    string `json:"source"` // absolute path of a directory or a .capsule archive
	Workspace bool   `json:"workspace"`
	// Yes grants what the manifest asks for; otherwise people are asked.
	Yes bool `json:"yes,omitzero"`
	// DryRun only says what would be installed.
	DryRun bool `json:"dry_run,omitzero"`
	// If is the source id of what is agreed to: other content is not installed.
	If string `json:"if_source_id,omitempty"`
	// Link installs it again whenever the source changes, as long as it asks for
	// nothing more.
	Link bool `json:"link,omitzero"`
	// NewPublisher takes a capsule that another publisher has signed than the one whose
	// key is known for its id, or nobody.
	NewPublisher bool `json:"new_publisher,omitzero"`
}

// TrustCapsule agrees to a capsule that is there, as it is.
type TrustCapsule struct {
	ID      string `json:"id"`
	Session string `json:"session,omitempty"` // whose workspace brings it
	Yes     bool   `json:"yes,omitzero"`
	DryRun  bool   `json:"dry_run,omitzero"`
	If      string `json:"if_source_id,omitempty"`
}

// SessionIfAny is the session whose workspace brings the capsule.
func (t TrustCapsule) SessionIfAny() string { return t.Session }

// Subject is the capsule, for the record.
func (t TrustCapsule) Subject() string {
	if t.DryRun {
		return "only a look at " + t.ID
	}
	return t.ID
}

// Subject is the source, for the record.
func (i InstallCapsule) Subject() string {
	if i.DryRun {
		return "only a look at " + i.Source
	}
	return i.Source
}

// CapsuleSwitched says what became of a capsule that was switched on or off, or
// removed.
type CapsuleSwitched struct {
	ID    string `json:"id"`
	State string `json:"state"` // removed, or that of the capsule
	Why   string `json:"why,omitempty"`
}

// Installation says what was, or would be, installed.
type Installation struct {
	ID      string   `json:"id"`
	Version string   `json:"version"`
	Source  string   `json:"source_id,omitempty"`   // of its id and content
	Old     string   `json:"old_version,omitempty"` // that it replaces
	Change  string   `json:"change,omitempty"`      // upgrade, downgrade, same; empty: there was none
	Asks    []string `json:"asks"`                  // what it asks for and was not granted before
	Drops   []string `json:"drops,omitempty"`       // what was granted and it does not ask for any more
	// Publisher is the public key of who signed it; empty: nobody has.
	Publisher string `json:"publisher,omitempty"`
	// Known is the publisher that the id had before; empty: none.
	Known string   `json:"known_publisher,omitempty"`
	Notes []string `json:"notes,omitempty"` // what of its manifest is ignored
	State string   `json:"state,omitempty"` // after it was loaded
	Why   string   `json:"why,omitempty"`
}

// CapsuleLog asks for the lines of the kernel's log about one capsule.
type CapsuleLog struct {
	ID     string `json:"id"`
	Lines  int    `json:"lines,omitzero"`  // default 200, at most 10000
	Follow bool   `json:"follow,omitzero"` // and those that come
}

// CallTool calls a tool of a capsule and waits for its result.
type CallTool struct {
	Session   string `json:"session,omitempty"`
	Tool      string `json:"tool"`
	Arguments Raw    `json:"arguments"`
	// Timeout is how many seconds it may take; 0: an hour, which is the most.
	Timeout float64 `json:"timeout_secs,omitzero"`
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
