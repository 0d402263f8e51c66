package wire

import (
	"testing"

	"astrid/kernel/fault"
)

func TestPayloadsAreWrittenAsTheProtocolSays(t *testing.T) {
	const id = "11111111-2222-4333-8444-555555555555"
	for _, row := range []struct{ name, in, want string }{
		{"a prompt gets the default session", `{"text":"hi","type":"user_input"}`, `{"type":"user_input","text":"hi","session_id":"default"}`},
		{"context may be anything", `{"type":"user_input","text":"","session_id":"s","context":{"action":"cancel_turn"}}`, `{"type":"user_input","text":"","session_id":"s","context":{"action":"cancel_turn"}}`},
		{"an optional null is absent", `{"type":"approval_response","request_id":"r","decision":"approve","reason":null}`, `{"type":"approval_response","request_id":"r","decision":"approve"}`},
		{"unknown members are dropped", `{"type":"connect","x":1}`, `{"type":"connect"}`},
		{"a missing member makes it custom", `{"type":"approval_response","decision":"approve"}`, `{"type":"custom","data":{"type":"approval_response","decision":"approve"}}`},
		{"an unknown type makes it custom", `{"type":"new","a":1}`, `{"type":"custom","data":{"type":"new","a":1}}`},
		{"no type makes it custom", `[1,2]`, `{"type":"custom","data":[1,2]}`},
		{"raw_json is kept", `{"type":"raw_json","method":"GetCommands"}`, `{"type":"raw_json","method":"GetCommands"}`},
		{"a tool result", `{"type":"tool_execute_result","call_id":"c","result":{"is_error":false,"content":"x","call_id":"c"}}`, `{"type":"tool_execute_result","call_id":"c","result":{"call_id":"c","content":"x","is_error":false}}`},
		{"a stream event", `{"type":"llm_stream_event","request_id":"` + id + `","event":{"Usage":{"input_tokens":1,"output_tokens":2}}}`, `{"type":"llm_stream_event","request_id":"` + id + `","event":{"Usage":{"input_tokens":1,"output_tokens":2}}}`},
		{"the end of a stream", `{"type":"llm_stream_event","request_id":"` + id + `","event":"Done"}`, `{"type":"llm_stream_event","request_id":"` + id + `","event":"Done"}`},
		{"a UUID that is none makes it custom", `{"type":"elicit_response","request_id":"x"}`, `{"type":"custom","data":{"type":"elicit_response","request_id":"x"}}`},
		{"an elicitation", `{"type":"elicit_request","request_id":"` + id + `","capsule_id":"c","field":{"key":"k","prompt":"p","field_type":{"Enum":["a","b"]},"default":null}}`, `{"type":"elicit_request","request_id":"` + id + `","capsule_id":"c","field":{"key":"k","prompt":"p","field_type":{"Enum":["a","b"]}}}`},
		{"a request with messages", `{"type":"llm_request","request_id":"` + id + `","model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"}]},{"role":"tool","content":{"call_id":"c","content":"","is_error":true}}],"tools":[{"name":"n","description":"d","input_schema":{}}],"system":""}`,
			`{"type":"llm_request","request_id":"` + id + `","model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"}]},{"role":"tool","content":{"call_id":"c","content":"","is_error":true}}],"tools":[{"name":"n","description":"d","input_schema":{}}],"system":""}`},
		{"a selection", `{"type":"selection_required","request_id":"r","title":"t","options":[{"id":"i","label":"l"}],"callback_topic":"a.b"}`, `{"type":"selection_required","request_id":"r","title":"t","options":[{"id":"i","label":"l"}],"callback_topic":"a.b"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParsePayload([]byte(row.in))
			if err != nil || string(got) != row.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, row.want)
			}
		})
	}
	for _, bad := range []string{"", "{", `{"type":"connect","type":"connect"}`, "\xff"} {
		if _, err := ParsePayload([]byte(bad)); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestGuestsGetTheInnerOfWrappedPayloads(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"custom","data":{"a":1}}`:           `{"a":1}`,
		`{"type":"raw_json","status":"ready","x":1}`: `{"status":"ready","x":1}`,
		`{"type":"connect"}`:                         `{"type":"connect"}`,
	} {
		if got := GuestBytes(Raw(in)); string(got) != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestANewPayloadMustFitItsType(t *testing.T) {
	got, err := NewPayload(TypeDisconnect, struct {
		Reason string `json:"reason"`
	}{"stream_closed"})
	if err != nil || string(got) != `{"type":"disconnect","reason":"stream_closed"}` {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := NewPayload(TypeUserInput, struct{}{}); err == nil {
		t.Error("a prompt without text was made")
	}
	if _, err := NewPayload("unknown", struct{}{}); err == nil {
		t.Error("a payload of no type was made")
	}
}

// What is written is read back as it is.
func FuzzParsePayload(f *testing.F) {
	f.Add([]byte(`{"type":"user_input","text":"hi"}`))
	f.Add([]byte(`{"type":"llm_stream_event","request_id":"11111111-2222-4333-8444-555555555555","event":"Done"}`))
	f.Add([]byte(`[[{}]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := ParsePayload(data)
		if err != nil {
			return
		}
		twice, err := ParsePayload(once)
		if err != nil || string(once) != string(twice) {
			t.Errorf("%s became %s, %v", once, twice, err)
		}
		GuestBytes(once)
	})
}

func TestUUIDs(t *testing.T) {
	a, b := NewUUID(), NewUUID()
	if a == b {
		t.Error("two UUIDs are the same")
	}
	if got, err := ParseUUID(a); err != nil || got != a || a[14] != '4' {
		t.Errorf("%s is read back as %s, %v", a, got, err)
	}
	for _, bad := range []string{"", a[1:], a + "0", "1111111112222-4333-8444-555555555555", "zzzzzzzz-2222-4333-8444-555555555555"} {
		if _, err := ParseUUID(bad); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
