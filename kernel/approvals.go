package kernel

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"astrid/kernel/approve"
	"astrid/kernel/cap"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// approvals is the desk of approvals as the operation table sees it.
type approvals struct{ k *Kernel }

var _ op.Approvals = approvals{}

// Ask implements op.Approvals.
func (a approvals) Ask(ctx context.Context, req wire.AskApproval) (wire.AskReply, error) {
	timeout, err := seconds(req.Timeout)
	if err != nil {
		return wire.AskReply{}, err
	}
	r := approve.Request{
		Action: req.Action, Resource: req.Resource, Reason: req.Reason, Risk: req.Risk,
		Principal: op.CallerOf(ctx).User, Session: req.Session,
	}
	if req.Defer {
		return reply(a.k.Approvals.Defer(ctx, r))
	}
	return reply(a.k.Approvals.Ask(ctx, r, min(timeout, approve.DeferredFor)))
}

func reply(a approve.Answer, err error) (wire.AskReply, error) { return wire.AskReply(a), err }

// Pending implements op.Approvals: who may not answer a request, and has not made
// it, does not see it.
func (a approvals) Pending(ctx context.Context, _ wire.None) ([]wire.Approval, error) {
	all, err := a.k.Approvals.Pending()
	list := []wire.Approval{}
	c := op.CallerOf(ctx)
	for _, r := range all {
		own := r.Principal == c.User && (c.Session == "" || c.Session == r.Session)
		if own || a.k.Ops.Permit(c, op.CapabilityApprove, r.Session) == nil {
			list = append(list, wire.Approval(r))
		}
	}
	return list, err
}

// Answer implements op.Approvals.
func (a approvals) Answer(ctx context.Context, req wire.AnswerApproval) (wire.AskReply, error) {
	return reply(a.k.Approvals.Answer(ctx, req.ID, req.Decision, req.Reason, op.CallerOf(ctx).User))
}

// SessionOf implements op.Approvals.
func (a approvals) SessionOf(request string) string {
	if s := a.k.Questions.SessionOf(request); s != "" {
		return s
	}
	return a.k.Approvals.SessionOf(request)
}

// domainApprove begins what is signed to approve a request:
//
//	"astrid approve capability 1\0" LP(request id) LP(capabilities)
//
// LP is a little-endian u32 length and the bytes; capabilities are those that
// the answer needs, capability:approve.
const domainApprove = "astrid approve capability 1\x00"

// ApprovalBytes are the bytes whose Ed25519 signature, by the key of a user who
// may answer the request, approves it in ApproveCapability.
func ApprovalBytes(request string) []byte {
	out := []byte(domainApprove)
	for _, text := range []string{request, op.CapabilityApprove.String()} {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(text)))
		out = append(out, text...)
	}
	return out
}

// Approve implements op.Approvals: an entitled caller needs no signature, and a
// signature of an entitled user needs no entitled caller.
func (a approvals) Approve(ctx context.Context, req wire.ApproveCapability) (wire.AskReply, error) {
	by := op.CallerOf(ctx)
	session := a.SessionOf(req.RequestID)
	err := a.k.Ops.Permit(by, op.CapabilityApprove, session)
	if err != nil && req.Signature != "" {
		by.User, err = a.signer(req, session)
	}
	if err != nil {
		return wire.AskReply{}, err
	}
	return reply(a.k.Approvals.Answer(ctx, req.RequestID, approve.Once, "", by.User))
}

// signer finds the user who signed and may answer.
func (a approvals) signer(req wire.ApproveCapability, session string) (string, error) {
	bad := fault.New(fault.Denied, "the signature is of nobody who may answer this request")
	signature, err := base64.StdEncoding.DecodeString(req.Signature)
	if err != nil || len(signature) != ed25519.SignatureSize {
		return "", bad
	}
	users, err := a.k.Identity.Users()
	if err != nil {
		return "", err
	}
	for _, u := range users {
		if len(u.PublicKey) != ed25519.PublicKeySize || !ed25519.Verify(u.PublicKey, ApprovalBytes(req.RequestID), signature) {
			continue
		}
		if a.k.Ops.Permit(a.k.caller(u.ID), op.CapabilityApprove, session) == nil {
			return u.ID, nil
		}
	}
	return "", bad
}

// caller is a user as if connected.
func (k *Kernel) caller(user string) op.Caller {
	c := op.Caller{Principal: op.Principal(user), User: user}
	if user == k.Identity.Root() {
		c.Principal = op.Owner
	}
	return c
}

// Allowances implements op.Approvals.
func (a approvals) Allowances(context.Context, wire.None) ([]wire.Allowance, error) {
	list := []wire.Allowance{}
	for _, one := range a.k.Allowances.List() {
		pattern, err := wire.Encode(one.Pattern)
		if err != nil {
			return nil, err
		}
		w := wire.Allowance{
			ID: string(one.ID), Pattern: pattern, Capsule: one.Capsule, Principal: one.Principal, Session: one.Session,
			Created: one.CreatedAt, Expires: one.ExpiresAt, Always: !one.SessionOnly,
		}
		if one.MaxUses > 0 {
			left := int(one.UsesRemaining)
			w.UsesLeft = &left
		}
		list = append(list, w)
	}
	return list, nil
}

// RevokeAllowance implements op.Approvals.
func (a approvals) RevokeAllowance(_ context.Context, req wire.ByID) (wire.Removed, error) {
	err := a.k.Allowances.Revoke(cap.ID(req.ID))
	if fault.Is(err, fault.NotFound) {
		return wire.Removed{}, nil
	}
	return wire.Removed{Removed: err == nil}, err
}

// memory is what approvals left behind, as the desk asks for it.
type memory struct{ *cap.Allowances }

var _ approve.Memory = memory{}

// noSession stands for requests that are about no session.
const noSession = "-"

// Allowed implements approve.Memory.
func (m memory) Allowed(r approve.Request) (bool, error) {
	session := r.Session
	if session == "" {
		session = noSession
	}
	_, ok, err := m.Match(cap.Request{
		Capsule: r.Capsule, Principal: r.Principal, Session: session,
		Action: cap.Action{Kind: cap.ExecuteCommand, Command: command(r)},
	})
	return ok, err
}

// Allow implements approve.Memory. As in 0.2, an approval of an action whose
// resource is its command line is good for every such command; any other is good
// for the very same action and resource.
func (m memory) Allow(r approve.Request, decision string) error {
	a := cap.Allowance{Capsule: r.Capsule, Principal: r.Principal, Session: r.Session}
	if a.Session == "" {
		a.Session = noSession
	}
	a.Pattern = cap.Pattern{Type: cap.CommandPattern, Command: escape(command(r))}
	switch decision {
	case approve.Once:
		a.MaxUses, a.ExpiresAt = 1, time.Now().Add(approve.DeferredFor)
	case approve.Session:
		a.SessionOnly = true
	}
	if decision != approve.Once && isLine(r) {
		a.Pattern = cap.CommandPrefix(r.Action)
	}
	_, err := m.Add(a)
	return err
}

// mark keeps the parts of what an allowance is about apart: no text of a request
// has a control character, and the words of a command are not cut at this one.
const mark = "\x1f"

// command is what an allowance for a request is about, one text for each request
// that is another one. The mark at the end of a command line is a word more, for
// which a prefix has room; without one an allowance of before there were marks
// is good for nothing.
func command(r approve.Request) string {
	if isLine(r) {
		return r.Resource + " " + mark
	}
	return mark + r.Action + mark + " " + r.Resource
}

// isLine tells whether the resource of a request is its command line.
func isLine(r approve.Request) bool {
	return r.Resource == r.Action || strings.HasPrefix(r.Resource, r.Action+" ")
}

// escape takes the meaning of glob characters away.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`).Replace(text)
}
