package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Capsules in a kernel that runs, and beside the Extism SDK.

// besideRow is the name of what the module oracle measures.
const besideRow = "capsule: guests and MCP tools beside the Extism SDK and the MCP SDK"

// beside builds and runs the module that knows them.
func beside(ctx context.Context, opt options) error {
	cmd := exec.CommandContext(ctx, "go", "run", "-C", "scripts/oracle", "-buildvcs=false", "./bench", "-rounds", fmt.Sprint(opt.rounds))
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "TMPDIR="+opt.dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// onlyAsks tells whether --only asks for a row by its name.
func onlyAsks(only *regexp.Regexp, row string) bool {
	return only.MatchString(row) && !only.MatchString("")
}

func capsuleRows() []kernelRow {
	return []kernelRow{
		{name: "capsule: tool call through the kernel, recorded, p50 and p99", unit: seconds, long: true, do: wasmCalls},
		{name: "capsule: the same of an MCP server in its sandbox, p50 and p99", unit: seconds, long: true, do: mcpCalls},
		{name: "capsule: messages through one interceptor", unit: perSecond, long: true, do: intercepted},
		{name: "capsule: 100 of one module, called once and idle: MiB of the kernel for each; ms of processor's time a second", unit: plain, long: true, do: idle},
	}
}

func plain(n float64) string { return fmt.Sprintf("%.2f", n) }

// capsule builds a capsule from a template.
func (s *station) capsule(ctx context.Context, name, template string) (dir string, err error) {
	dir = filepath.Join(s.dir, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if _, err = output(ctx, s.dir, s.astrid, "capsule", "new", name, "--template", template); err == nil && template != "mcp" {
		_, err = output(ctx, s.dir, s.astrid, "capsule", "build", name)
	}
	return dir, err
}

// install installs one, unless it is.
func (s *station) install(ctx context.Context, name, template string) error {
	if _, err := os.Stat(filepath.Join(s.home, "capsules", name)); err == nil {
		return nil
	}
	dir, err := s.capsule(ctx, name, template)
	if err != nil {
		return err
	}
	return s.run(ctx, "capsule", "install", dir, "--yes")
}

const tools = 500

func wasmCalls(ctx context.Context, s *station) ([]float64, error) {
	return s.calls(ctx, "lines", "tool", "count_lines", map[string]string{"path": "a"})
}

func mcpCalls(ctx context.Context, s *station) ([]float64, error) {
	return s.calls(ctx, "append", "mcp", "append_line", map[string]string{"path": "b", "line": "x"})
}

// calls measures the calls of a tool.
func (s *station) calls(ctx context.Context, name, template, tool string, arguments any) (values []float64, err error) {
	err = s.with(ctx, func(c *client) error {
		if err := errors.Join(os.WriteFile(filepath.Join(s.dir, "project", "a"), []byte("one\n"), 0o600), s.install(ctx, name, template)); err != nil {
			return err
		}
		var all []float64
		for i := range tools + 1 {
			began := time.Now()
			if err := c.tool(tool, arguments); err != nil {
				return err
			}
			if i > 0 { // the first begins the program
				all = append(all, time.Since(began).Seconds())
			}
		}
		values = percentiles(all)
		return nil
	})
	return values, err
}

// tool calls a tool, which may fail.
func (c *client) tool(name string, arguments any) error {
	return c.call("capsule.call", map[string]any{"tool": name, "arguments": arguments}, nil)
}

// intercepted is how many messages a second pass the template of an interceptor: as
// many as its queue holds, and a call of a tool that is heard after them.
func intercepted(ctx context.Context, s *station) (values []float64, err error) {
	const times, many = 20, 200
	err = s.with(ctx, func(c *client) error {
		if err := s.install(ctx, "guard", "interceptor"); err != nil {
			return err
		}
		began := time.Now()
		for range times {
			for range many {
				message := map[string]any{"topic": "tool.v1.execute.bench", "payload": map[string]any{"text": "one"}}
				if err := c.call("publish", message, nil); err != nil {
					return err
				}
			}
			if err := c.tool("no_such_tool", struct{}{}); err != nil {
				return err
			}
		}
		values = []float64{times * many / time.Since(began).Seconds()}
		return s.run(ctx, "capsule", "remove", "guard") // other rows are without it
	})
	return values, err
}

const idlers = 100

// idle is what capsules cost that have nothing to do.
func idle(ctx context.Context, s *station) (values []float64, err error) {
	err = errors.Join(s.end(), os.RemoveAll(s.home))
	if err != nil {
		return nil, err
	}
	err = s.with(ctx, func(c *client) error {
		before, _, err := s.cost()
		if err != nil {
			return err
		}
		for i := range idlers {
			if err := s.idler(ctx, i); err != nil {
				return err
			}
		}
		if err := c.call("ReloadCapsules", struct{}{}, nil); err != nil {
			return err
		}
		for i := range idlers {
			trust := map[string]any{"id": fmt.Sprintf("idle-%d", i), "yes": true}
			if err := errors.Join(c.call("capsule.trust", trust, nil), c.tool(fmt.Sprintf("count_%d", i), struct{}{})); err != nil {
				return err
			}
		}
		after, began, err := s.cost()
		if err != nil {
			return err
		}
		const quiet = 10 * time.Second
		time.Sleep(quiet)
		_, ended, err := s.cost()
		values = []float64{(after - before) / idlers, (ended - began) * 1e3 / quiet.Seconds()}
		return err
	})
	return values, errors.Join(err, s.end(), os.RemoveAll(s.home))
}

// idler puts one of many capsules with the same module in its place. The module does
// not know the tool that its manifest has, and stays in memory all the same.
func (s *station) idler(ctx context.Context, n int) error {
	from, err := s.capsule(ctx, "lines", "tool")
	if err != nil {
		return err
	}
	name, tool := fmt.Sprintf("idle-%d", n), fmt.Sprintf("count_%d", n)
	dir := filepath.Join(s.home, "capsules", name)
	manifest, err := os.ReadFile(filepath.Join(from, "Capsule.toml"))
	if err != nil {
		return err
	}
	text := strings.NewReplacer(`name = "lines"`, `name = "`+name+`"`, "count_lines", tool).Replace(string(manifest))
	code, err := os.ReadFile(filepath.Join(from, "lines.wasm"))
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dir, "Capsule.toml"), []byte(text), 0o600), os.WriteFile(filepath.Join(dir, "lines.wasm"), code, 0o600))
	}
	return err
}

// cost is the resident memory of the kernel, in MiB, and the seconds of processor's
// time that it has used.
func (s *station) cost() (mib, cpu float64, err error) {
	pid, err := os.ReadFile(filepath.Join(s.home, "sessions", "system.lock"))
	if err != nil {
		return 0, 0, err
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), "stat"))
	if err != nil {
		return 0, 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return 0, 0, errors.New("the kernel's stat is too short")
	}
	var n [3]float64
	for i, at := range []int{11, 12, 21} { // utime, stime, rss
		if n[i], err = strconv.ParseFloat(fields[at], 64); err != nil {
			return 0, 0, err
		}
	}
	return n[2] * float64(os.Getpagesize()) / (1 << 20), (n[0] + n[1]) / 100, nil
}
