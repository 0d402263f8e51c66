package kernel

import (
	"context"
	"time"

	"astrid/kernel/audit"
	"astrid/kernel/bus"
	"astrid/kernel/capsule/mcp"
	"astrid/kernel/op"
	"astrid/kernel/question"
	"astrid/kernel/wire"
)

// Questions implements op.Approvals: who may not answer a question does not see it.
func (a approvals) Questions(ctx context.Context, _ wire.None) ([]wire.Question, error) {
	list := []wire.Question{}
	for _, q := range a.k.Questions.Pending() {
		if a.k.Ops.Permit(op.CallerOf(ctx), op.CapabilityApprove, q.Session) == nil {
			list = append(list, wire.Question{
				ID: q.ID, Message: q.Message, Fields: q.Form.Fields, Schema: wire.Raw(q.Form.Schema), Capsule: q.Capsule,
				Principal: q.Principal, Session: q.Session, Asked: q.Asked, Expires: q.Expires,
			})
		}
	}
	return list, nil
}

// AnswerQuestion implements op.Approvals.
func (a approvals) AnswerQuestion(ctx context.Context, req wire.AnswerQuestion) (wire.Answered, error) {
	err := a.k.Questions.Answer(ctx, req, op.CallerOf(ctx).User)
	return wire.Answered{ID: req.ID, Declined: req.Decline}, err
}

// announceQuestion tells clients of a question, or of its end. One with a single
// field is announced as 0.2 does, too.
func (k *Kernel) announceQuestion(q question.Question, end question.End) {
	m := bus.Message{Topic: "astrid.v1.elicit", Session: q.Session, Principal: q.Principal}
	if end != "" {
		m.Topic = bus.Topic("astrid.v1.elicit.ended." + q.ID)
		data, err := wire.Encode(map[string]string{"request_id": q.ID, "action": string(end)})
		k.publish(m, wire.Custom(data), err)
		return
	}
	members := map[string]any{
		"request_id": q.ID, "capsule_id": q.Capsule, "message": q.Message, "schema": wire.Raw(q.Form.Schema), "expires": wire.Stamp(q.Expires),
	}
	if len(q.Form.Fields) == 1 {
		members["field"] = onboardingField(q.Message, q.Form.Fields[0])
	}
	payload, err := wire.NewPayload(wire.TypeElicitRequest, members)
	k.publish(m, payload, err)
}

// onboardingField is a field in the form of 0.2.
func onboardingField(prompt string, f wire.QuestionField) map[string]any {
	field := map[string]any{"key": f.Name, "prompt": prompt, "field_type": "Text"}
	switch {
	case f.Type == "secret":
		field["field_type"] = "Secret"
	case f.Type == "array":
		field["field_type"] = "Array"
	case len(f.Options) > 0:
		field["field_type"] = map[string]any{"Enum": f.Options}
	}
	if f.About != "" {
		field["description"] = f.About
	}
	if f.Default != "" {
		field["default"] = f.Default
	}
	return field
}

// recordQuestion puts a question, or how it ended, into the audit log.
func (k *Kernel) recordQuestion(ctx context.Context, q question.Question, end question.End, by string) error {
	c := op.CallerOf(ctx)
	rec := audit.Record{
		Session: q.Session, Principal: q.Principal, Door: string(c.Door), PID: c.PID,
		Action:        audit.Action{Type: audit.ElicitationSent, Fields: audit.Fields{"request_id": q.ID, "server": "capsule:" + q.Capsule, "elicitation_type": "form"}},
		Authorization: audit.Authorization{Type: audit.NotRequired}, Outcome: audit.Outcome{Success: true},
	}
	if end == "" {
		return k.Audit.Append(ctx, rec)
	}
	rec.Action = audit.Action{Type: audit.ElicitationReceived, Fields: audit.Fields{"request_id": q.ID, "action": string(end)}}
	if by != "" {
		rec.Authorization = audit.Authorization{Type: audit.UserApproval, Fields: audit.Fields{"user_id": by, "approval_entry_id": q.ID}}
	}
	return k.Audit.Append(context.WithoutCancel(ctx), rec)
}

// elicited asks people what a server of a capsule wants to know.
func (s *servers) elicited(ctx context.Context, e mcp.Elicitation) (mcp.Answer, error) {
	form, err := question.ParseForm(e.Schema)
	if err != nil {
		return mcp.Answer{}, err
	}
	a, err := s.k.Questions.Ask(ctx, question.Question{
		Message: e.Message, Form: form, Capsule: string(s.found.Package.Name), Session: e.Session, Principal: s.k.Identity.Root(),
	})
	return mcp.Answer{Accepted: a.End == question.Accepted, Content: a.Content}, err
}

// openQuestions makes the desk where questions wait.
func (k *Kernel) openQuestions() {
	k.Questions = question.New(question.Config{Announce: k.announceQuestion, Record: k.recordQuestion, Now: time.Now})
}
