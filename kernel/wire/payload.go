package wire

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Tags of payloads, the "type" member; shapeOf says what each holds.
const (
	TypeUserInput          = "user_input"
	TypeAgentResponse      = "agent_response"
	TypeApprovalRequired   = "approval_required"
	TypeApprovalResponse   = "approval_response"
	TypeOnboardingRequired = "onboarding_required"
	TypeLLMRequest         = "llm_request"
	TypeLLMStreamEvent     = "llm_stream_event"
	TypeLLMResponse        = "llm_response"
	TypeToolExecuteRequest = "tool_execute_request"
	TypeToolExecuteResult  = "tool_execute_result"
	TypeToolCancelRequest  = "tool_cancel_request"
	TypeSelectionRequired  = "selection_required"
	TypeElicitRequest      = "elicit_request"
	TypeElicitResponse     = "elicit_response"
	TypeConnect            = "connect"
	TypeDisconnect         = "disconnect"
	TypeCustom             = "custom"
)

// shapeOf gives the shape of a payload, of each but raw_json, which is any
// object: the table of section 4.2 of the 0.2 protocol.
func shapeOf(tag string) (s shape, known bool) {
	session := defaulted("session_id", text, `"default"`)
	switch tag {
	case TypeUserInput:
		return object(required("text", text), session, optional("context", anything)), true
	case TypeAgentResponse:
		return object(required("text", text), required("is_final", boolean), session), true
	case TypeApprovalRequired:
		return object(required("request_id", text), required("action", text), required("resource", text), required("reason", text), required("risk_level", text)), true
	case TypeApprovalResponse:
		return object(required("request_id", text), required("decision", text), optional("reason", text)), true
	case TypeOnboardingRequired:
		return object(required("capsule_id", text), required("fields", list(onboarding()))), true
	case TypeSelectionRequired:
		option := object(required("id", text), required("label", text), optional("description", text))
		return object(required("request_id", text), required("title", text), required("options", list(option)), required("callback_topic", text)), true
	case TypeElicitRequest:
		// A form of several fields, which 0.2 does not know, has them in its schema.
		return object(required("request_id", uuid), required("capsule_id", text), optional("field", onboarding()),
			optional("message", text), optional("schema", anything), optional("expires", text)), true
	case TypeElicitResponse:
		return object(required("request_id", uuid), optional("value", text), optional("values", list(text))), true
	case TypeConnect:
		return object(), true
	case TypeDisconnect:
		return object(optional("reason", text)), true
	case TypeCustom:
		return object(required("data", anything)), true
	}
	return modelShape(tag)
}

// modelShape is shapeOf for what concerns models and tools.
func modelShape(tag string) (s shape, known bool) {
	switch tag {
	case TypeLLMRequest:
		tool := object(required("name", text), required("description", text), required("input_schema", anything))
		return object(required("request_id", uuid), required("model", text), required("messages", list(chatMessage())), required("tools", list(tool)), required("system", text)), true
	case TypeLLMStreamEvent:
		return object(required("request_id", uuid), required("event", streamEvent())), true
	case TypeLLMResponse:
		answer := object(required("message", chatMessage()), required("has_tool_calls", boolean),
			required("stop_reason", word("EndTurn", "MaxTokens", "ToolUse", "StopSequence")), required("usage", usage()))
		return object(required("request_id", uuid), required("response", answer)), true
	case TypeToolExecuteRequest:
		return object(required("call_id", text), required("tool_name", text), required("arguments", anything)), true
	case TypeToolExecuteResult:
		return object(required("call_id", text), required("result", toolResult())), true
	case TypeToolCancelRequest:
		return object(required("call_ids", list(text))), true
	}
	return nil, false
}

func onboarding() shape {
	return object(required("key", text), required("prompt", text), optional("description", text),
		required("field_type", oneOf(word("Text", "Secret", "Array"), external(variant{"Enum", list(text)}))),
		optional("default", text), optional("placeholder", text))
}

func chatMessage() shape {
	call := object(required("id", text), required("name", text), required("arguments", anything))
	part := internal(
		variant{"text", object(required("text", text))},
		variant{"image", object(required("data", text), required("media_type", text))})
	return object(required("role", word("system", "user", "assistant", "tool")),
		required("content", oneOf(text, list(call), toolResult(), list(part))))
}

func toolResult() shape {
	return object(required("call_id", text), required("content", text), required("is_error", boolean))
}

func usage() shape { return object(required("input_tokens", count), required("output_tokens", count)) }

func streamEvent() shape {
	return oneOf(word("Done"), external(
		variant{"TextDelta", text},
		variant{"ToolCallStart", object(required("id", text), required("name", text))},
		variant{"ToolCallDelta", object(required("id", text), required("args_delta", text))},
		variant{"ToolCallEnd", object(required("id", text))},
		variant{"ReasoningDelta", text},
		variant{"Usage", usage()},
		variant{"Error", text}))
}

// ParsePayload reads a payload from a peer and returns it as the protocol writes
// it: members in order, what is absent left out or defaulted, members that no
// one knows dropped. A payload whose tag is unknown or whose members do not fit
// becomes a custom one that holds all of it. What is no JSON is an error of Kind
// Usage.
func ParsePayload(data []byte) (Raw, error) {
	tagged := Raw(bytes.TrimSpace(data))
	if !tagged.IsValid() {
		return nil, Decode(data, new(any))
	}
	tag := PayloadType(tagged)
	if tag == TypeRawJSON {
		return tagged, nil
	}
	if s, known := shapeOf(tag); known {
		if canonical, err := s(tagged); err == nil {
			return withTag(tag, canonical), nil
		}
	}
	return Custom(tagged), nil
}

// Custom wraps any JSON value into a payload.
func Custom(data Raw) Raw {
	return Raw(`{"type":"custom","data":` + string(data) + `}`)
}

// NewPayload makes a payload of a known type from members that fit it. Any
// other is a defect of the caller: an error of Kind Internal.
func NewPayload(tag string, members any) (Raw, error) {
	data, err := Encode(members)
	if err != nil {
		return nil, err
	}
	s, known := shapeOf(tag)
	if !known {
		return nil, errShape("payload type", tag)
	}
	canonical, err := s(data)
	if err != nil {
		return nil, err
	}
	return withTag(tag, canonical), nil
}

// GuestBytes is what a capsule is handed of a payload: of a custom one its data,
// of a raw_json one the object without the tag, of all others the whole.
func GuestBytes(payload Raw) Raw {
	switch PayloadType(payload) {
	case TypeCustom:
		var custom struct {
			Data Raw `json:"data"`
		}
		if Decode(payload, &custom) == nil && custom.Data != nil {
			return custom.Data
		}
	case TypeRawJSON:
		if inner, err := untag(payload); err == nil {
			return inner
		}
	}
	return payload
}

// withTag puts the tag before the members of an object.
func withTag(tag string, object Raw) Raw {
	out := append([]byte(`{"type":`), mustQuote(tag)...)
	if inner := bytes.TrimPrefix(object, []byte("{")); !bytes.Equal(inner, []byte("}")) {
		out = append(append(out, ','), inner...)
	} else {
		out = append(out, '}')
	}
	return out
}

func mustQuote(s string) []byte {
	quoted, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		panic("wire: a payload type is no UTF-8")
	}
	return quoted
}

// untag drops the member "type" of an object and keeps the order of the others.
func untag(payload Raw) (Raw, error) {
	members, order, err := membersOf(payload)
	if err != nil {
		return nil, err
	}
	out := []byte{'{'}
	for _, name := range order {
		if name != "type" {
			out = appendMember(out, name, members[name])
		}
	}
	return append(out, '}'), nil
}
