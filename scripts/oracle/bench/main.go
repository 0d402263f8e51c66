package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 5, "how often each system is measured")
	flag.Parse()
	dir, err := os.MkdirTemp("", "astrid-capsules")
	if err == nil {
		err = errors.Join(measure(context.Background(), dir, *rounds), os.RemoveAll(dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// system is what is measured: the values of its rows, by their names.
type system struct {
	name string
	do   func(ctx context.Context, dir string) (map[string]time.Duration, error)
}

// rows are what is measured of each.
func rows() []string {
	return []string{
		"load a guest, nothing cached", "load a guest, machine code cached", "call that does nothing", "call, 1 KiB in and out", "host call",
		"MCP: tool call, round trip",
	}
}

func measure(ctx context.Context, dir string, rounds int) error {
	code, err := guest(ctx, dir)
	if err != nil {
		return err
	}
	all := []system{
		{"Astrid", func(ctx context.Context, dir string) (map[string]time.Duration, error) { return ours(ctx, dir, code) }},
		{"Extism SDK 1.7.1; MCP SDK", func(ctx context.Context, dir string) (map[string]time.Duration, error) { return theirs(ctx, dir, code) }},
	}
	results := map[string][]time.Duration{}
	for round := range rounds {
		for i := range all {
			s := all[(i+round)%len(all)]
			scratch, err := os.MkdirTemp(dir, "")
			if err != nil {
				return err
			}
			values, err := s.do(ctx, scratch)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			for row, v := range values {
				results[s.name+row] = append(results[s.name+row], v)
			}
		}
		fmt.Fprintf(os.Stderr, "bench: round %d of %d\n", round+1, rounds)
	}
	print(all, results)
	return nil
}

func print(all []system, results map[string][]time.Duration) {
	var b strings.Builder
	b.WriteString("| |")
	for _, s := range all {
		b.WriteString(" " + s.name + " |")
	}
	b.WriteString("\n|---|---|---|\n")
	for _, row := range rows() {
		b.WriteString("| " + row + " |")
		for _, s := range all {
			b.WriteString(" " + median(results[s.name+row]) + " |")
		}
		b.WriteByte('\n')
	}
	fmt.Print(b.String())
}

func median(all []time.Duration) string {
	if len(all) == 0 {
		return "-"
	}
	slices.Sort(all)
	switch v := all[len(all)/2]; {
	case v >= time.Millisecond:
		return fmt.Sprintf("%.1f ms", v.Seconds()*1e3)
	case v >= 10*time.Microsecond:
		return fmt.Sprintf("%.0f µs", v.Seconds()*1e6)
	default:
		return fmt.Sprintf("%.2f µs", v.Seconds()*1e6)
	}
}

// guest builds the guest of the oracle.
func guest(ctx context.Context, dir string) ([]byte, error) {
	file := filepath.Join(dir, "guest.wasm")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, "astrid/scripts/oracle/guest")
	cmd.Env, cmd.Stderr = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm"), os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build the guest: %w", err)
	}
	return os.ReadFile(file)
}
