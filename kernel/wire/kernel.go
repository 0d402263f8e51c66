package wire

import "time"

// For addresses a request to one session. On the wire its members lie beside
// each other: {"session":"x","paths":[…]}.
type For[T any] struct {
	Session string `json:"session"`
	Request T      `json:",embed"`
}

// None is the params or the reply of an operation that has none.
type None struct{}

// KernelStatus is what the kernel says of itself.
type KernelStatus struct {
	PID           int       `json:"pid"`
	Version       string    `json:"version"`
	Home          string    `json:"home"`
	Started       time.Time `json:"started"`
	Uptime        float64   `json:"uptime_seconds"`
	Sessions      []Session `json:"sessions"`
	Clients       int       `json:"clients"`                // connections of the socket past their handshake
	Refused       uint64    `json:"refused"`                // connections that failed their handshake
	SlowClients   uint64    `json:"slow_clients"`           // connections cut because they did not read
	OpsDone       uint64    `json:"ops_done"`               // operations that succeeded
	OpsFailed     uint64    `json:"ops_failed"`             // operations that did not
	BootSeconds   float64   `json:"boot_seconds"`           // how long the boot took
	ShuttingDown  bool      `json:"shutting_down"`          // a stop is under way
	LastStopCause string    `json:"stop,omitempty"`         // why
	StaysUp       []string  `json:"stays_up"`               // why it does not end
	AuditHead     uint64    `json:"audit_head"`             // number of the last audit record
	AuditFailed   string    `json:"audit_failed,omitempty"` // why nothing can be recorded, and so nothing changed
}

// VersionReply says what is running.
type VersionReply struct {
	Version  string `json:"version"`
	Protocol int    `json:"protocol"`
	Build    string `json:"build"` // the VCS revision the binary was made from, or "unknown"
	Go       string `json:"go"`
}

// ShutdownRequest ends the kernel and every idle view server; uncommitted work is kept.
type ShutdownRequest struct {
	Reason string `json:"reason,omitempty"`
}

// ShutdownReply is sent before the kernel begins to stop.
type ShutdownReply struct {
	Stopping bool `json:"stopping"`
}

// ApproveCapability is the 0.2 request of that name.
type ApproveCapability struct {
	RequestID string `json:"request_id"`
	Signature string `json:"signature"`
}

// Command is one slash command of a capsule.
type Command struct {
	Name            string `json:"name"`
	Description     string `json:"description"`
	ProviderCapsule string `json:"provider_capsule"`
}

// CapsuleMetadata describes what a capsule offers.
type CapsuleMetadata struct {
	Name              string        `json:"name"`
	LLMProviders      []LLMProvider `json:"llm_providers"`
	InterceptorEvents []string      `json:"interceptor_events"`
}

// LLMProvider is one model provider of a capsule.
type LLMProvider struct {
	ID           string   `json:"id"`
	Description  string   `json:"description"`
	Capabilities []string `json:"capabilities"`
}

// Reloaded answers ReloadCapsules.
type Reloaded struct {
	Status   string   `json:"status"`           // "reloaded"
	Loaded   []string `json:"loaded,omitempty"` // anew
	Kept     []string `json:"kept,omitempty"`   // as they were
	Ended    []string `json:"ended,omitempty"`
	Problems []string `json:"problems,omitempty"` // one sentence each
}

// SessionName is the session that the request is for.
func (f For[T]) SessionName() string { return f.Session }

// SessionName is the session that the request is for.
func (r DownRequest) SessionName() string { return r.Session }

// SessionName is the session that the request is for.
func (r RemoveRequest) SessionName() string { return r.Session }

// SessionIfAny is the session wanted; empty: derived from the workspace.
func (u Up) SessionIfAny() string { return u.Session }

// SessionIfAny is the session that the request is about.
func (a AskApproval) SessionIfAny() string { return a.Session }

// SessionIfAny is the session that the message is about.
func (p PublishRequest) SessionIfAny() string { return p.Session }

// SessionIfAny is the only session that the token is to be good for.
func (m MintToken) SessionIfAny() string { return m.Session }
