package kernel_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"astrid/kernel"
	"astrid/kernel/bus"
	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// One test for each defect of 0.2 (section 15.2 of its description) that a
// kernel without capsules could have, through a kernel and its socket.

func TestD2ClientsAreCountedByTheirConnections(t *testing.T) {
	h, k := served(t)
	watch := dial(t, h)
	for range 3 {
		f := enter(t, h, "")
		f.send(`{"topic":"client.v1.disconnect","payload":{"type":"disconnect"}}`) // nobody counts by this
		if _, err := f.Write([]byte{0xff, 0xff, 0xff, 0xff}); err != nil {         // out of step: it is cut
			t.Fatal(err)
		}
		half := enter(t, h, "")
		if _, err := half.Write([]byte{0, 0, 0, 9, '{'}); err != nil {
			t.Fatal(err)
		}
		_ = half.Close()
	}
	eventually(t, "one client is left", func() bool { n, _, _ := k.Socket.Stats(); return n == 1 })
	_ = watch.Close()
	eventually(t, "nobody needs the kernel", func() bool { return !strings.Contains(fmt.Sprint(k.Idle.Why()), "client") })
	in, out := 0, 0
	for _, topic := range topics(events(t, dial(t, h), "client.v1.*")) {
		switch topic {
		case "client.v1.connected":
			in++
		case "client.v1.disconnect":
			out++
		}
	}
	if in != 8 || out != 7 { // the one that asks is there
		t.Errorf("%d came and %d went", in, out)
	}
}

func TestD5AClientThatDoesNotReadHoldsUpNobody(t *testing.T) {
	h, _ := served(t)
	stalled := enter(t, h, "")
	stalled.ask("f", "events", `{"follow":true,"patterns":["agent.v1.*"]}`)
	c := dial(t, h)
	text := strings.Repeat("x", 32<<10)
	for range 100 { // far more than a socket holds
		publish(t, c, "agent.v1.response", "", `{"type":"agent_response","text":"`+text+`","is_final":true,"session_id":"default"}`)
	}
	must(t, dial(t, h).Call(t.Context(), op.Version, nil, nil))
}

func TestD6SilentClientsHoldUpNobodysHandshake(t *testing.T) {
	h, _ := served(t)
	for range 100 {
		f := knock(t, h)
		if _, err := f.Write([]byte{0, 0}); err != nil {
			t.Fatal(err)
		}
	}
	must(t, dial(t, h).Call(t.Context(), op.Version, nil, nil))
}

func TestD7ASlowHeaderStaysInStep(t *testing.T) {
	h, _ := served(t)
	f, c := enter(t, h, ""), dial(t, h)
	frame, err := wire.AppendFrame(nil, []byte(`{"topic":"astrid.v1.request.slow","payload":{"type":"raw_json","method":"version"}}`))
	must(t, err)
	for i := range frame {
		publish(t, c, "agent.v1.session_changed", "", `{"type":"custom","data":{}}`) // the other direction is busy
		if _, err := f.Write(frame[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if r := f.answer("slow"); r.Status != wire.StatusSuccess {
		t.Errorf("%+v", r)
	}
}

func TestD8AFloodEvictsNoApproval(t *testing.T) {
	h, _ := served(t)
	f, c := enter(t, h, ""), dial(t, h)
	var asked wire.AskReply
	must(t, c.Call(t.Context(), op.Ask, wire.AskApproval{Action: "first", Resource: "r", Defer: true}, &asked))
	flood(t, c)
	must(t, c.Call(t.Context(), op.Ask, wire.AskApproval{Action: "second", Resource: "r", Defer: true}, nil))
	flood(t, c)
	for _, action := range []string{"first", "second"} {
		for {
			m := f.message()
			if m.Topic != "astrid.v1.approval" {
				continue
			}
			if !strings.Contains(string(m.Payload), action) {
				t.Fatalf("%s instead of %s", m.Payload, action)
			}
			break
		}
	}
}

// flood publishes more than anybody's queue holds.
func flood(t *testing.T, c *client.Client) {
	t.Helper()
	text := strings.Repeat("x", 64)
	for i := range 1400 {
		publish(t, c, "agent.v1.stream.delta", "", fmt.Sprintf(`{"type":"agent_response","text":"%s%d","is_final":false,"session_id":"default"}`, text, i))
	}
}

// What the bus remembers is told whole, although it is more than a queue holds.
func TestD8WhatIsRememberedOverflowsNobody(t *testing.T) {
	h, _ := served(t)
	c := dial(t, h)
	for i := range 1500 {
		publish(t, c, "a.b", "", fmt.Sprintf(`{"n":%d}`, i))
	}
	if list := events(t, c, "a.b"); len(list) != 1500 || list[0].Lost != 0 {
		t.Errorf("%d of 1500, %d lost", len(list), list[0].Lost)
	}
}

func TestD9AParentTopicIsNotHeard(t *testing.T) {
	h, k := served(t)
	c := dial(t, h)
	wanted := map[string][]string{
		"a": {"a"}, "a.b": {"a.b"}, "a.b.c": {"a.b.c"}, "a.b.*": {"a.b.c", "a.b.c.d"}, "*": {"a"}, "a.*.*": {"a.b.c", "a.b.c.d"},
	}
	ears := map[string]func() []string{}
	for pattern := range wanted {
		ears[pattern] = live(t, k, pattern)
	}
	for _, topic := range []string{"a", "a.b", "a.b.c", "a.b.c.d"} {
		publish(t, c, topic, "", `{}`)
	}
	for pattern, want := range wanted {
		if got := ears[pattern](); !slices.Equal(got, want) {
			t.Errorf("%s hears %q as it comes", pattern, got)
		}
		if got := topics(events(t, c, pattern)); !slices.Equal(got, want) {
			t.Errorf("%s hears %q afterwards", pattern, got)
		}
	}
}

func TestD11ARateLimitIsAnsweredWhereTheClientListens(t *testing.T) {
	h, _ := served(t)
	f := enter(t, h, "")
	for i := range 6 {
		id := fmt.Sprint("reload.", i)
		f.ask(id, "ReloadCapsules", "{}")
		r := f.answer(id)
		if limited := r.Code == fault.Limit.Code(); limited != (i == 5) || limited && string(r.Data) != `"Rate limited: max 5 ReloadCapsules requests per minute"` {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

// remembers tells how a request ends that nobody is asked about twice.
func remembers(t *testing.T, c *client.Client, session, action string) string {
	t.Helper()
	var r wire.AskReply
	must(t, c.Call(t.Context(), op.Ask, wire.AskApproval{Session: session, Action: action, Resource: action + " now", Defer: true}, &r))
	return r.Decision
}

func TestD32ASecondKernelIsTurnedAwayWithASentenceBeforeAnyStoreOpens(t *testing.T) {
	h, _ := served(t)
	log := &safeBuffer{}
	_, err := kernel.New(t.Context(), kernel.Config{Home: h, Log: textLog(log)})
	if !fault.Is(err, fault.Exists) || !strings.Contains(err.Error(), fmt.Sprintf("another kernel is already running in %s, with pid %d", h, os.Getpid())) {
		t.Error(err)
	}
	if strings.Contains(log.String(), "state store") {
		t.Errorf("it touched the store:\n%s", log)
	}
}

func TestD33AStopClosesTheAuditLogAlthoughAnOperationHangs(t *testing.T) {
	h := scratch(t, "h")
	must(t, h.Ensure())
	silent := filepath.Join(h.Capsules(), "silent") // it takes the calls of a tool, and answers none
	must(t, os.Mkdir(silent, 0o700))
	must(t, os.WriteFile(filepath.Join(silent, "Capsule.toml"), []byte(`
		[package]
		name = "silent"
		version = "1.0.0"
		[[interceptor]]
		event = "tool.v1.execute.silent"
		action = "take"
	`), 0o600))
	exe, _ := os.Executable()
	k, err := kernel.New(t.Context(), kernel.Config{Home: h, Exe: exe, Environ: environ(), StopTimeout: 2 * time.Second})
	must(t, err)
	c := dial(t, h)
	must(t, c.Call(t.Context(), op.TrustCapsule, wire.TrustCapsule{ID: "silent", Yes: true}, nil))
	before := k.Ops.Started()
	called := make(chan error, 1)
	go func() { called <- c.Call(context.Background(), op.CallTool, wire.CallTool{Tool: "silent"}, nil) }()
	eventually(t, "it waits", func() bool { return k.Ops.Started() > before })
	must(t, k.Stop("test"))
	if err := <-called; err == nil {
		t.Error("it was answered")
	}
	lockFree(t, h)
	k, log := boot(t, h)
	var page wire.AuditPage
	must(t, dial(t, h).Call(t.Context(), op.AuditRead, wire.ReadAudit{}, &page))
	ended := slices.ContainsFunc(page.Records, func(r wire.AuditRecord) bool { return r.Action["type"] == "shutdown" })
	if !ended || strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("the log was not closed: %+v\n%s", page.Records, log)
	}
	must(t, k.Stop("test"))
	_ = os.Remove(h.Lock())
}

// A permission and a subscription of the same text mean the same topics: no
// pattern delivers deeper than it allows.
func TestD34PermissionAndDeliveryAreOneMatcher(t *testing.T) {
	h, k := served(t)
	c := dial(t, h)
	texts := []string{"foo.v1.*", "foo.*", "foo.*.a", "foo.*.*", "foo.v1.a", "*"}
	ears := map[string]func() []string{}
	for _, text := range texts {
		ears[text] = live(t, k, text)
	}
	all := []string{"foo", "foo.v1", "foo.v1.a", "foo.v1.a.b", "foo.v2.a", "foo.v1.a.b.c"}
	for _, topic := range all {
		publish(t, c, topic, "", `{}`)
	}
	heard := map[string][]string{}
	for _, text := range texts {
		heard[text] = topics(events(t, c, text))
		if now := ears[text](); !slices.Equal(now, heard[text]) {
			t.Errorf("%s hears %q as it comes and %q afterwards", text, now, heard[text])
		}
	}
	for _, allowed := range texts {
		for _, wanted := range texts {
			p, _ := bus.ParsePattern(allowed)
			q, _ := bus.ParsePattern(wanted)
			leak := slices.ContainsFunc(heard[wanted], func(topic string) bool { return !slices.Contains(heard[allowed], topic) })
			if p.Covers(q) && leak {
				t.Errorf("who may %s subscribes to %s and hears %q", allowed, wanted, heard[wanted])
			}
		}
	}
}

func TestD36ABadMessageCostsNobodyItsConnection(t *testing.T) {
	h, _ := served(t)
	bad, other := enter(t, h, ""), enter(t, h, "")
	for _, topic := range []string{"session.v1.request.", "session.v1.request..x", "session.v1.request.*", "registry.v1.selection." + strings.Repeat("x", 300),
		"session.v1.request" + strings.Repeat(".x", 30), "astrid.v1.elicit.response.", "client.v1.disconnect", "astrid.v1.capsules_loaded"} {
		bad.send(`{"topic":"` + topic + `","payload":{"type":"connect"}}`)
		bad.send(`{"topic":"` + topic + `","payload":"not an object"}`)
	}
	for _, f := range []frontend{bad, other} {
		f.ask("x", "version", "{}")
		if r := f.answer("x"); r.Status != wire.StatusSuccess {
			t.Errorf("%+v", r)
		}
	}
}

// A client that reads in small pieces gets everything, in order, or is told how
// much it lost.
func TestD37FastOutputStaysInStepAndInOrder(t *testing.T) {
	h, _ := served(t)
	f, c := enter(t, h, ""), dial(t, h)
	const sent = 1500
	pad := strings.Repeat("x", 1<<10)
	for i := range sent {
		publish(t, c, "agent.v1.session_changed", "", fmt.Sprintf(`{"type":"custom","data":{"n":%d,"pad":"%s"}}`, i, pad))
	}
	slow := pieces{f}
	for next := 0; next < sent; {
		frame, err := wire.ReadFrame(slow, wire.MaxReply)
		must(t, err)
		m, err := wire.ParseMessage(frame)
		must(t, err)
		var p struct {
			Data struct {
				N     int `json:"n"`
				Count int `json:"lagged_count"`
			} `json:"data"`
		}
		must(t, wire.Decode(m.Payload, &p))
		switch {
		case m.Topic == "astrid.v1.event_bus.lagged":
			next += p.Data.Count
		case m.Topic != "agent.v1.session_changed" || p.Data.N != next:
			t.Fatalf("%s %s instead of %d", m.Topic, m.Payload, next)
		default:
			next++
		}
	}
}

// pieces reads at most seven bytes at a time.
type pieces struct{ frontend }

func (p pieces) Read(b []byte) (int, error) { return p.frontend.Read(b[:min(len(b), 7)]) }
