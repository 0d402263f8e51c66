package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"astrid/kernel/fault"
)

// Bounds of calls.
const (
	MaxArguments = 1 << 20 // bytes
	MaxResult    = 1 << 20 // bytes
	// maxErrorText is how much of a program's own words an error tells.
	maxErrorText = 4 << 10
	maxName      = 256 // bytes of a name in an error
	// maxSilent is how many calls in a row may stay without an answer.
	maxSilent = 3
	// maxPatience is how often CallTimeout begins anew because people are asked.
	maxPatience = 5
)

// Call calls a tool on behalf of a session, and returns the text of its result:
// its texts, a line each; if it has none, its structured content as JSON, and
// if there is none of that either, its content as JSON. Arguments are a JSON
// object; nothing is an empty one.
func (s *Server) Call(ctx context.Context, session, tool string, arguments json.RawMessage) ([]byte, error) {
	if len(arguments) > MaxArguments {
		return nil, s.errorf(fault.Limit, "takes at most %d bytes of arguments for a tool, not %d", MaxArguments, len(arguments))
	}
	params := &sdk.CallToolParams{Name: tool}
	if len(arguments) > 0 {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(arguments, &object); err != nil {
			return nil, s.errorf(fault.Usage, "takes a JSON object as the arguments of a tool: %w", err)
		}
		if object != nil {
			params.Arguments = arguments
		}
	}
	result, err := ask(ctx, s, session, "call the tool "+clip(tool, maxName), func(ctx context.Context, conn *sdk.ClientSession) (*sdk.CallToolResult, error) {
		return conn.CallTool(ctx, params)
	})
	if err != nil {
		return nil, err
	}
	text, err := contentText(result.Content, result.StructuredContent)
	switch {
	case err != nil:
		return nil, s.errorf(fault.Internal, "answered the call of the tool %s with something odd: %w", clip(tool, maxName), err)
	case result.IsError:
		return nil, fault.New(fault.Usage, "the tool %s failed: %s", clip(tool, maxName), clip(string(text), maxErrorText))
	}
	return s.bounded(text)
}

// bounded refuses a result that is too large.
func (s *Server) bounded(result []byte) ([]byte, error) {
	if len(result) > MaxResult {
		return nil, s.errorf(fault.Limit, "answered with %d bytes, and at most %d are taken: ask for less", len(result), MaxResult)
	}
	return result, nil
}

// contentText is what a result says.
func contentText(content []sdk.Content, structured any) ([]byte, error) {
	var texts []string
	for _, part := range content {
		switch p := part.(type) {
		case *sdk.TextContent:
			texts = append(texts, p.Text)
		case *sdk.EmbeddedResource:
			if p.Resource != nil && p.Resource.Text != "" {
				texts = append(texts, p.Resource.Text)
			}
		}
	}
	switch {
	case len(texts) > 0:
		return []byte(strings.Join(texts, "\n")), nil
	case structured != nil:
		return json.Marshal(structured)
	case len(content) > 0:
		return json.Marshal(content)
	}
	return nil, nil
}

// answer is what came of a request.
type answer[T any] struct {
	value T
	err   error
}

// ask makes a request to the program of a session, within CallTimeout.
func ask[T any](ctx context.Context, s *Server, session, what string, request func(context.Context, *sdk.ClientSession) (T, error)) (T, error) {
	var none T
	c, err := s.acquire(ctx, session)
	if err != nil {
		return none, err
	}
	asked, giveUp := context.WithCancel(ctx)
	answered := make(chan answer[T], 1)
	// The request may hang in a pipe that the program does not read, whatever
	// becomes of its context; release lets Close wait for it.
	go func() {
		defer s.release(c)
		value, err := request(asked, c.conn)
		answered <- answer[T]{value, err}
	}()
	defer giveUp()
	limit := time.NewTimer(s.config.CallTimeout)
	defer limit.Stop()
	for patience := 0; ; {
		select {
		case a := <-answered:
			if a.err != nil && ctx.Err() == nil {
				return none, c.explain(what, a.err)
			}
			if a.err == nil {
				c.silent.Store(0)
				return a.value, nil
			}
		case <-ctx.Done():
		case <-limit.C:
			if patience++; c.asking.Load() && patience <= maxPatience {
				limit.Reset(s.config.CallTimeout)
				continue
			}
			return none, c.noteSilence(what)
		}
		return none, s.errorf(fault.KindOf(ctx.Err()), "was to %s, and that was given up: %w", what, context.Cause(ctx))
	}
}

// noteSilence makes the error of a call without an answer, and ends a program
// that never answers.
func (c *child) noteSilence(what string) error {
	if c.silent.Add(1) >= maxSilent {
		c.breakOff(c.s.errorf(fault.Unavailable, "left %d calls in a row without an answer, and was ended", maxSilent))
	}
	return c.s.errorf(fault.Unavailable, "was to %s, and did not answer within %v", what, c.s.config.CallTimeout)
}

// explain makes the error of a request that failed.
func (c *child) explain(what string, err error) error {
	var told *jsonrpc.Error
	if errors.As(err, &told) {
		c.silent.Store(0)
		kind := fault.Internal
		if told.Code == jsonrpc.CodeInvalidParams || told.Code == jsonrpc.CodeMethodNotFound {
			kind = fault.Usage
		}
		return c.s.errorf(kind, "was to %s, and refused: %s", what, clip(told.Message, maxErrorText))
	}
	if c.isBroken() || errors.Is(err, sdk.ErrConnectionClosed) || errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		<-c.over
		return c.reason()
	}
	return c.s.errorf(fault.Internal, "was to %s, and answered something odd: %s", what, clip(err.Error(), maxErrorText))
}

// isBroken tells whether the connection is of no use any more, or is to end.
func (c *child) isBroken() bool {
	select {
	case <-c.broken:
		return true
	default:
		return c.ctx.Err() != nil
	}
}
