package kernel_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"astrid/kernel"
	"astrid/kernel/cap"
	"astrid/kernel/client"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// Defects of 0.2 about who may do what, and what is recorded of it.

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
