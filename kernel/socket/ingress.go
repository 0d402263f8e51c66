package socket

import (
	"context"
	"strings"

	"astrid/kernel/bus"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// approvalResponse begins the topic of an answer to a request for approval,
// which is an operation and not a message.
const approvalResponse = "astrid.v1.approval.response."

// elicitResponse likewise, of an answer to a question. What is answered reaches who
// asked, and not the bus.
const elicitResponse = "astrid.v1.elicit.response."

// admitted tells whether clients may publish on a topic: the list of section 3.5
// of the 0.2 protocol.
func admitted(topic string) bool {
	if topic == "user.v1.prompt" || topic == "cli.v1.command.execute" {
		return true
	}
	for _, prefix := range []string{"registry.v1.selection.", "session.v1.request."} {
		if strings.HasPrefix(topic, prefix) {
			return true
		}
	}
	return false
}

// ingress takes a message that is no request. It is not answered, whatever
// becomes of it: clients of 0.2 expect none.
func (c *conn) ingress(ctx context.Context, m wire.Message) {
	var err error
	switch id, approval := strings.CutPrefix(m.Topic, approvalResponse); {
	case approval:
		err = c.approve(ctx, id, m.Payload)
	case strings.HasPrefix(m.Topic, elicitResponse):
		err = c.answerQuestion(ctx, strings.TrimPrefix(m.Topic, elicitResponse), m.Payload)
	case admitted(m.Topic) && c.server.config.Bus != nil:
		err = c.publish(ctx, m)
	default:
		c.server.log.Debug("message ignored: nothing listens to it", "pid", c.caller.PID, "topic", m.Topic)
	}
	if err != nil {
		c.server.log.Info("message refused", "pid", c.caller.PID, "topic", m.Topic, "err", err)
	}
}

// publish puts a client's message on the bus. What it claims of its source and
// time is not believed.
func (c *conn) publish(ctx context.Context, m wire.Message) error {
	if err := c.server.config.Table.Demand(ctx, op.Publish, c.caller.Session); err != nil {
		return err
	}
	payload, err := wire.ParsePayload(m.Payload)
	if err != nil {
		return err
	}
	_, err = c.server.config.Bus.Publish(bus.Message{
		Topic: bus.Topic(m.Topic), Payload: payload, Source: c.about.ID, Session: c.caller.Session, Principal: c.caller.User,
	})
	return err
}

// approve answers a request for approval in the way of 0.2.
func (c *conn) approve(ctx context.Context, id string, payload wire.Raw) error {
	var answer wire.AnswerApproval
	if wire.PayloadType(payload) != wire.TypeApprovalResponse {
		return fault.New(fault.Usage, "an answer to a request for approval is a payload of the type %s", wire.TypeApprovalResponse)
	}
	if err := wire.Decode(payload, &answer); err != nil {
		return err
	}
	if answer.ID != id {
		return fault.New(fault.Usage, "an answer to %.64q came on the topic of %.64q", answer.ID, id)
	}
	_, err := op.Run[wire.AnswerApproval, wire.AskReply](ctx, c.server.config.Table, op.Approve, answer, nil)
	return err
}

// answerQuestion answers a question in the way of 0.2, which knows questions of one field;
// more of them are in "content".
func (c *conn) answerQuestion(ctx context.Context, id string, payload wire.Raw) error {
	var in struct {
		ID      string    `json:"request_id"`
		Value   *string   `json:"value"`
		Values  *[]string `json:"values"`
		Content wire.Raw  `json:"content"`
	}
	if wire.PayloadType(payload) != wire.TypeElicitResponse {
		return fault.New(fault.Usage, "an answer to a question is a payload of the type %s", wire.TypeElicitResponse)
	}
	if err := wire.Decode(payload, &in); err != nil || in.ID != id {
		return fault.New(fault.Usage, "the answer on the topic of %.64q is none to that question", id)
	}
	req := wire.AnswerQuestion{ID: id, Content: in.Content}
	switch {
	case in.Value != nil:
		req.Values = map[string][]string{"": {*in.Value}}
	case in.Values != nil:
		req.Values = map[string][]string{"": *in.Values}
	default:
		req.Decline = in.Content == nil
	}
	_, err := op.Run[wire.AnswerQuestion, wire.Answered](ctx, c.server.config.Table, op.AnswerQuestion, req, nil)
	return err
}
