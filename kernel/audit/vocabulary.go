package audit

// Type is the kind of an action.
type Type string

// What the kernel itself does.
const (
	Boot              Type = "boot"
	Shutdown          Type = "shutdown"
	ConnectionOpened  Type = "connection_opened"
	ConnectionClosed  Type = "connection_closed"
	ConnectionRefused Type = "connection_refused"
	Op                Type = "op"
	Commit            Type = "commit"
	Denial            Type = "denial"
	CapabilityUsed    Type = "capability_used"
	AllowanceCreated  Type = "allowance_created"
	AllowanceUsed     Type = "allowance_used"
	AllowanceRevoked  Type = "allowance_revoked"
	CapsuleProgram    Type = "capsule_program"

	// Checkpoint, Archived, NotesLost and LogBroken are written by the log about itself.
	Checkpoint Type = "checkpoint"
	Archived   Type = "archived"
	NotesLost  Type = "notes_lost"
	LogBroken  Type = "log_broken"
)

// The actions of 0.2.
const (
	MCPToolCall         Type = "mcp_tool_call"
	CapsuleToolCall     Type = "capsule_tool_call"
	MCPResourceRead     Type = "mcp_resource_read"
	MCPPromptGet        Type = "mcp_prompt_get"
	MCPElicitation      Type = "mcp_elicitation"
	MCPURLElicitation   Type = "mcp_url_elicitation"
	MCPSampling         Type = "mcp_sampling"
	FileRead            Type = "file_read"
	FileWrite           Type = "file_write"
	FileDelete          Type = "file_delete"
	CapabilityCreated   Type = "capability_created"
	CapabilityRevoked   Type = "capability_revoked"
	ApprovalRequested   Type = "approval_requested"
	ApprovalGranted     Type = "approval_granted"
	ApprovalDenied      Type = "approval_denied"
	SessionStarted      Type = "session_started"
	SessionEnded        Type = "session_ended"
	ContextSummarized   Type = "context_summarized"
	LLMRequest          Type = "llm_request"
	ServerStarted       Type = "server_started"
	ServerStopped       Type = "server_stopped"
	ElicitationSent     Type = "elicitation_sent"
	ElicitationReceived Type = "elicitation_received"
	SecurityViolation   Type = "security_violation"
	SubAgentSpawned     Type = "sub_agent_spawned"
	ConfigReloaded      Type = "config_reloaded"
)

// fields are the names that an action of type t may have.
func (t Type) fields() (names string, known bool) {
	switch t {
	case Boot:
		return "version build", true
	case Shutdown:
		return "reason left", true
	case ConnectionOpened:
		return "connection uid", true
	case ConnectionClosed:
		return "connection reason", true
	case ConnectionRefused:
		return "uid reason count", true
	case Op:
		return "method session params_digest subject", true
	case Commit:
		return "session number digest", true
	case Denial:
		return "what resource reason count", true
	case CapabilityUsed:
		return "token_id resource permission", true
	case AllowanceCreated, AllowanceUsed, AllowanceRevoked:
		return "allowance_id pattern capsule scope", true
	case CapsuleProgram:
		return "capsule_id program args exit_code count", true
	case Checkpoint:
		return "records", true
	case Archived:
		return "first last hash file", true
	case NotesLost:
		return "count", true
	case LogBroken:
		return "seq reason", true
	}
	return t.fields02()
}

func (t Type) fields02() (names string, known bool) {
	switch t {
	case MCPToolCall:
		return "server tool args_hash", true
	case CapsuleToolCall:
		return "capsule_id tool args_hash count", true
	case MCPResourceRead:
		return "server uri", true
	case MCPPromptGet:
		return "server name", true
	case MCPElicitation:
		return "request_id schema", true
	case MCPURLElicitation:
		return "url interaction_type", true
	case MCPSampling:
		return "model prompt_tokens", true
	case FileRead, FileDelete:
		return "path", true
	case FileWrite:
		return "path content_hash", true
	case CapabilityCreated:
		return "token_id resource permissions scope", true
	case CapabilityRevoked:
		return "token_id reason", true
	case ApprovalRequested:
		return "action_type resource risk_level", true
	case ApprovalGranted:
		return "action resource scope", true
	case ApprovalDenied:
		return "action reason", true
	case SessionStarted:
		return "user_id platform", true
	case SessionEnded:
		return "reason duration_secs", true
	case ContextSummarized:
		return "evicted_count tokens_freed", true
	case LLMRequest:
		return "model input_tokens output_tokens", true
	case ServerStarted:
		return "name transport binary_hash", true
	case ServerStopped:
		return "name reason", true
	case ElicitationSent:
		return "request_id server elicitation_type", true
	case ElicitationReceived:
		return "request_id action", true
	case SecurityViolation:
		return "violation_type details risk_level", true
	case SubAgentSpawned:
		return "parent_session_id child_session_id description", true
	case ConfigReloaded:
		return "", true
	}
	return "", false
}

// AuthType is the kind of an authorization.
type AuthType string

// The authorizations: those of 0.2, and Allowance.
const (
	User         AuthType = "user"
	Capability   AuthType = "capability"
	UserApproval AuthType = "user_approval"
	Allowance    AuthType = "allowance"
	NotRequired  AuthType = "not_required"
	System       AuthType = "system"
	Denied       AuthType = "denied"
)

// fields are the names that an authorization of type t may have.
func (t AuthType) fields() (names string, known bool) {
	switch t {
	case User:
		return "user_id message_id", true
	case Capability:
		return "token_id token_hash", true
	case UserApproval:
		return "user_id approval_entry_id", true
	case Allowance:
		return "allowance_id", true
	case NotRequired, System, Denied:
		return "reason", true
	}
	return "", false
}
