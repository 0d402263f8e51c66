package kernel_test

import (
	"errors"
	"os"
	"testing"

	"astrid/kernel/approve"
	"astrid/kernel/cap"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// Who is connected with a token that is revoked hears and does nothing more.
func TestARevokedTokenEndsItsConnections(t *testing.T) {
	h, _ := served(t)
	owner := dial(t, h)
	newcomer(t, owner, "p", "astrid://-/kernel:read")
	lost, kept := mint(t, owner, wire.MintToken{User: "p"}), mint(t, owner, wire.MintToken{User: "p"})
	gone, stays := enter(t, h, lost.Token), enter(t, h, kept.Token)
	must(t, owner.Call(t.Context(), op.RevokeToken, wire.ByID{ID: lost.ID}, nil))
	for {
		if _, err := wire.ReadFrame(gone, wire.MaxReply); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it stays connected")
			}
			break
		}
	}
	stays.ask("x", "version", "{}")
	if r := stays.answer("x"); r.Status != wire.StatusSuccess {
		t.Errorf("another token of the same user: %+v", r)
	}
}

// What was allowed is allowed for the same action and resource, not for others
// that read the same when they are written one after the other.
func TestAnAllowanceIsForOneActionAndOneResource(t *testing.T) {
	h, k := served(t)
	c := dial(t, h)
	decision := func(action, resource string) string {
		t.Helper()
		var r wire.AskReply
		must(t, c.Call(t.Context(), op.Ask, wire.AskApproval{Action: action, Resource: resource, Defer: true}, &r))
		return r.Decision
	}
	allow := func(action, resource, how string) {
		t.Helper()
		var r wire.AskReply
		must(t, c.Call(t.Context(), op.Ask, wire.AskApproval{Action: action, Resource: resource, Defer: true}, &r))
		must(t, c.Call(t.Context(), op.Approve, wire.AnswerApproval{ID: r.ID, Decision: how}, nil))
	}
	check := func(when, action, resource, want string) {
		t.Helper()
		if got := decision(action, resource); got != want {
			t.Errorf("%s, %q on %q: %s", when, action, resource, got)
		}
	}
	_, err := k.Allowances.Add(cap.Allowance{ // as kernels made them once
		Principal: k.Identity.Root(), Session: "-", Pattern: cap.Pattern{Type: cap.CommandPattern, Command: "git push origin"},
	})
	must(t, err)
	for _, r := range [][2]string{{"git", "push origin"}, {"git push", "origin"}, {"git", "git push origin"}} {
		check("with an old allowance", r[0], r[1], "deferred")
	}
	allow("git", "push origin", approve.Always)
	check("with a pair", "git", "push origin", "allowance")
	check("with a pair", "git push", "origin", "deferred")
	check("with a pair", "git", "git push origin", "deferred")
	allow("git push", "git push origin", approve.Once)
	check("with a line", "git push", "origin", "deferred")
	check("with a line", "git push", "git push origin", "allowance")
	check("with a line that was used", "git push", "git push origin", "deferred")
	allow("git", "git status", approve.Always)
	check("with every command", "git", "git push origin", "allowance")
	check("with every command", "git push", "origin", "deferred")
}
