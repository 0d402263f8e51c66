package cap

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"astrid/kernel/fault"
)

func TestPatternsAndAllowancesInJSON(t *testing.T) {
	for want, p := range map[string]Pattern{
		`{"type":"exact_tool","server":"s","tool":"t"}`:                            {Type: ExactTool, Server: "s", Tool: "t"},
		`{"type":"network_host","host":"h","ports":null}`:                          {Type: NetworkHost, Host: "h"},
		`{"type":"network_host","host":"h","ports":[80]}`:                          {Type: NetworkHost, Host: "h", Ports: []uint16{80}},
		`{"type":"command_pattern","command":"git *"}`:                             CommandPrefix("git"),
		`{"type":"workspace_relative","pattern":"a","permission":"read"}`:          {Type: WorkspaceRelative, Pattern: "a", Permission: Read},
		`{"type":"capsule_capability","capsule_id":"c","capability":"file_write"}`: {Type: CapsuleCapability, CapsuleID: "c", Capability: "file_write"},
	} {
		text, err := json.Marshal(p)
		if err != nil || string(text) != want {
			t.Errorf("%s, %v, want %s", text, err, want)
		}
		var back Pattern
		if err := json.Unmarshal(text, &back); err != nil || cmp.Diff(p, back) != "" {
			t.Errorf("%s comes back as %+v, %v", text, back, err)
		}
	}
	a := Allowance{ID: golden().ID, Pattern: CommandPrefix("git"), CreatedAt: golden().IssuedAt, Principal: "p"}
	text, err := json.Marshal(a)
	want := `{"id":"11111111-2222-4333-8444-555555555555","action_pattern":{"type":"command_pattern","command":"git *"},` +
		`"created_at":"2026-03-15T00:00:00Z","expires_at":null,"max_uses":null,"uses_remaining":null,"session_only":false,` +
		`"workspace_root":null,"capsule_id":null,"principal":"p","session":null}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
}

// asks is a request of a capsule for a command.
func asks(capsule, principal, session string) Request {
	return Request{Capsule: capsule, Principal: principal, Session: session, Workspace: "/w", Action: Action{Kind: ExecuteCommand, Command: "git status"}}
}

func (b *bench) match(r Request) bool {
	b.t.Helper()
	_, ok, err := b.allow.Match(r)
	if err != nil {
		b.t.Error(err)
	}
	return ok
}

func (b *bench) add(a Allowance) Allowance {
	b.t.Helper()
	if a.Pattern.Type == "" {
		a.Pattern = CommandPrefix("git")
	}
	added, err := b.allow.Add(a)
	if err != nil {
		b.t.Fatal(err)
	}
	return added
}

func TestAnAllowanceIsBoundToCapsulePrincipalAndSession(t *testing.T) {
	b := newBench(t)
	b.add(Allowance{Capsule: "c", Principal: "p", Session: "s", SessionOnly: true, Workspace: "/w"})
	elsewhere := asks("c", "p", "s")
	elsewhere.Workspace = "/x"
	for name, c := range map[string]struct {
		request Request
		want    bool
	}{
		"who it is for":     {asks("c", "p", "s"), true},
		"another capsule":   {asks("d", "p", "s"), false},
		"no capsule":        {asks("", "p", "s"), false},
		"another principal": {asks("c", "q", "s"), false},
		"nobody":            {asks("c", "", "s"), false},
		"another session":   {asks("c", "p", "t"), false},
		"no session":        {asks("c", "p", ""), false},
		"another workspace": {elsewhere, false},
	} {
		if got := b.match(c.request); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, a := range map[string]Allowance{
		"for nobody":           {},
		"name the session":     {Principal: "p", SessionOnly: true},
		"clean absolute path":  {Principal: "p", Workspace: "/w/"},
		"have expired":         {Principal: "p", ExpiresAt: b.clock.Now()},
		"invalid action pat":   {Principal: "p", Pattern: Pattern{Type: "x"}},
		"must name the progra": {Principal: "p", Pattern: Pattern{Type: CommandPattern, Command: "*"}},
	} {
		if a.Pattern.Type == "" {
			a.Pattern = CommandPrefix("git")
		}
		_, err := b.allow.Add(a)
		wantKind(t, err, fault.Usage, name)
	}
}

func TestUsesAreCountedOverRacesAndRestarts(t *testing.T) {
	b := newBench(t)
	added := b.add(Allowance{Principal: "p", MaxUses: 5})
	if a, ok, err := b.allow.Match(asks("", "p", "any")); !ok || err != nil || a.ID != added.ID || a.UsesRemaining != 4 {
		t.Errorf("%+v, %v, %v", a, ok, err)
	}
	b.restart()
	var used atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if b.match(asks("", "p", "s")) {
				used.Add(1)
			}
		})
	}
	wg.Wait()
	if used.Load() != 4 {
		t.Errorf("used %d times more", used.Load())
	}
	for range 2 {
		if b.match(asks("", "p", "s")) || len(b.allow.List()) != 0 {
			t.Error("used up, and still there")
		}
		b.restart()
	}
}

func TestOnlyWhatIsForAlwaysIsOnDisk(t *testing.T) {
	b := newBench(t)
	b.add(Allowance{Principal: "p", Session: "s", SessionOnly: true, MaxUses: 2})
	always := b.add(Allowance{Principal: "q", Session: "s"})
	if keys, err := b.allow.config.Space.List(""); err != nil || len(keys) != 1 || keys[0] != string(always.ID) {
		t.Errorf("%v, %v", keys, err)
	}
	if n := b.allow.ClearSession("s"); n != 1 {
		t.Errorf("%d cleared", n)
	}
	if b.match(asks("", "p", "s")) || !b.match(asks("", "q", "s")) {
		t.Error("the wrong one was cleared")
	}
	b.restart()
	if diff := cmp.Diff([]Allowance{always}, b.allow.List()); diff != "" {
		t.Error(diff)
	}
	if err := b.allow.Revoke(always.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, b.allow.Revoke(always.ID), fault.NotFound, "there is no allowance")
	b.restart()
	if b.match(asks("", "q", "s")) {
		t.Error("revoked, and back")
	}
}

func TestAllowancesExpire(t *testing.T) {
	b := newBench(t)
	b.add(Allowance{Principal: "p", ExpiresAt: b.clock.Now().Add(time.Minute)})
	b.clock.advance(time.Minute - 1)
	if !b.match(asks("", "p", "s")) {
		t.Error("too early")
	}
	b.clock.advance(1)
	if b.match(asks("", "p", "s")) || len(b.allow.List()) != 0 {
		t.Error("too late")
	}
	b.add(Allowance{Principal: "q"})
	if keys, err := b.allow.config.Space.List(""); err != nil || len(keys) != 1 {
		t.Errorf("on disk: %v, %v", keys, err)
	}
}

func TestTheChoiceAmongAllowancesIsDeterministic(t *testing.T) {
	b := newBench(t)
	soon, late := b.clock.Now().Add(time.Minute), b.clock.Now().Add(time.Hour)
	var want []ID
	for _, a := range []Allowance{{}, {ExpiresAt: late}, {ExpiresAt: soon}, {MaxUses: 1}, {MaxUses: 1}, {MaxUses: 1, ExpiresAt: soon}} {
		a.Principal = "p"
		want = append(want, b.add(a).ID)
		b.clock.advance(time.Second)
	}
	for _, id := range want {
		a, ok, err := b.allow.Match(asks("", "p", "s"))
		if !ok || err != nil || a.ID != id {
			t.Errorf("%+v, %v, %v", a, ok, err)
		}
		if err := b.allow.Revoke(id); err != nil && !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	}
}

func TestATamperedAllowanceIsIgnored(t *testing.T) {
	b := newBench(t)
	a := b.add(Allowance{Principal: "p", MaxUses: 1})
	p := b.allow.config.Space
	stored, err := p.Get(string(a.ID))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := sealAllowance(testKey(9), a)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ key, value string }{
		"more uses":          {string(a.ID), strings.Replace(string(stored), `remaining":1`, `remaining":9`, 1)},
		"another key":        {string(a.ID), string(foreign)},
		"a signature only":   {string(a.ID), string(stored[:64])},
		"nothing":            {string(a.ID), ""},
		"under another name": {string(newID(false)), string(stored)},
	} {
		if _, err := p.Clear(""); err != nil {
			t.Fatal(err)
		}
		if err := p.Set(c.key, []byte(c.value)); err != nil {
			t.Fatal(err)
		}
		b.restart()
		p = b.allow.config.Space
		if b.match(asks("", "p", "s")) {
			t.Errorf("%s: allowed", name)
		}
	}
}

func TestTheNumberOfAllowancesIsBounded(t *testing.T) {
	b := newBench(t)
	for range MaxAllowances {
		b.add(Allowance{Principal: "p", Session: "s", SessionOnly: true})
	}
	_, err := b.allow.Add(Allowance{Principal: "p", Pattern: CommandPrefix("git")})
	wantKind(t, err, fault.Limit, "4096 allowances")
}

func TestADiskThatFailsAllowsNothing(t *testing.T) {
	b := newBench(t)
	b.add(Allowance{Principal: "p", MaxUses: 2})
	if err := b.state.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.allow.Match(asks("", "p", "s")); ok || !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v, %v", ok, err)
	}
}

func FuzzOpenAllowance(f *testing.F) {
	sealed, err := sealAllowance(testKey(0), Allowance{ID: golden().ID, Pattern: CommandPrefix("git"), CreatedAt: golden().IssuedAt, Principal: "p"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed[64:])
	f.Add([]byte(`{"action_pattern":{"type":"network_host","ports":[1]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var a Allowance
		if json.Unmarshal(text, &a) != nil {
			return
		}
		_, _ = a.Pattern.compile()
		again, err := sealAllowance(testKey(0), a)
		if err != nil {
			t.Fatal(err)
		}
		back, err := openAllowance(testKey(0).Public(), again)
		if err != nil || cmp.Diff(a, back) != "" {
			t.Errorf("%+v comes back as %+v, %v", a, back, err)
		}
	})
}
