package optest

import (
	"context"
	"fmt"
	"io"
	"sync"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// Services are the other services of a table: they answer each request with
// fixed values and remember that it was made.
type Services struct {
	mu   sync.Mutex
	hits []string // guarded by mu
}

// Calls returns the names of the methods called so far.
func (s *Services) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.hits...)
}

func (s *Services) hit(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hits = append(s.hits, name)
}

// Metrics writes one counter.
func (k *Kernel) Metrics(_ context.Context, _ wire.None, w io.Writer) error {
	_, err := io.WriteString(w, "astrid_up 1\n")
	return err
}

// Log writes one line.
func (k *Kernel) Log(_ context.Context, _ wire.LogRequest, w io.Writer) error {
	_, err := io.WriteString(w, "level=INFO msg=test\n")
	return err
}

// Identity is a table of one user, root.
type Identity struct{ *Services }

// Capabilities is a store of one token.
type Capabilities struct{ *Services }

// Approvals has one request that waits, "1", about the session x.
type Approvals struct{ *Services }

// Audit is a log of one record.
type Audit struct{ *Services }

// Bus is a bus that has carried one message.
type Bus struct{ *Services }

// Capsules has one, demo.
type Capsules struct{ *Services }

// State is a store in which every key has the value "v".
type State struct{ *Services }

var (
	_ op.Identity     = Identity{}
	_ op.Capabilities = Capabilities{}
	_ op.Approvals    = Approvals{}
	_ op.Audit        = Audit{}
	_ op.Bus          = Bus{}
	_ op.State        = State{}
	_ op.Capsules     = Capsules{}
)

func root() wire.User {
	return wire.User{ID: "u", Name: "root", Created: epoch(), Links: []wire.UserLink{}}
}

// Users lists root.
func (i Identity) Users(context.Context, wire.None) ([]wire.User, error) {
	i.hit("users")
	return []wire.User{root()}, nil
}

// CreateUser makes one.
func (i Identity) CreateUser(_ context.Context, req wire.CreateUser) (wire.User, error) {
	i.hit("create " + req.Name)
	return wire.User{ID: "v", Name: req.Name, Created: epoch()}, nil
}

// Link links.
func (i Identity) Link(_ context.Context, req wire.LinkUser) (wire.UserLink, error) {
	i.hit("link " + req.Account)
	return wire.UserLink{Platform: req.Platform, Account: req.Account, User: req.User, Linked: epoch()}, nil
}

// Unlink removes.
func (i Identity) Unlink(_ context.Context, req wire.UnlinkUser) (wire.Removed, error) {
	i.hit("unlink " + req.Account)
	return wire.Removed{Removed: true}, nil
}

// Tokens lists none.
func (i Identity) Tokens(context.Context, wire.None) ([]wire.TokenInfo, error) {
	i.hit("tokens")
	return []wire.TokenInfo{}, nil
}

// MintToken mints.
func (i Identity) MintToken(_ context.Context, req wire.MintToken) (wire.MintedToken, error) {
	i.hit("mint " + req.User)
	return wire.MintedToken{TokenInfo: wire.TokenInfo{ID: "t", User: req.User}, Token: fmt.Sprintf("%064d", 7)}, nil
}

// RevokeToken revokes.
func (i Identity) RevokeToken(_ context.Context, req wire.ByID) (wire.Removed, error) {
	i.hit("revoke " + req.ID)
	return wire.Removed{Removed: true}, nil
}

// List lists one.
func (c Capabilities) List(context.Context, wire.None) ([]wire.Capability, error) {
	c.hit("caps")
	return []wire.Capability{{ID: "c", Resource: "astrid://x/session:read", Permissions: []string{"invoke"}, Scope: "persistent", State: "live", User: "u", Issued: epoch()}}, nil
}

// Grant grants.
func (c Capabilities) Grant(_ context.Context, req wire.GrantCapability) (wire.Capability, error) {
	c.hit("grant " + req.Resource)
	return wire.Capability{ID: "d", Resource: req.Resource, Permissions: req.Permissions, User: req.User, Issued: epoch()}, nil
}

// Revoke revokes.
func (c Capabilities) Revoke(_ context.Context, req wire.RevokeCapability) (wire.Revoked, error) {
	c.hit("revoke " + req.ID)
	return wire.Revoked{Revoked: 1}, nil
}

// Add adds.
func (c Capabilities) Add(context.Context, wire.AddCapability) (wire.Capability, error) {
	c.hit("add")
	return wire.Capability{ID: "e", Resource: "mcp://x:y", Permissions: []string{"read"}, User: "u", Issued: epoch()}, nil
}

// Ask is approved by root.
func (a Approvals) Ask(_ context.Context, req wire.AskApproval) (wire.AskReply, error) {
	a.hit("ask " + req.Action)
	return wire.AskReply{ID: "1", Approved: true, Decision: "approve", By: "u"}, nil
}

// Pending lists the request.
func (a Approvals) Pending(context.Context, wire.None) ([]wire.Approval, error) {
	a.hit("pending")
	return []wire.Approval{{ID: "1", Action: "act", Resource: "res", Risk: "low", Session: "x", Asked: epoch(), Expires: epoch()}}, nil
}

// Answer answers the request and knows no other.
func (a Approvals) Answer(_ context.Context, req wire.AnswerApproval) (wire.AskReply, error) {
	a.hit("answer " + req.ID + " " + req.Decision)
	if req.ID != "1" && req.ID != "" {
		return wire.AskReply{}, fault.New(fault.NotFound, "no request %q waits", req.ID)
	}
	return wire.AskReply{ID: req.ID, Approved: req.Decision != "deny", Decision: req.Decision, By: "u"}, nil
}

// Approve is Answer.
func (a Approvals) Approve(ctx context.Context, req wire.ApproveCapability) (wire.AskReply, error) {
	return a.Answer(ctx, wire.AnswerApproval{ID: req.RequestID, Decision: "approve"})
}

// Questions lists the question, which has the id of the request.
func (a Approvals) Questions(context.Context, wire.None) ([]wire.Question, error) {
	a.hit("questions")
	return []wire.Question{{
		ID: "1", Message: "how many", Capsule: "c", Session: "x", Asked: epoch(), Expires: epoch(),
		Fields: []wire.QuestionField{{Name: "n", Type: "integer", Required: true}}, Schema: wire.Raw(`{"type":"object"}`),
	}}, nil
}

// AnswerQuestion answers the question and knows no other.
func (a Approvals) AnswerQuestion(_ context.Context, req wire.AnswerQuestion) (wire.Answered, error) {
	a.hit("answer question " + req.ID)
	if req.ID != "1" && req.ID != "" {
		return wire.Answered{}, fault.New(fault.NotFound, "no question %q waits", req.ID)
	}
	return wire.Answered{ID: req.ID, Declined: req.Decline}, nil
}

// Allowances lists none.
func (a Approvals) Allowances(context.Context, wire.None) ([]wire.Allowance, error) {
	a.hit("allowances")
	return []wire.Allowance{}, nil
}

// RevokeAllowance revokes.
func (a Approvals) RevokeAllowance(_ context.Context, req wire.ByID) (wire.Removed, error) {
	a.hit("forget " + req.ID)
	return wire.Removed{Removed: true}, nil
}

// SessionOf is x for the request "1".
func (a Approvals) SessionOf(request string) string {
	if request == "1" {
		return "x"
	}
	return ""
}

// Read returns the record.
func (a Audit) Read(context.Context, wire.ReadAudit) (wire.AuditPage, error) {
	a.hit("read")
	return wire.AuditPage{Head: 1, Records: []wire.AuditRecord{{
		Seq: 1, ID: "r", Time: epoch(), Principal: "u", Hash: "00",
		Action: map[string]string{"type": "boot"}, Authorization: map[string]string{"type": "system"}, Outcome: map[string]string{"status": "success"},
	}}}, nil
}

// Verify finds nothing wrong.
func (a Audit) Verify(context.Context, wire.VerifyAudit) (wire.AuditReport, error) {
	a.hit("verify")
	return wire.AuditReport{Records: 1, Head: 1, Hash: "00", Key: "k"}, nil
}

// Export writes the record.
func (a Audit) Export(_ context.Context, _ wire.None, w io.Writer) error {
	a.hit("export")
	_, err := io.WriteString(w, "{\"seq\":1}\n")
	return err
}

// Status describes it.
func (b Bus) Status(context.Context, wire.None) (wire.BusStatus, error) {
	b.hit("bus")
	return wire.BusStatus{Published: 1, Subscribers: []wire.BusSubscriber{}}, nil
}

// Publish counts.
func (b Bus) Publish(_ context.Context, req wire.PublishRequest) (wire.Published, error) {
	b.hit("publish " + req.Topic)
	return wire.Published{Seq: 2}, nil
}

// Events writes the message and, when asked to follow, waits for the caller.
func (b Bus) Events(ctx context.Context, req wire.EventsRequest, w io.Writer) error {
	b.hit("events")
	if _, err := io.WriteString(w, "{\"seq\":1,\"topic\":\"a\"}\n"); err != nil || !req.Follow {
		return err
	}
	if f, ok := w.(interface{ Flush() error }); ok {
		if err := f.Flush(); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// Get returns "v".
func (s State) Get(_ context.Context, req wire.KVKey) (wire.KVValue, error) {
	s.hit("get " + req.Key)
	return wire.NewKVValue([]byte("v")), nil
}

// Set sets nothing.
func (s State) Set(_ context.Context, req wire.KVSet) (wire.None, error) {
	s.hit("set " + req.Key)
	return wire.None{}, nil
}

// Delete deletes nothing.
func (s State) Delete(_ context.Context, req wire.KVKey) (wire.Removed, error) {
	s.hit("delete " + req.Key)
	return wire.Removed{}, nil
}

// Keys lists one.
func (s State) Keys(context.Context, wire.KVList) (wire.KVKeys, error) {
	s.hit("keys")
	return wire.KVKeys{Keys: []string{"k"}}, nil
}

// Clear clears nothing.
func (s State) Clear(context.Context, wire.KVClear) (wire.Cleared, error) {
	s.hit("clear")
	return wire.Cleared{}, nil
}

// Backup writes a few bytes.
func (s State) Backup(_ context.Context, _ wire.None, w io.Writer) error {
	s.hit("backup")
	_, err := io.WriteString(w, "backup")
	return err
}

// IDs lists none, as a kernel without capsules.
func (c Capsules) IDs(context.Context, wire.None) ([]string, error) {
	c.hit("ids")
	return []string{}, nil
}

// Commands lists none.
func (c Capsules) Commands(context.Context, wire.None) ([]wire.Command, error) {
	c.hit("commands")
	return []wire.Command{}, nil
}

// Metadata lists none.
func (c Capsules) Metadata(context.Context, wire.None) ([]wire.CapsuleMetadata, error) {
	c.hit("metadata")
	return []wire.CapsuleMetadata{}, nil
}

// Infos lists demo.
func (c Capsules) Infos(context.Context, wire.None) ([]wire.CapsuleInfo, error) {
	c.hit("infos")
	return []wire.CapsuleInfo{{ID: "demo", Version: "1.0.0", State: "ready", Since: epoch()}}, nil
}

// Reload reloads.
func (c Capsules) Reload(context.Context, wire.None) (wire.Reloaded, error) {
	c.hit("reload")
	return wire.Reloaded{Status: "reloaded"}, nil
}

// Install installs demo from anywhere.
func (c Capsules) Install(_ context.Context, req wire.InstallCapsule) (wire.Installation, error) {
	c.hit("install " + req.Source)
	return wire.Installation{ID: "demo", Version: "1.0.0", Asks: []string{}}, nil
}

// Trust trusts.
func (c Capsules) Trust(_ context.Context, req wire.TrustCapsule) (wire.Installation, error) {
	c.hit("trust " + req.ID)
	return wire.Installation{ID: "demo", Version: "1.0.0", Asks: []string{}}, nil
}

// Log writes one line.
func (c Capsules) Log(_ context.Context, req wire.CapsuleLog, w io.Writer) error {
	c.hit("log " + req.ID)
	_, err := io.WriteString(w, "level=INFO msg=hello capsule="+req.ID+"\n")
	return err
}

// Remove removes.
func (c Capsules) Remove(_ context.Context, req wire.ByID) (wire.CapsuleSwitched, error) {
	c.hit("remove " + req.ID)
	return wire.CapsuleSwitched{ID: req.ID, State: "removed"}, nil
}

// Enable enables.
func (c Capsules) Enable(_ context.Context, req wire.ByID) (wire.CapsuleSwitched, error) {
	c.hit("enable " + req.ID)
	return wire.CapsuleSwitched{ID: req.ID, State: "ready"}, nil
}

// Disable disables.
func (c Capsules) Disable(_ context.Context, req wire.ByID) (wire.CapsuleSwitched, error) {
	c.hit("disable " + req.ID)
	return wire.CapsuleSwitched{ID: req.ID, State: "disabled"}, nil
}

// Call returns what it was given.
func (c Capsules) Call(_ context.Context, req wire.CallTool) (wire.ToolResult, error) {
	c.hit("call " + req.Tool)
	return wire.ToolResult{Content: string(req.Arguments)}, nil
}
