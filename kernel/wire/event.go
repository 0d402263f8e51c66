package wire

import (
	"strings"

	"astrid/kernel/fault"
)

// LifecyclePrefix begins the topic of every event of the kernel's life.
const LifecyclePrefix = "astrid.v1.lifecycle."

// EventMeta is what every event carries beside its own members. Empty ids are
// written as null.
type EventMeta struct {
	EventID     string // UUID
	Timestamp   string // see Stamp
	Correlation string // UUID
	SessionID   string // UUID
	UserID      string // UUID
	Source      string // who says so; empty: "unknown"
}

// NewEvent makes the event of a kind, {"type":kind,"metadata":{…},…}, and its
// topic. A kind that is not in the protocol's vocabulary (section 4.3), a member
// that it has not, and one that is missing, are defects of the caller: errors of
// Kind Internal. Optional members that are absent are null.
func NewEvent(kind string, meta EventMeta, members map[string]any) (topic string, event Raw, err error) {
	vocabulary, known := events()[kind]
	if !known {
		return "", nil, errShape("event", kind)
	}
	out := appendMember([]byte{'{'}, "type", mustQuote(kind))
	out = appendMember(out, "metadata", meta.encode())
	used := 0
	for name := range strings.FieldsSeq(vocabulary) {
		name, optional := strings.CutSuffix(name, "?")
		value, there := members[name]
		switch {
		case there:
			used++
		case !optional:
			return "", nil, fault.New(fault.Internal, "the event %s lacks its member %s", kind, name)
		}
		encoded, err := Encode(value) // of nothing: null
		if err != nil {
			return "", nil, err
		}
		out = appendMember(out, name, encoded)
	}
	if used != len(members) {
		return "", nil, fault.New(fault.Internal, "the event %s has members that the protocol does not know", kind)
	}
	return LifecyclePrefix + kind, append(out, '}'), nil
}

func (m EventMeta) encode() Raw {
	if m.Source == "" {
		m.Source = "unknown"
	}
	out := []byte{'{'}
	for _, one := range []struct{ name, value string }{
		{"event_id", m.EventID}, {"timestamp", m.Timestamp}, {"correlation_id", m.Correlation},
		{"session_id", m.SessionID}, {"user_id", m.UserID}, {"source", m.Source},
	} {
		value := Raw("null")
		if one.value != "" {
			value = mustQuote(one.value)
		}
		out = appendMember(out, one.name, value)
	}
	return append(out, '}')
}

// events is the vocabulary: the members of each kind, in order, optional ones
// with a question mark. The kinds ipc and custom are messages here, no events.
func events() map[string]string {
	return map[string]string{
		"runtime_started": "version", "runtime_stopped": "reason?", "agent_started": "agent_id agent_name", "agent_stopped": "agent_id reason?",

		"session_created": "session_id", "session_ended": "session_id reason?", "session_resumed": "session_id", "session_resetting": "session_id",

		"message_received": "message_id platform", "message_sent": "message_id platform", "message_processed": "message_id duration_ms", "message_sending": "message_id platform",

		"prompt_building": "request_id", "context_compaction_started": "session_id message_count", "context_compaction_completed": "session_id messages_remaining",
		"model_resolving": "request_id provider? model?", "agent_loop_completed": "agent_id turns duration_ms", "tool_result_persisting": "call_id tool_name",

		"llm_request_started": "request_id provider model", "llm_request_completed": "request_id success input_tokens? output_tokens? duration_ms",
		"llm_stream_started": "request_id model", "llm_stream_chunk": "request_id chunk_index token_count", "llm_stream_completed": "request_id input_tokens? output_tokens? duration_ms",

		"tool_call_started": "call_id tool_name server_name?", "tool_call_completed": "call_id tool_name duration_ms", "tool_call_failed": "call_id tool_name error duration_ms",

		"mcp_server_connected": "server_name protocol_version", "mcp_server_disconnected": "server_name reason?",
		"mcp_tool_called": "server_name tool_name arguments?", "mcp_tool_completed": "server_name tool_name success duration_ms",

		"sub_agent_spawned": "subagent_id parent_id task depth", "sub_agent_progress": "subagent_id message", "sub_agent_completed": "subagent_id duration_ms",
		"sub_agent_failed": "subagent_id error duration_ms", "sub_agent_cancelled": "subagent_id reason?",

		"capability_granted": "capability_id resource action", "capability_revoked": "capability_id reason?", "capability_checked": "resource action allowed",
		"authorization_denied": "resource action reason", "security_violation": "violation_type details",
		"approval_requested": "request_id resource action description", "approval_granted": "request_id duration?", "approval_denied": "request_id reason?",

		"budget_allocated": "budget_id amount_cents currency", "budget_warning": "budget_id remaining_cents percent_used", "budget_exceeded": "budget_id overage_cents",

		"capsule_loaded": "capsule_id capsule_name", "capsule_failed": "capsule_id error", "capsule_unloaded": "capsule_id capsule_name",

		"kernel_started": "version", "kernel_shutdown": "reason?", "config_reloaded": "", "config_changed": "key", "health_check_completed": "healthy checks_performed checks_failed",

		"audit_entry_created": "entry_id entry_type", "error_occurred": "code message stack_trace?",
	}
}
