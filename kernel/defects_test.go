package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"astrid/kernel"
	"astrid/kernel/bus"
	"astrid/kernel/cap"
	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/store"
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

func TestD20WhatIsAllowedIsAllowedToOneUserInOneSession(t *testing.T) {
	h, _ := served(t)
	owner := dial(t, h)
	asks := []string{"astrid://one/approval:ask", "astrid://two/approval:ask"}
	a, b := dialAs(t, h, newcomer(t, owner, "a", asks...), ""), dialAs(t, h, newcomer(t, owner, "b", asks...), "")
	var r wire.AskReply
	must(t, a.Call(t.Context(), op.Ask, wire.AskApproval{Session: "one", Action: "build", Resource: "build now", Defer: true}, &r))
	must(t, owner.Call(t.Context(), op.Approve, wire.AnswerApproval{ID: r.ID, Decision: "approve_always"}, nil))
	for name, one := range map[string]struct{ got, want string }{
		"the same":        {remembers(t, a, "one", "build"), "allowance"},
		"another action":  {remembers(t, a, "one", "delete"), "deferred"},
		"another session": {remembers(t, a, "two", "build"), "deferred"},
		"another user":    {remembers(t, b, "one", "build"), "deferred"},
		"the owner":       {remembers(t, owner, "one", "build"), "deferred"},
	} {
		if one.got != one.want {
			t.Errorf("%s: %s", name, one.got)
		}
	}
}

func TestD21OnlyWhoIsEntitledAnswers(t *testing.T) {
	h, _ := served(t)
	owner := dial(t, h)
	p := newcomer(t, owner, "p", "astrid://one/approval:*", "astrid://-/*", "astrid://two/**")
	c := dialAs(t, h, p, "")
	var r wire.AskReply
	must(t, c.Call(t.Context(), op.Ask, wire.AskApproval{Session: "one", Action: "a", Resource: "r", Defer: true}, &r))
	denied(t, "answering oneself", c.Call(t.Context(), op.Approve, wire.AnswerApproval{ID: r.ID, Decision: "approve"}, nil))
	denied(t, "approving in the way of 0.2", c.Call(t.Context(), op.ApproveCapability, wire.ApproveCapability{RequestID: r.ID}, nil))
	denied(t, "with a made-up signature", c.Call(t.Context(), op.ApproveCapability,
		wire.ApproveCapability{RequestID: r.ID, Signature: strings.Repeat("A", 86) + "=="}, nil))
	f := enter(t, h, p.token)
	f.send(`{"topic":"astrid.v1.approval.response.` + r.ID + `","payload":{"type":"approval_response","request_id":"` + r.ID + `","decision":"approve"}}`)
	f.send(`{"topic":"astrid.v1.elicit.response.` + r.ID + `","payload":{"type":"approval_response","request_id":"` + r.ID + `","decision":"approve"}}`)
	f.ask("done", "version", "{}")
	f.answer("done")
	var waiting []wire.Approval
	must(t, owner.Call(t.Context(), op.Pending, nil, &waiting))
	if len(waiting) != 1 || waiting[0].ID != r.ID {
		t.Errorf("what waits: %+v", waiting)
	}
	if got := remembers(t, c, "one", "a"); got != "deferred" {
		t.Errorf("it was allowed: %s", got)
	}
	must(t, owner.Call(t.Context(), op.Approve, wire.AnswerApproval{ID: r.ID, Decision: "approve"}, nil))
}

func TestD23ATruncatedAuditLogKeepsTheKernelFromBooting(t *testing.T) {
	h := scratch(t, "h")
	k, _ := boot(t, h)
	c := dial(t, h)
	for _, name := range []string{"one", "two", "three"} {
		must(t, c.Call(t.Context(), op.CreateUser, wire.CreateUser{Name: name}, nil))
	}
	must(t, k.Stop("test"))
	s, err := store.Open(h.Audit(), store.Config{})
	must(t, err)
	records, err := s.Space(store.AuditRecords, store.SpaceOptions{Sync: true})
	must(t, err)
	keys, err := records.List("")
	must(t, err)
	for _, key := range keys[len(keys)-2:] {
		if existed, err := records.Delete(key); !existed || err != nil {
			t.Fatal(existed, err)
		}
	}
	must(t, s.Close())
	must(t, os.WriteFile(h.Config(), []byte("[audit]\non_broken = \"refuse\"\n"), 0o600))
	_, err = kernel.New(t.Context(), kernel.Config{Home: h})
	if err == nil || !strings.HasPrefix(err.Error(), "boot, audit log: ") {
		t.Errorf("with a shorter log it says %v", err)
	}
	must(t, os.Remove(h.Config()))
	k, log := boot(t, h)
	var report wire.AuditReport
	if err := dial(t, h).Call(t.Context(), op.AuditVerify, nil, &report); err == nil && report.Bad == 0 {
		t.Errorf("verified: %+v", report)
	}
	if !strings.Contains(log.String(), "audit") || !strings.Contains(log.String(), "level=ERROR") && !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("it warns of nothing:\n%s", log)
	}
	_ = k.Stop("test")
	_ = os.Remove(h.Lock())
}

func TestD24ATokenOfAnotherIssuerGrantsNothing(t *testing.T) {
	h := scratch(t, "h")
	k, _ := boot(t, h)
	p := newcomer(t, dial(t, h), "p")
	must(t, k.Stop("test"))
	forge(t, h, p)
	k, _ = boot(t, h)
	denied(t, "a forged token", dialAs(t, h, p, "").Call(t.Context(), op.Log, nil, nil))
	must(t, k.Stop("test"))
	_ = os.Remove(h.Lock())
}

// forge puts a token for everything into the store of a home, signed by a key
// that nobody trusts.
func forge(t *testing.T, h home.Home, p person) {
	t.Helper()
	s, err := store.Open(h.State(), store.Config{})
	must(t, err)
	other, err := store.Open(t.TempDir(), store.Config{})
	must(t, err)
	c := cap.Config{Key: cap.NewKey([32]byte{1})}
	for ns, space := range map[store.Namespace]**store.Space{store.CapTokens: &c.Tokens, store.CapRevoked: &c.Revoked, store.CapUsed: &c.Used} {
		*space, err = other.Space(ns, store.SpaceOptions{})
		must(t, err)
	}
	mint, err := cap.Open(c)
	must(t, err)
	id, err := wire.UUIDBytes(p.id)
	must(t, err)
	token, err := mint.Mint(cap.Grant{User: cap.UserID(id[:8]), Resource: "astrid://**", Permissions: []cap.Permission{cap.Invoke}})
	must(t, err)
	data, err := c.Tokens.Get(string(token.ID))
	must(t, err)
	into, err := s.Space(store.CapTokens, store.SpaceOptions{Sync: true})
	must(t, err)
	must(t, into.Set(string(token.ID), data))
	must(t, errors.Join(s.Close(), other.Close()))
}

func TestD28AClientHearsOfItsOwnSessionsOnly(t *testing.T) {
	h, _ := served(t)
	owner := dial(t, h)
	a := newcomer(t, owner, "a", "astrid://one/session:read", "astrid://-/bus:read")
	b := newcomer(t, owner, "b", "astrid://two/session:read", "astrid://-/bus:read")
	ears := map[string]frontend{"one": enter(t, h, a.token), "two": enter(t, h, b.token)}
	narrow := dialAs(t, h, person{token: strings.TrimSpace(read(t, h.Token()))}, "two")
	for i := range 50 {
		for _, session := range []string{"one", "two"} {
			publish(t, owner, "agent.v1.response", session, fmt.Sprintf(`{"type":"agent_response","text":"%s %d","is_final":true,"session_id":"default"}`, session, i))
		}
	}
	for session, f := range ears {
		for i := range 50 {
			if m := f.message(); !strings.Contains(string(m.Payload), fmt.Sprintf(`"%s %d"`, session, i)) {
				t.Fatalf("who may read %s heard %s", session, m.Payload)
			}
		}
	}
	for name, c := range map[string]*client.Client{"b": dialAs(t, h, b, ""), "narrowed": narrow} {
		for _, e := range events(t, c) {
			if e.Session == "one" {
				t.Errorf("%s sees %+v", name, e)
			}
		}
	}
}

func TestD30AWorkspaceAddsNoIdentityLinks(t *testing.T) {
	h := scratch(t, "h")
	k, log := boot(t, h)
	t.Cleanup(func() { _ = k.Stop("test") })
	dir := project(t)
	must(t, os.Mkdir(filepath.Join(dir, ".astrid"), 0o755))
	write(t, filepath.Join(dir, ".astrid", "config.toml"),
		"[[identity.links]]\nplatform = \"chat\"\nplatform_user_id = \"mallory\"\nastrid_user = \"root\"\n[security]\napproval_timeout_secs = 0.01\n")
	s := up(t, h, dir)
	c := dial(t, h)
	var r wire.AskReply
	must(t, c.Call(t.Context(), op.Ask, wire.AskApproval{Session: s.Name, Action: "a", Resource: "r"}, &r)) // reads the file
	if r.Approved || r.Reason != "nobody answered in time" {
		t.Errorf("%+v", r)
	}
	var users []wire.User
	must(t, c.Call(t.Context(), op.Users, nil, &users))
	if text := fmt.Sprint(users); strings.Contains(text, "mallory") {
		t.Error(text)
	}
	if !strings.Contains(log.String(), "a workspace may not add identity links") {
		t.Error("nobody was told")
	}
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
	exe, _ := os.Executable()
	k, err := kernel.New(t.Context(), kernel.Config{Home: h, Exe: exe, Environ: environ(), StopTimeout: 2 * time.Second})
	must(t, err)
	c := dial(t, h)
	asked := make(chan error, 1)
	go func() {
		asked <- c.Call(context.Background(), op.Ask, wire.AskApproval{Action: "a", Resource: "r"}, nil)
	}()
	eventually(t, "it waits", func() bool { list, _ := k.Approvals.Pending(); return len(list) == 1 })
	must(t, k.Stop("test"))
	if err := <-asked; err == nil {
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
