package kernel

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"astrid/kernel/approve"
	"astrid/kernel/audit"
	"astrid/kernel/bus"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/socket"
	"astrid/kernel/wire"
)

// record puts an operation into the audit log before its caller is answered.
func (k *Kernel) record(ctx context.Context, r op.Record) error {
	rec := audit.Record{
		Session: r.Session, Principal: r.Caller.User, Door: string(r.Caller.Door), PID: r.Caller.PID, Time: r.Began,
		Action: action(r), Authorization: authorization(r), Outcome: outcome(r),
	}
	if fault.Is(r.Err, fault.Denied) {
		if !k.admitDenial(r.Caller.User, rec) {
			return nil
		}
		k.tellDenial(rec, "")
		if !r.Audited {
			k.Audit.Note(rec)
			return nil
		}
	}
	if err := k.Audit.Append(ctx, rec); err != nil {
		return err
	}
	k.happened(r)
	return nil
}

// action is what was done, in the words of the log.
func action(r op.Record) audit.Action {
	if fault.Is(r.Err, fault.Denied) {
		return audit.Action{Type: audit.Denial, Fields: audit.Fields{"what": r.Method, "resource": r.Session, "reason": r.Err.Error()}}
	}
	if r.Method == op.CallTool {
		return audit.Action{Type: audit.CapsuleToolCall, Fields: audit.Fields{"tool": r.Subject, "args_hash": hex.EncodeToString(r.Params[:])}}
	}
	switch reply := r.Reply.(type) {
	case wire.CommitReply:
		if r.Err == nil && reply.Number > 0 {
			return commitOf(r.Session, reply.Number, reply.Digest)
		}
	case wire.UndoReply:
		if r.Err == nil && reply.Number > 0 {
			r.Subject = fmt.Sprintf("commit %d, as number %d", reply.Commit, reply.Number)
		}
	case wire.Revoked:
		if r.Err == nil {
			return audit.Action{Type: audit.CapabilityRevoked, Fields: audit.Fields{"token_id": strings.Join(reply.IDs, " "), "reason": r.Method}}
		}
	case wire.Capability:
		if r.Err == nil {
			return audit.Action{Type: audit.CapabilityCreated, Fields: audit.Fields{"token_id": reply.ID, "resource": reply.Resource, "scope": reply.Scope}}
		}
	}
	fields := audit.Fields{"method": r.Method, "session": r.Session, "params_digest": hex.EncodeToString(r.Params[:])}
	if r.Subject != "" {
		fields["subject"] = r.Subject
	}
	return audit.Action{Type: audit.Op, Fields: fields}
}

// outcome is what came of it. A tool that answers with an error has failed.
func outcome(r op.Record) audit.Outcome {
	if reply, ok := r.Reply.(wire.ToolResult); ok && r.Err == nil {
		return resultOutcome(reply)
	}
	return audit.Of(r.Err)
}

func resultOutcome(r wire.ToolResult) audit.Outcome {
	if !r.IsError {
		return audit.Outcome{Success: true}
	}
	return audit.Of(fault.New(fault.Usage, "%.512s", strings.ToValidUTF8(r.Content, "")))
}

func commitOf(session string, number uint64, digest string) audit.Action {
	return audit.Action{Type: audit.Commit, Fields: audit.Fields{"session": session, "number": strconv.FormatUint(number, 10), "digest": digest}}
}

func authorization(r op.Record) audit.Authorization {
	switch {
	case fault.Is(r.Err, fault.Denied):
		return audit.Authorization{Type: audit.Denied, Fields: audit.Fields{"reason": r.Need.String()}}
	case r.Caller.Principal == op.Owner:
		return audit.Authorization{Type: audit.System, Fields: audit.Fields{"reason": "owner"}}
	}
	return audit.Authorization{Type: audit.User, Fields: audit.Fields{"user_id": r.Caller.User}}
}

// happened publishes what an audited operation did, and remembers how far the
// commits of a session are recorded.
func (k *Kernel) happened(r op.Record) {
	if r.Err != nil && !fault.Is(r.Err, fault.HeldBack) {
		return
	}
	switch reply := r.Reply.(type) {
	case wire.CommitReply:
		if reply.Number > 0 {
			k.missed.note(r.Session, reply.Number)
		}
	case wire.UndoReply:
		if reply.Number > 0 {
			k.missed.note(r.Session, reply.Number)
		}
	case wire.Session:
		k.lifecycle("session_created", bus.Message{Session: reply.Name}, map[string]any{"session_id": reply.Name})
	case wire.Revoked:
		for _, id := range reply.IDs {
			k.lifecycle("capability_revoked", bus.Message{Principal: r.Caller.User}, map[string]any{"capability_id": id})
		}
	case wire.Capability:
		about := bus.Message{Session: reply.Session, Principal: cmp.Or(reply.User, k.Identity.Root())}
		k.lifecycle("capability_granted", about, map[string]any{"capability_id": reply.ID, "resource": reply.Resource, "action": r.Method})
	}
	if r.Method == op.Down {
		k.Allowances.ClearSession(r.Session)
		k.Caps.EndSession(r.Session)
		k.lifecycle("session_ended", bus.Message{Session: r.Session}, map[string]any{"session_id": r.Session})
	}
}

// recordApproval puts a request for approval, or the answer to it, into the log.
func (k *Kernel) recordApproval(ctx context.Context, r approve.Request, a *approve.Answer) error {
	rec := audit.Record{
		Session: r.Session, Principal: r.Principal, Door: string(op.CallerOf(ctx).Door), PID: op.CallerOf(ctx).PID,
		Action:        audit.Action{Type: audit.ApprovalRequested, Fields: audit.Fields{"action_type": r.Action, "resource": r.Resource, "risk_level": r.Risk}},
		Authorization: audit.Authorization{Type: audit.NotRequired}, Outcome: audit.Outcome{Success: true, Text: r.ID},
	}
	if a == nil {
		return k.Audit.Append(ctx, rec)
	}
	rec.Action = audit.Action{Type: audit.ApprovalDenied, Fields: audit.Fields{"action": r.Action, "reason": a.Reason}}
	if a.Approved {
		rec.Action = audit.Action{Type: audit.ApprovalGranted, Fields: audit.Fields{"action": r.Action, "resource": r.Resource, "scope": scope(a.Decision)}}
	}
	switch {
	case a.Decision == approve.Allowance:
		rec.Authorization = audit.Authorization{Type: audit.Allowance}
	case a.By != "":
		rec.Authorization = audit.Authorization{Type: audit.UserApproval, Fields: audit.Fields{"user_id": a.By, "approval_entry_id": r.ID}}
	}
	return k.Audit.Append(context.WithoutCancel(ctx), rec)
}

func scope(decision string) string {
	switch decision {
	case approve.Session:
		return "session"
	case approve.Always:
		return "always"
	}
	return "once"
}

// Connections are noted: a flood of them must not hold up anybody.

func (k *Kernel) noteOpened(c socket.Client) {
	k.Audit.Note(audit.Record{
		Session: c.Caller.Session, Principal: c.Caller.User, Door: string(c.Caller.Door), PID: c.Caller.PID,
		Action:        audit.Action{Type: audit.ConnectionOpened, Fields: audit.Fields{"connection": c.ID, "uid": strconv.Itoa(int(c.Caller.UID))}},
		Authorization: audit.Authorization{Type: audit.User, Fields: audit.Fields{"user_id": c.Caller.User}}, Outcome: audit.Outcome{Success: true},
	})
}

func (k *Kernel) noteClosed(c socket.Client) {
	k.Audit.Note(audit.Record{
		Session: c.Caller.Session, Principal: c.Caller.User, Door: string(c.Caller.Door), PID: c.Caller.PID,
		Action:        audit.Action{Type: audit.ConnectionClosed, Fields: audit.Fields{"connection": c.ID}},
		Authorization: audit.Authorization{Type: audit.NotRequired}, Outcome: audit.Outcome{Success: true},
	})
}

func (k *Kernel) noteRefused(uid, pid uint32, err error) {
	rec := audit.Record{
		Door: string(op.DoorSocket), PID: pid,
		Action:        audit.Action{Type: audit.ConnectionRefused, Fields: audit.Fields{"uid": strconv.Itoa(int(uid)), "reason": err.Error()}},
		Authorization: audit.Authorization{Type: audit.Denied}, Outcome: audit.Of(err),
	}
	if k.admitDenial("uid "+strconv.Itoa(int(uid)), rec) {
		k.Audit.Note(rec)
	}
}

// auditLog is the audit log as the operation table sees it.
type auditLog struct{ *audit.Log }

var _ op.Audit = auditLog{}

// Read implements op.Audit.
func (l auditLog) Read(ctx context.Context, req wire.ReadAudit) (wire.AuditPage, error) {
	head := l.Head().Seq
	if req.Last > 0 {
		req.Since = head - min(head, uint64(req.Last))
	}
	entries, err := l.Log.Read(ctx, req.Since, req.Max, audit.Filter{})
	page := wire.AuditPage{Head: head, Records: make([]wire.AuditRecord, len(entries))}
	for i, e := range entries {
		data, err := wire.Encode(e)
		if err != nil {
			return page, err
		}
		if err := wire.Decode(data, &page.Records[i]); err != nil {
			return page, err
		}
	}
	return page, err
}

// Verify implements op.Audit.
func (l auditLog) Verify(ctx context.Context, req wire.VerifyAudit) (wire.AuditReport, error) {
	r, err := l.Log.Verify(ctx, req.From)
	if err != nil {
		return wire.AuditReport{}, err
	}
	report := wire.AuditReport{
		Records: uint64(r.Records), Archived: uint64(r.Archived), Archive: r.Archive, Live: r.Live, Head: r.To, Hash: hex.EncodeToString(r.Hash[:]), Key: base64.StdEncoding.EncodeToString(l.Key()),
	}
	if r.Bad != nil {
		report.Bad, report.Why = r.Bad.Seq, string(r.Bad.Reason)
	}
	return report, nil
}

// Export implements op.Audit.
func (l auditLog) Export(ctx context.Context, _ wire.None, w io.Writer) error {
	return l.Log.Export(ctx, w)
}
