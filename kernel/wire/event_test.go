package wire

import (
	"testing"

	"astrid/kernel/fault"
)

func TestAnEventHasItsMembersInOrderAndNullForAbsentOnes(t *testing.T) {
	topic, event, err := NewEvent("kernel_shutdown", EventMeta{EventID: "11111111-2222-4333-8444-555555555555", Timestamp: "2026-03-15T00:00:00Z"}, nil)
	want := `{"type":"kernel_shutdown","metadata":{"event_id":"11111111-2222-4333-8444-555555555555","timestamp":"2026-03-15T00:00:00Z","correlation_id":null,"session_id":null,"user_id":null,"source":"unknown"},"reason":null}`
	if err != nil || topic != "astrid.v1.lifecycle.kernel_shutdown" || string(event) != want {
		t.Errorf("got %s, %v, on %s\nwant %s", event, err, topic, want)
	}
	if !event.IsValid() {
		t.Error("the event is no JSON")
	}
}

func TestWhatIsNotInTheVocabularyIsADefect(t *testing.T) {
	for name, call := range map[string]func() error{
		"an unknown kind":  func() error { _, _, err := NewEvent("ipc", EventMeta{}, nil); return err },
		"a missing member": func() error { _, _, err := NewEvent("kernel_started", EventMeta{}, nil); return err },
		"a surplus member": func() error {
			_, _, err := NewEvent("config_reloaded", EventMeta{}, map[string]any{"x": 1})
			return err
		},
	} {
		if err := call(); !fault.Is(err, fault.Internal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(events()); n != 56 {
		t.Errorf("the vocabulary has %d kinds beside ipc and custom, and the protocol 56", n)
	}
}
