package ctl

import (
	"context"
	"strings"

	"astrid/fs/mem"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// approvals is the directory of what waits for an answer: a file shows a request
// and takes the answer to it.
func (t *Tree) approvals() mem.Folder {
	return listed(t, op.Pending, func(a wire.Approval) string { return a.ID }, func(a wire.Approval) mem.Item {
		return mem.Lines(maxLine, t.writer("", op.Approve, t.answer(a.ID))).And(fixed(a))
	}, nil)
}

// answer takes a line: the decision, and the reason if there is one.
func (t *Tree) answer(id string) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, line string) ([]byte, bool, error) {
		decision, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
		if decision == "" {
			return nil, false, nil
		}
		params, err := wire.EncodeExact(wire.AnswerApproval{ID: id, Decision: decision, Reason: strings.TrimSpace(reason)})
		if err != nil {
			return nil, false, err
		}
		return t.perform(ctx, op.Approve, params)
	}
}

// questions is the directory of what capsules ask: a file shows a question and takes
// the answer to it.
func (t *Tree) questions() mem.Folder {
	return listed(t, op.Questions, func(q wire.Question) string { return q.ID }, func(q wire.Question) mem.Item {
		return mem.Lines(maxLine, t.writer("", op.AnswerQuestion, t.answerQuestion(q.ID))).And(fixed(q))
	}, nil)
}

// answerQuestion takes a line: decline, the only field as FIELD=VALUE, or all of
// them as a JSON object.
func (t *Tree) answerQuestion(id string) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, line string) ([]byte, bool, error) {
		req := wire.AnswerQuestion{ID: id}
		name, value, pair := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case strings.TrimSpace(line) == "":
			return nil, false, nil
		case strings.HasPrefix(name, "{"):
			req.Content = wire.Raw(strings.TrimSpace(line))
		case name == "decline" && !pair:
			req.Decline = true
		case pair:
			req.Values = map[string][]string{name: {value}}
		default:
			return nil, true, fault.New(fault.Usage, "an answer is decline, FIELD=VALUE, or a JSON object of the fields")
		}
		params, err := wire.EncodeExact(req)
		if err != nil {
			return nil, true, fault.New(fault.Usage, "the answer is no JSON")
		}
		return t.perform(ctx, op.AnswerQuestion, params)
	}
}

func (t *Tree) identity() mem.Folder {
	name := func(u wire.User) string {
		if u.Name == "" || reserved(u.Name) {
			return u.ID
		}
		return u.Name
	}
	return listed(t, op.Users, name, func(u wire.User) mem.Item { return fixed(u) }, map[string]mem.Item{
		"create": t.takes(op.CreateUser, "name"),
		"link":   t.takes(op.LinkUser, "platform", "platform_user_id", "user", "method?"),
		"unlink": t.takes(op.UnlinkUser, "platform", "platform_user_id"),
		"tokens": t.shows(op.Tokens, wire.None{}),
		"revoke": t.takes(op.RevokeToken, "id"),
	})
}

// reserved names are those of files beside the users.
func reserved(name string) bool {
	switch name {
	case "create", "link", "unlink", "tokens", "revoke", ".", "..":
		return true
	}
	return false
}

func (t *Tree) capabilities() mem.Folder {
	return listed(t, op.Caps, func(c wire.Capability) string { return c.ID }, func(c wire.Capability) mem.Item { return fixed(c) }, map[string]mem.Item{
		"grant":  t.takes(op.GrantCap, "user", "resource", "permissions…"),
		"revoke": t.takes(op.RevokeCap, "id"),
		"add":    t.takes(op.AddCap, "token="),
	})
}

func (t *Tree) capsules() mem.Folder {
	return listed(t, op.CapsuleInfos, func(c wire.CapsuleInfo) string { return c.ID }, func(c wire.CapsuleInfo) mem.Item {
		return folder(map[string]mem.Item{"status": fixed(c), "log": t.shows(op.LogOfCapsule, wire.CapsuleLog{ID: c.ID})})
	}, map[string]mem.Item{
		"reload": t.lines("", op.ReloadCapsules, func(ctx context.Context, line string) ([]byte, bool, error) {
			if strings.TrimSpace(line) == "" {
				return nil, false, nil
			}
			return t.perform(ctx, op.ReloadCapsules, wire.Raw("{}"))
		}),
		"install": t.takes(op.InstallCapsule, "source"),
		"remove":  t.takes(op.RemoveCapsule, "id"),
		"trust":   t.takes(op.TrustCapsule, "id"),
		"enable":  t.takes(op.EnableCapsule, "id"),
		"disable": t.takes(op.DisableCapsule, "id"),
		"call":    t.takes(op.CallTool, "tool", "arguments="),
	})
}

func (t *Tree) allowances() mem.Folder {
	return listed(t, op.Allowances, func(a wire.Allowance) string { return a.ID }, func(a wire.Allowance) mem.Item { return fixed(a) }, map[string]mem.Item{
		"revoke": t.takes(op.RevokeAllowance, "id"),
	})
}

// auditLog shows the last records, one JSON object a line.
func (t *Tree) auditLog(ctx context.Context) ([]byte, error) {
	page, err := op.Run[wire.ReadAudit, wire.AuditPage](ctx, t.config.Table, op.AuditRead, wire.ReadAudit{Last: maxAudit}, nil)
	var out []byte
	for _, r := range page.Records {
		data, err := wire.Encode(r)
		if err != nil {
			return nil, err
		}
		out = append(append(out, data...), '\n')
	}
	return out, err
}

// maxAudit is how many records audit/log shows.
const maxAudit = 1000

// call is the door to what has no file of its own: one JSON object a line,
// {"method":…,"params":…}. Read back, it shows the last reply.
func (t *Tree) call(ctx context.Context, line string) ([]byte, bool, error) {
	if line = strings.TrimSpace(line); line == "" {
		return nil, false, nil
	}
	var req wire.Request
	if err := wire.Decode([]byte(line), &req); err != nil {
		return nil, false, err
	}
	if req.Params == nil {
		req.Params = wire.Raw("{}")
	}
	if err := t.strictly(req.Method, req.Params); err != nil {
		return nil, false, err
	}
	reply, written, err := t.do(ctx, req.Method, req.Params)
	if written != nil || err != nil {
		return written, true, err
	}
	data, err := wire.Encode(reply)
	return append(data, '\n'), true, err
}
