package kernel_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"astrid/kernel"
	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// params are good ones for every operation; $R is a request that waits.
func params() map[string]string {
	return map[string]string{
		op.Up: `{"dir":"/","session":"one"}`, op.Down: `{"session":"one"}`, op.Remove: `{"session":"one"}`,
		op.Status: `{"session":"one"}`, op.Changes: `{"session":"one"}`, op.Patch: `{"session":"one"}`, op.Hunks: `{"session":"one"}`, op.Brake: `{"session":"one","reset":true}`,
		op.Commit: `{"session":"one"}`, op.Discard: `{"session":"one"}`, op.Undo: `{"session":"one"}`, op.Redo: `{"session":"one"}`, op.History: `{"session":"one"}`, op.Conflicts: `{"session":"one"}`, op.ConflictSide: `{"session":"one"}`, op.Resolve: `{"session":"one"}`, op.Recover: `{"session":"one"}`,
		op.Checkpoint: `{"session":"one"}`, op.Checkpoints: `{"session":"one"}`, op.DropPoint: `{"session":"one","names":["c1"]}`, op.Rollback: `{"session":"one","to":"c1"}`, op.Fork: `{"session":"one","name":"f"}`,
		op.CreateUser: `{"name":"new"}`, op.LinkUser: `{"platform":"chat","platform_user_id":"x","user":"victim"}`,
		op.UnlinkUser: `{"platform":"chat","platform_user_id":"victim"}`, op.MintToken: `{"user":"victim","session":"one"}`, op.RevokeToken: `{"id":"$T"}`,
		op.GrantCap: `{"user":"victim","resource":"astrid://**","permissions":["invoke"]}`, op.RevokeCap: `{"id":"$C"}`,
		op.Ask: `{"session":"one","action":"a","resource":"r","defer":true}`, op.Approve: `{"request_id":"$R","decision":"approve_always"}`,
		op.RevokeAllowance: `{"id":"$A"}`, op.Publish: `{"topic":"a.b","session":"one","payload":{}}`,
		op.KVGet: `{"namespace":"capsule:c","key":"k"}`, op.KVSet: `{"namespace":"capsule:c","key":"k","text":"changed"}`,
		op.KVDelete: `{"namespace":"capsule:c","key":"k"}`, op.KVKeys: `{"namespace":"capsule:c"}`, op.KVClear: `{"namespace":"capsule:c"}`,
		op.InstallCapsule: `{"source":"/x","workspace":false}`, op.TrustCapsule: `{"id":"x"}`, op.LogOfCapsule: `{"id":"x"}`, op.ApproveCapability: `{"request_id":"$R","signature":""}`,
	}
}

// siege is a kernel with something of everything in it, and who tries to get at it.
type siege struct {
	t      *testing.T
	h      home.Home
	k      *kernel.Kernel
	owner  *client.Client
	params map[string]string
	base   string
}

func besiege(t *testing.T) *siege {
	t.Helper()
	h := scratch(t, "h")
	k, _ := boot(t, h)
	t.Cleanup(func() { _ = k.Stop("test") })
	s := &siege{t: t, h: h, k: k, owner: dial(t, h), params: params(), base: project(t)}
	var made wire.Session
	must(t, s.owner.Call(t.Context(), op.Up, wire.Up{Dir: s.base, Session: "one"}, &made))
	write(t, filepath.Join(made.Workspace, "g"), "uncommitted\n")
	var victim wire.User
	must(t, s.owner.Call(t.Context(), op.CreateUser, wire.CreateUser{Name: "victim"}, &victim))
	must(t, s.owner.Call(t.Context(), op.LinkUser, wire.LinkUser{Platform: "chat", Account: "victim", User: "victim"}, nil))
	must(t, s.owner.Call(t.Context(), op.KVSet, wire.KVSet{KVKey: wire.KVKey{Namespace: "capsule:c", Key: "k"}, KVValue: wire.NewKVValue([]byte("secret"))}, nil))
	var r wire.AskReply
	must(t, s.owner.Call(t.Context(), op.Ask, wire.AskApproval{Session: "one", Action: "x", Resource: "x y", Defer: true}, &r))
	must(t, s.owner.Call(t.Context(), op.Approve, wire.AnswerApproval{ID: r.ID, Decision: "approve_always"}, nil))
	var allowed []wire.Allowance
	must(t, s.owner.Call(t.Context(), op.Allowances, nil, &allowed))
	must(t, s.owner.Call(t.Context(), op.Ask, wire.AskApproval{Session: "one", Action: "burn", Resource: "house", Defer: true}, &r))
	names := strings.NewReplacer("$R", r.ID, "$A", allowed[0].ID, "$T", mint(t, s.owner, wire.MintToken{User: "victim"}).ID,
		"$C", grant(t, s.owner, "victim", "astrid://one/session:read").ID)
	for method, p := range s.params {
		s.params[method] = names.Replace(p)
	}
	return s
}

// try runs an operation for a client and returns what comes of it, its bytes too.
func (s *siege) try(c *client.Client, method string) (string, error) {
	var reply wire.Raw
	var out bytes.Buffer
	p := s.params[method]
	if p == "" {
		p = "{}"
	}
	err := c.CallStream(s.t.Context(), method, wire.Raw(p), &reply, &out)
	return string(reply) + out.String(), err
}

// state is everything that an attacker could want to change.
func (s *siege) state() string {
	s.t.Helper()
	var b strings.Builder
	for _, method := range []string{op.List, op.Users, op.Tokens, op.Caps, op.Pending, op.Allowances, op.KVGet, op.KVKeys, op.Changes} {
		got, err := s.try(s.owner, method)
		must(s.t, err)
		fmt.Fprintln(&b, method, got)
	}
	names, err := os.ReadDir(s.base)
	fmt.Fprintln(&b, names, err, s.k.Ops.Closed(), len(s.k.Bus.Stats().Subscribers))
	return b.String()
}

// refuse demands that a client is denied every operation of these, that each
// denial is recorded, and that nothing has changed.
func (s *siege) refuse(who string, c *client.Client, user string, methods []string) {
	s.t.Helper()
	before, since := s.state(), len(auditLog(s.t, s.owner))
	for _, method := range methods {
		if got, err := s.try(c, method); !fault.Is(err, fault.Denied) {
			s.t.Errorf("%s: %s: %.200s, %v", who, method, got, err)
		}
	}
	missing := func() []string {
		left := slices.Clone(methods)
		for _, r := range auditLog(s.t, s.owner)[since:] {
			if r.Action["type"] == "denial" && r.Principal == user && r.Authorization["type"] == "denied" {
				left = slices.DeleteFunc(left, func(m string) bool { return m == r.Action["what"] })
			}
		}
		return left
	}
	eventually(s.t, who+": each denial is recorded", func() bool { return len(missing()) == 0 })
	if after := s.state(); after != before {
		s.t.Errorf("%s: it was\n%sand is\n%s", who, before, after)
	}
}

func (s *siege) methods(not ...string) (all []string) {
	for _, e := range s.k.Ops.Entries() {
		if !slices.Contains(not, e.Method) {
			all = append(all, e.Method)
		}
	}
	return all
}

func TestEveryOperationIsRefusedToWhoIsNotEntitled(t *testing.T) {
	s := besiege(t)
	for _, method := range s.methods() { // nobody
		if _, err := s.k.Ops.Do(context.Background(), method, wire.Raw(cmp.Or(s.params[method], "{}")), &bytes.Buffer{}); !fault.Is(err, fault.Denied) {
			t.Errorf("nobody: %s: %v", method, err)
		}
	}
	none := newcomer(t, s.owner, "none")
	s.refuse("without a capability", dialAs(t, s.h, none, ""), none.id, s.methods())
	var elsewhere []string
	for _, c := range op.AllCapabilities() {
		elsewhere = append(elsewhere, "astrid://other/"+c.String())
	}
	other := newcomer(t, s.owner, "other", elsewhere...)
	s.refuse("with every capability on another session", dialAs(t, s.h, other, ""), other.id, s.methods())
	s.refuse("the same, narrowed to it", dialAs(t, s.h, other, "other"), other.id, s.methods())
}

// looks are the operations that tell a connection for one session what there is.
func (s *siege) looks() (all []string) {
	for _, e := range s.k.Ops.Entries() {
		switch e.Need {
		case op.KernelRead, op.SessionList, op.BusRead, op.ApprovalRead, op.CapsuleRead:
			all = append(all, e.Method)
		}
	}
	return all
}

func TestAConnectionForOneSessionReachesNoOther(t *testing.T) {
	s := besiege(t)
	narrow := dialAs(t, s.h, person{token: strings.TrimSpace(read(t, s.h.Token()))}, "other")
	s.refuse("the owner, narrowed to another session", narrow, s.k.Identity.Root(), s.methods(s.looks()...))
	bound := dialAs(t, s.h, person{token: mint(t, s.owner, wire.MintToken{User: "root", Session: "other"}).Token}, "")
	s.refuse("a token of the owner for another session", bound, s.k.Identity.Root(), s.methods(s.looks()...))
	for name, c := range map[string]*client.Client{"narrowed": narrow, "bound": bound} {
		for _, method := range s.looks() {
			got, err := s.try(c, method)
			if err != nil {
				t.Errorf("%s: %s: %v", name, method, err)
			}
			for _, secret := range []string{`"one"`, s.base, "burn", "/one/"} {
				if strings.Contains(got, secret) {
					t.Errorf("%s: %s tells of %s:\n%s", name, method, secret, got)
				}
			}
		}
	}
}

// What a user may look at tells nothing of others.
func TestAUserSeesNothingOfOthers(t *testing.T) {
	s := besiege(t)
	var all []string
	for _, c := range []op.Capability{op.KernelRead, op.SessionList, op.BusRead, op.ApprovalRead, op.ApprovalAsk, op.CapsuleRead} {
		all = append(all, "astrid://-/"+c.String())
	}
	spy := dialAs(t, s.h, newcomer(t, s.owner, "spy", all...), "")
	friend := dialAs(t, s.h, newcomer(t, s.owner, "friend", "astrid://-/approval:ask"), "")
	must(t, friend.Call(t.Context(), op.Ask, wire.AskApproval{Action: "poison", Resource: "well", Defer: true}, nil))
	denied(t, "the friend's attempt", friend.Call(t.Context(), op.KVGet, wire.KVKey{Namespace: "capsule:hush", Key: "k"}, nil))
	publish(t, s.owner, "agent.v1.response", "one", `{"type":"agent_response","text":"whisper","is_final":true,"session_id":"default"}`)
	grant(t, s.owner, "friend", "astrid://one/session:read")
	for _, method := range s.looks() {
		got, err := s.try(spy, method)
		if err != nil {
			t.Errorf("%s: %v", method, err)
		}
		for _, secret := range []string{`"one"`, s.base, "burn", "poison", "whisper", "kv.get", "/one/"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s tells of %s:\n%s", method, secret, got)
			}
		}
	}
}

// What a user was granted does not grow by its own doing.
func TestNobodyRaisesHimself(t *testing.T) {
	h := scratch(t, "h")
	k, _ := boot(t, h)
	owner := dial(t, h)
	victim := newcomer(t, owner, "victim")
	theirs := grant(t, owner, "victim", "astrid://one/**")
	var rights []string
	for _, c := range op.AllCapabilities() {
		switch c {
		case op.KernelShutdown, op.CapabilityApprove, op.SessionCommit, op.KernelLog:
		default:
			rights = append(rights, "astrid://-/"+c.String())
		}
	}
	p := newcomer(t, owner, "mallory", rights...)
	own := grant(t, owner, "mallory", "astrid://two/session:read")
	c := dialAs(t, h, p, "")
	root := k.Identity.Root()
	for what, call := range map[string]struct {
		method string
		params any
	}{
		"a token for root":                    {op.MintToken, wire.MintToken{User: "root"}},
		"a token for root, by id":             {op.MintToken, wire.MintToken{User: root}},
		"a token for another user":            {op.MintToken, wire.MintToken{User: "victim"}},
		"a capability from nothing":           {op.GrantCap, wire.GrantCapability{User: "mallory", Resource: "astrid://**", Permissions: []string{"invoke"}}},
		"somebody else's capability":          {op.GrantCap, wire.GrantCapability{User: "mallory", Resource: "astrid://one/session:read", Permissions: []string{"invoke"}, Parent: theirs.ID}},
		"somebody else's, for him":            {op.GrantCap, wire.GrantCapability{User: "victim", Resource: "astrid://one/session:read", Permissions: []string{"invoke"}, Parent: theirs.ID}},
		"a wider one from his own":            {op.GrantCap, wire.GrantCapability{User: "mallory", Resource: "astrid://*/session:read", Permissions: []string{"invoke"}, Parent: own.ID}},
		"his own, for another user":           {op.GrantCap, wire.GrantCapability{User: "victim", Resource: "astrid://two/session:read", Permissions: []string{"invoke"}, Parent: own.ID}},
		"the account that says who is root":   {op.LinkUser, wire.LinkUser{Platform: "cli", Account: "local", User: "mallory"}},
		"the same, in other letters":          {op.LinkUser, wire.LinkUser{Platform: " CLI ", Account: "local", User: "mallory"}},
		"taking that account away":            {op.UnlinkUser, wire.UnlinkUser{Platform: "cli", Account: "local"}},
		"the hashes of tokens":                {op.KVKeys, wire.KVList{Namespace: "system:tokens"}},
		"a token's record":                    {op.KVGet, wire.KVKey{Namespace: "system:tokens", Key: "token/x"}},
		"a record of his own making":          {op.KVSet, wire.KVSet{KVKey: wire.KVKey{Namespace: "system:tokens", Key: "token/x"}, KVValue: wire.NewKVValue([]byte("{}"))}},
		"a capability of his own making":      {op.KVSet, wire.KVSet{KVKey: wire.KVKey{Namespace: "caps:tokens", Key: "x"}, KVValue: wire.NewKVValue([]byte("{}"))}},
		"forgetting what was revoked":         {op.KVClear, wire.KVClear{Namespace: "caps:revoked"}},
		"an allowance of his own making":      {op.KVSet, wire.KVSet{KVKey: wire.KVKey{Namespace: "allowances", Key: "x"}, KVValue: wire.NewKVValue([]byte("{}"))}},
		"a namespace that is the kernel's":    {op.KVSet, wire.KVSet{KVKey: wire.KVKey{Namespace: "system:anything", Key: "x"}, KVValue: wire.NewKVValue([]byte("{}"))}},
		"all of the state store":              {op.Backup, nil},
		"speaking as the kernel":              {op.Publish, wire.PublishRequest{Topic: "astrid.v1.capsules_loaded", Payload: wire.Raw(`{}`)}},
		"a forged request for approval":       {op.Publish, wire.PublishRequest{Topic: "astrid.v1.approval", Payload: wire.Raw(`{}`)}},
		"a forged answer":                     {op.Publish, wire.PublishRequest{Topic: "astrid.v1.response.1", Payload: wire.Raw(`{}`)}},
		"a forged connection":                 {op.Publish, wire.PublishRequest{Topic: "client.v1.connected", Payload: wire.Raw(`{}`)}},
		"speaking in a session not his":       {op.Publish, wire.PublishRequest{Topic: "agent.v1.response", Session: "one", Payload: wire.Raw(`{}`)}},
		"a stop":                              {op.Shutdown, nil},
		"the kernel's log":                    {op.Log, nil},
		"a commit by another name of the op?": {op.Commit, wire.For[wire.CommitRequest]{Session: "two"}},
	} {
		denied(t, what, c.Call(t.Context(), call.method, call.params, nil))
	}
	if err := c.Call(t.Context(), op.CreateUser, wire.CreateUser{Name: victim.id}, nil); err == nil {
		t.Error("a user was named like another's id")
	}
	must(t, k.Stop("test"))
	k, _ = boot(t, h)
	if k.Identity.Root() != root {
		t.Errorf("after a boot root is %s and was %s", k.Identity.Root(), root)
	}
	denied(t, "a stop, after the next boot", dialAs(t, h, p, "").Call(t.Context(), op.Shutdown, nil, nil))
	must(t, k.Stop("test"))
	_ = os.Remove(h.Lock())
}

// A message that is refused is recorded as an operation that is.
func TestARefusedMessageIsRecorded(t *testing.T) {
	h, _ := served(t)
	owner := dial(t, h)
	p := newcomer(t, owner, "p")
	f := enter(t, h, p.token)
	f.send(`{"topic":"user.v1.prompt","payload":{"type":"user_input","text":"psst"}}`)
	f.ask("x", "version", "{}")
	f.answer("x")
	recorded(t, owner, "the refusal", func(r wire.AuditRecord) bool {
		return r.Action["type"] == "denial" && r.Principal == p.id && r.Action["what"] == op.Publish
	})
	if got := topics(events(t, owner, "user.v1.*")); len(got) > 0 {
		t.Errorf("it was heard: %q", got)
	}
}

// Who may answer a request that is about no session is told of it.
func TestAnApproverHearsWhatItMayAnswer(t *testing.T) {
	h, _ := served(t)
	owner := dial(t, h)
	f := enter(t, h, newcomer(t, owner, "boss", "astrid://-/capability:approve").token)
	var r wire.AskReply
	must(t, owner.Call(t.Context(), op.Ask, wire.AskApproval{Action: "a", Resource: "r", Defer: true}, &r))
	if m := f.message(); m.Topic != "astrid.v1.approval" || !strings.Contains(string(m.Payload), r.ID) {
		t.Errorf("%s %s", m.Topic, m.Payload)
	}
}
