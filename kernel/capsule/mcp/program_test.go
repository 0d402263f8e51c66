package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"
)

// asServer is the first argument with which the test binary is a server.
const asServer = "be-a-server"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == asServer {
		serve(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

// serve is a server of the sort that mode names.
func serve(mode string) {
	switch mode {
	case "good":
		good()
	case "stubborn":
		good()
		forever()
	case "garbage":
		fmt.Println("Welcome to my server!")
		forever()
	case "flood":
		for {
			fmt.Print(strings.Repeat("x", 1<<16))
		}
	case "lines":
		fmt.Print("[")
		for {
			fmt.Print(strings.Repeat("1,\n", 1<<14))
		}
	case "chatter":
		for {
			fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		}
	case "exit":
		fmt.Fprintf(os.Stderr, "%s\ncannot find the module x\n", strings.Repeat("y", 1<<16))
		os.Exit(3)
	case "quiet":
		return
	case "hang":
		forever()
	default:
		byHand(mode)
	}
}

func forever() {
	for {
		_ = syscall.Pause()
	}
}

// byHand answers initialize, and then does what mode says for each request.
func byHand(mode string) {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var request struct {
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal(line, &request) != nil || request.ID == nil {
			continue
		}
		result := `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"}}`
		switch {
		case mode == "refuse":
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"no licence"}}`+"\n", request.ID)
			continue
		case mode == "ancient":
			result = strings.Replace(result, "2025-06-18", "1999-12-31", 1)
		case request.Method == "initialize":
		case mode == "deaf":
			forever()
		case mode == "mute":
			continue
		case mode == "lastwords":
			result = `{"content":[{"type":"text","text":"bye"}]}`
		case mode == "pages":
			result = `{"tools":[],"nextCursor":"again"}`
		case mode == "odd":
			result = `{"content":"what?"}`
		case mode == "huge":
			result = `{"content":[{"type":"text","text":"` + strings.Repeat("x", MaxMessage) + `"}]}`
		}
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", request.ID, result)
		if mode == "lastwords" && request.Method != "initialize" {
			return
		}
	}
}

// tool answers a call with a text.
type tool func(ctx context.Context, r *sdk.CallToolRequest) (string, error)

func good() {
	server := sdk.NewServer(&sdk.Implementation{Name: "good", Version: "1"}, &sdk.ServerOptions{PageSize: 4})
	add := func(name string, f tool) {
		server.AddTool(&sdk.Tool{Name: name, Description: "the tool " + name, InputSchema: json.RawMessage(`{"type":"object"}`)},
			func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
				text, err := f(ctx, r)
				result := &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}}
				if err != nil {
					result = &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: err.Error()}}}
				}
				return result, nil
			})
	}
	for name, f := range goodTools(add) {
		add(name, f)
	}
	server.AddTool(&sdk.Tool{Name: "structured", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return &sdk.CallToolResult{Content: []sdk.Content{}, StructuredContent: map[string]int{"answer": 42}}, nil
		})
	server.AddTool(&sdk.Tool{Name: "picture", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.ImageContent{Data: []byte("png"), MIMEType: "image/png"}}}, nil
		})
	server.AddResource(&sdk.Resource{URI: "memo:1", Name: "memo", MIMEType: "text/plain"},
		func(context.Context, *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
			return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: "memo:1", Text: "milk"}, {URI: "memo:1", Text: "bread"}}}, nil
		})
	server.AddPrompt(&sdk.Prompt{Name: "greet", Arguments: []*sdk.PromptArgument{{Name: "who"}}},
		func(_ context.Context, r *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
			text := &sdk.TextContent{Text: "hello " + r.Params.Arguments["who"]}
			return &sdk.GetPromptResult{Messages: []*sdk.PromptMessage{{Role: "user", Content: text}}}, nil
		})
	_ = server.Run(context.Background(), &sdk.StdioTransport{})
}

// goodTools are the tools that answer with text.
func goodTools(add func(string, tool)) map[string]tool {
	return map[string]tool{
		"echo": func(_ context.Context, r *sdk.CallToolRequest) (string, error) {
			return string(r.Params.Arguments), nil
		},
		"pid": func(context.Context, *sdk.CallToolRequest) (string, error) { return fmt.Sprint(os.Getpid()), nil },
		"fail": func(context.Context, *sdk.CallToolRequest) (string, error) {
			return "", fmt.Errorf("no such page %s", strings.Repeat("y", 1<<16))
		},
		"die": func(context.Context, *sdk.CallToolRequest) (string, error) { os.Exit(4); return "", nil },
		"big": func(context.Context, *sdk.CallToolRequest) (string, error) {
			return strings.Repeat("b", MaxResult+1), nil
		},
		"slow": func(ctx context.Context, _ *sdk.CallToolRequest) (string, error) {
			fmt.Fprintln(os.Stderr, "slow began")
			<-ctx.Done()
			fmt.Fprintln(os.Stderr, "slow was cancelled")
			return "", ctx.Err()
		},
		"roots": func(ctx context.Context, r *sdk.CallToolRequest) (string, error) {
			//lint:ignore SA1019 it is what programs of today do
			list, err := r.Session.ListRoots(ctx, nil)
			if err != nil {
				return "", err
			}
			data, err := json.Marshal(list.Roots)
			return string(data), err
		},
		"ask": func(ctx context.Context, r *sdk.CallToolRequest) (string, error) {
			answer, err := r.Session.Elicit(ctx, &sdk.ElicitParams{Mode: "form", Message: "Which colour?", RequestedSchema: json.RawMessage(
				`{"type":"object","properties":{"colour":{"type":"string"}},"required":["colour"]}`)})
			if err != nil {
				return "", err
			}
			data, err := json.Marshal(answer)
			return string(data), err
		},
		"grow": func(context.Context, *sdk.CallToolRequest) (string, error) {
			add("grown", func(context.Context, *sdk.CallToolRequest) (string, error) { return "tall", nil })
			return "", nil
		},
		"sample": func(ctx context.Context, r *sdk.CallToolRequest) (string, error) {
			//lint:ignore SA1019 it is to be refused
			_, err := r.Session.CreateMessage(ctx, &sdk.CreateMessageParams{MaxTokens: 1})
			return "", err
		},
	}
}
