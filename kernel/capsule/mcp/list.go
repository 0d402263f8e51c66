package mcp

import (
	"context"
	"encoding/json"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"astrid/kernel/fault"
)

// Bounds of lists.
const (
	MaxListed = 512     // tools, resources or prompts of a server
	MaxList   = 1 << 20 // bytes of all of them
	maxPages  = 64
	// settleTime is how long changes of lists are gathered before Changed hears.
	settleTime = time.Second
)

// Tool is a tool as the program describes it.
type Tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema"`
}

// Resource is something that the program lets read.
type Resource struct {
	URI         string `json:"uri"`
	Name        string `json:"name"`
	Description string `json:"description"`
	MIMEType    string `json:"mimeType"`
}

// Prompt is a text that the program makes from arguments, all of them strings.
type Prompt struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Arguments   []string `json:"arguments"` // their names
}

// Tools lists the tools as the program of a session has them.
func (s *Server) Tools(ctx context.Context, session string) ([]Tool, error) {
	return list(ctx, s, session, "list its tools", func(ctx context.Context, conn *sdk.ClientSession, cursor string) ([]Tool, string, error) {
		page, err := conn.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
		if err != nil {
			return nil, "", err
		}
		tools := make([]Tool, len(page.Tools))
		for i, t := range page.Tools {
			schema, err := json.Marshal(t.InputSchema)
			if err != nil {
				return nil, "", err
			}
			tools[i] = Tool{Name: t.Name, Description: t.Description, InputSchema: schema}
		}
		return tools, page.NextCursor, nil
	})
}

// Resources lists the resources; a server without any has none.
func (s *Server) Resources(ctx context.Context, session string) ([]Resource, error) {
	return list(ctx, s, session, "list its resources", func(ctx context.Context, conn *sdk.ClientSession, cursor string) ([]Resource, string, error) {
		if conn.InitializeResult().Capabilities.Resources == nil {
			return nil, "", nil
		}
		page, err := conn.ListResources(ctx, &sdk.ListResourcesParams{Cursor: cursor})
		if err != nil {
			return nil, "", err
		}
		resources := make([]Resource, len(page.Resources))
		for i, r := range page.Resources {
			resources[i] = Resource{URI: r.URI, Name: r.Name, Description: r.Description, MIMEType: r.MIMEType}
		}
		return resources, page.NextCursor, nil
	})
}

// Prompts lists the prompts; a server without any has none.
func (s *Server) Prompts(ctx context.Context, session string) ([]Prompt, error) {
	return list(ctx, s, session, "list its prompts", func(ctx context.Context, conn *sdk.ClientSession, cursor string) ([]Prompt, string, error) {
		if conn.InitializeResult().Capabilities.Prompts == nil {
			return nil, "", nil
		}
		page, err := conn.ListPrompts(ctx, &sdk.ListPromptsParams{Cursor: cursor})
		if err != nil {
			return nil, "", err
		}
		prompts := make([]Prompt, len(page.Prompts))
		for i, p := range page.Prompts {
			prompts[i] = Prompt{Name: p.Name, Description: p.Description}
			for _, a := range p.Arguments {
				prompts[i].Arguments = append(prompts[i].Arguments, a.Name)
			}
		}
		return prompts, page.NextCursor, nil
	})
}

// list gathers the pages of a list. Each page has CallTimeout.
func list[T any](ctx context.Context, s *Server, session, what string, page func(context.Context, *sdk.ClientSession, string) ([]T, string, error)) ([]T, error) {
	type part struct {
		items []T
		next  string
	}
	all, size, cursor := []T{}, 0, ""
	for range maxPages {
		p, err := ask(ctx, s, session, what, func(ctx context.Context, conn *sdk.ClientSession) (part, error) {
			items, next, err := page(ctx, conn, cursor)
			return part{items, next}, err
		})
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(p.items)
		if err != nil {
			return nil, s.errorf(fault.Internal, "was to %s, and answered something odd: %w", what, err)
		}
		all, size, cursor = append(all, p.items...), size+len(data), p.next
		if len(all) > MaxListed || size > MaxList {
			break
		}
		if cursor == "" {
			return all, nil
		}
	}
	return nil, s.errorf(fault.Limit, "was to %s, and has more than %d of them, %d bytes or %d pages", what, MaxListed, MaxList, maxPages)
}

// ReadResource reads a resource: its texts, a line each, or if it has none its
// bytes.
func (s *Server) ReadResource(ctx context.Context, session, uri string) ([]byte, error) {
	result, err := ask(ctx, s, session, "read the resource "+clip(uri, maxName), func(ctx context.Context, conn *sdk.ClientSession) (*sdk.ReadResourceResult, error) {
		return conn.ReadResource(ctx, &sdk.ReadResourceParams{URI: uri})
	})
	if err != nil {
		return nil, err
	}
	var data []byte
	for i, part := range result.Contents {
		if part == nil {
			continue
		}
		if i > 0 && part.Text != "" {
			data = append(data, '\n')
		}
		data = append(append(data, part.Text...), part.Blob...)
	}
	return s.bounded(data)
}

// GetPrompt has the program make a prompt, and returns its messages as JSON.
func (s *Server) GetPrompt(ctx context.Context, session, name string, arguments map[string]string) ([]byte, error) {
	result, err := ask(ctx, s, session, "make the prompt "+clip(name, maxName), func(ctx context.Context, conn *sdk.ClientSession) (*sdk.GetPromptResult, error) {
		return conn.GetPrompt(ctx, &sdk.GetPromptParams{Name: name, Arguments: arguments})
	})
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(result.Messages)
	if err != nil {
		return nil, s.errorf(fault.Internal, "answered the prompt %s with something odd: %w", clip(name, maxName), err)
	}
	return s.bounded(data)
}

// changed lets Changed hear soon that a list is another now.
func (s *Server) changed() {
	s.mu.Lock()
	first := !s.changing && s.config.Changed != nil
	s.changing = s.changing || first
	s.mu.Unlock()
	if !first {
		return
	}
	s.start(func() {
		settled := time.NewTimer(settleTime)
		defer settled.Stop()
		select {
		case <-settled.C:
		case <-s.life.Done():
			return
		}
		s.mu.Lock()
		s.changing = false
		s.mu.Unlock()
		s.config.Changed()
	})
}
