package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/tetratelabs/wazero"

	"astrid/kernel/capsule/mcp"
	"astrid/scripts/oracle"
)

// How often what is fast is done in a round.
const (
	calls     = 2000
	hostCalls = 50 // of a thousand
	toolCalls = 500
)

func nothing(string, []string) string { return "" }

// load makes a guest.
type load func(ctx context.Context) (oracle.Guest, error)

// guests measures the rows of a guest, made by cold and by warm.
func guests(ctx context.Context, cold, warm load) (map[string]time.Duration, error) {
	values := map[string]time.Duration{}
	var g oracle.Guest
	for _, one := range []struct {
		row string
		load
	}{{"load a guest, nothing cached", cold}, {"load a guest, machine code cached", warm}} {
		if g != nil {
			if err := g.Close(ctx); err != nil {
				return nil, err
			}
		}
		began := time.Now()
		var err error
		if g, err = one.load(ctx); err == nil {
			_, err = g.Call(ctx, "nothing", nil) // the first call makes the instance
		}
		if err != nil {
			return nil, err
		}
		values[one.row] = time.Since(began)
	}
	kib := bytes.Repeat([]byte("x"), 1024)
	for _, one := range []struct {
		row, export string
		input       []byte
		times, each int
	}{{"call that does nothing", "nothing", nil, calls, 1}, {"call, 1 KiB in and out", "echo", kib, calls, 1}, {"host call", "ask", nil, hostCalls, 1000}} {
		began := time.Now()
		for range one.times {
			if _, err := g.Call(ctx, one.export, one.input); err != nil {
				return nil, errors.Join(err, g.Close(ctx))
			}
		}
		values[one.row] = time.Since(began) / time.Duration(one.times*one.each)
	}
	return values, g.Close(ctx)
}

func ours(ctx context.Context, dir string, code []byte) (map[string]time.Duration, error) {
	make := func(ctx context.Context) (oracle.Guest, error) {
		return oracle.Ours(ctx, filepath.Join(dir, "cache"), code, nothing)
	}
	values, err := guests(ctx, make, make)
	if err != nil {
		return nil, err
	}
	values["MCP: tool call, round trip"], err = ourTool(ctx, dir)
	return values, err
}

func theirs(ctx context.Context, dir string, code []byte) (map[string]time.Duration, error) {
	make := func(ctx context.Context) (oracle.Guest, error) {
		cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(dir, "cache"))
		if err != nil {
			return nil, err
		}
		return oracle.Theirs(ctx, cache, code, nothing)
	}
	values, err := guests(ctx, make, make)
	if err != nil {
		return nil, err
	}
	values["MCP: tool call, round trip"], err = theirTool(ctx, dir)
	return values, err
}

//go:embed server.py
var server []byte

// program writes the MCP server, which is the same for both.
func program(dir string) (string, error) {
	file := filepath.Join(dir, "server.py")
	return file, os.WriteFile(file, server, 0o600)
}

func timed(times int, do func() error) (time.Duration, error) {
	if err := do(); err != nil { // which starts the program
		return 0, err
	}
	began := time.Now()
	for range times {
		if err := do(); err != nil {
			return 0, err
		}
	}
	return time.Since(began) / time.Duration(times), nil
}

func ourTool(ctx context.Context, dir string) (time.Duration, error) {
	file, err := program(dir)
	if err != nil {
		return 0, err
	}
	s := mcp.New(mcp.Config{Capsule: "bench", Server: "bench", Launch: func(ctx context.Context, _ string, stdin, stdout, stderr *os.File) error {
		cmd := exec.CommandContext(ctx, "python3", file)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
		return cmd.Run()
	}})
	took, err := timed(toolCalls, func() error {
		_, err := s.Call(ctx, "s", "echo", []byte(`{"text":"x"}`))
		return err
	})
	return took, errors.Join(err, s.Close(ctx))
}

func theirTool(ctx context.Context, dir string) (time.Duration, error) {
	file, err := program(dir)
	if err != nil {
		return 0, err
	}
	client := sdk.NewClient(&sdk.Implementation{Name: "bench", Version: "1"}, nil)
	conn, err := client.Connect(ctx, &sdk.CommandTransport{Command: exec.CommandContext(ctx, "python3", file)}, nil)
	if err != nil {
		return 0, err
	}
	took, err := timed(toolCalls, func() error {
		_, err := conn.CallTool(ctx, &sdk.CallToolParams{Name: "echo", Arguments: map[string]string{"text": "x"}})
		return err
	})
	return took, errors.Join(err, conn.Close())
}
