package mcp

import (
	"context"
	"encoding/json"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of questions.
const (
	MaxQuestions = 10 // of a server in a minute; more are declined unseen
	MaxQuestion  = 4 << 10
	MaxSchema    = 64 << 10
	AnswerTime   = 2 * time.Minute
)

// Elicitation is a question of a program to people.
type Elicitation struct {
	Session string
	Message string          // the program's own words, at most MaxQuestion bytes
	Schema  json.RawMessage // of the form to fill in; null when there is none
}

// Answer is what people say. The zero Answer declines.
type Answer struct {
	Accepted bool
	Content  map[string]any // fits the schema, or the program gets an error instead
}

// elicit handles a question of the program.
func (c *child) elicit(ctx context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
	declined := &sdk.ElicitResult{Action: "decline"}
	schema, err := json.Marshal(r.Params.RequestedSchema)
	if err != nil || len(schema) > MaxSchema || r.Params.Mode == "url" || c.s.config.Approve == nil {
		return declined, nil
	}
	if !c.asking.CompareAndSwap(false, true) {
		return declined, nil
	}
	defer c.asking.Store(false)
	ctx, cancel := context.WithTimeout(ctx, AnswerTime)
	defer cancel()
	if !c.mayAsk(cancel) {
		return declined, nil
	}
	defer context.AfterFunc(c.ctx, cancel)()
	answer, err := c.s.config.Approve(ctx, Elicitation{Session: c.session, Message: clip(r.Params.Message, MaxQuestion), Schema: schema})
	if err != nil {
		c.s.config.Log.Info("a question of an MCP server was not answered", "session", c.session, "err", err)
	}
	if err != nil || !answer.Accepted {
		return declined, nil
	}
	return &sdk.ElicitResult{Action: "accept", Content: answer.Content}, nil
}

// mayAsk tells whether people may be asked: only about a call, with which the question
// ends, and not too often.
func (c *child) mayAsk(withdraw context.CancelFunc) bool {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.calls == 0 || !s.questions.take(s.config.Now(), 1) {
		return false
	}
	c.unask = withdraw
	return true
}
