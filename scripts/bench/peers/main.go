package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 5, "how often each system is measured")
	astrid := flag.String("astrid", "bin/astrid", "the program to measure")
	flag.Parse()
	dir, err := os.MkdirTemp("", "astrid-peers")
	if err == nil {
		err = errors.Join(measure(systems(dir, *astrid), *rounds), os.RemoveAll(dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

var audiences = []int{1, 10, 100}

// cell is what was measured of one system with one audience.
type cell struct{ p50, p99, perSecond []float64 }

func measure(all []system, rounds int) error {
	results := map[string]*cell{}
	for round := range rounds {
		for _, n := range audiences {
			for i := range all {
				s := all[(i+round)%len(all)]
				key := fmt.Sprint(s.name, n)
				if results[key] == nil {
					results[key] = &cell{}
				}
				if err := results[key].add(s, n); err != nil {
					return fmt.Errorf("%s, %d: %w", s.name, n, err)
				}
			}
		}
		fmt.Fprintf(os.Stderr, "peers: round %d of %d\n", round+1, rounds)
	}
	print(all, results)
	return nil
}

func (c *cell) add(s system, n int) error {
	h := &hall{n: n, full: make(chan struct{}, 1)}
	publish, stop, err := s.open(n, h.heard)
	if err != nil {
		return err
	}
	defer stop()
	took, err := h.latency(publish)
	if err != nil {
		return err
	}
	rate, err := h.throughput(publish, s.callers)
	slices.Sort(took)
	c.p50 = append(c.p50, took[len(took)/2].Seconds())
	c.p99 = append(c.p99, took[len(took)*99/100].Seconds())
	c.perSecond = append(c.perSecond, rate)
	return err
}

func print(all []system, results map[string]*cell) {
	var b strings.Builder
	b.WriteString("| to | 1: p50 / p99 | messages/s | 10: p50 / p99 | messages/s | 100: p50 / p99 | messages/s |\n|---|---|---|---|---|---|---|\n")
	for _, s := range all {
		fmt.Fprintf(&b, "| %s |", s.name)
		for _, n := range audiences {
			c := results[fmt.Sprint(s.name, n)]
			fmt.Fprintf(&b, " %s / %s | %s |", duration(median(c.p50)), duration(median(c.p99)), thousands(median(c.perSecond)))
		}
		b.WriteByte('\n')
	}
	fmt.Print(b.String())
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

func duration(s float64) string {
	switch {
	case s >= 1e-3:
		return fmt.Sprintf("%.1f ms", s*1e3)
	case s >= 1e-5:
		return fmt.Sprintf("%.0f µs", s*1e6)
	}
	return fmt.Sprintf("%.1f µs", s*1e6)
}

func thousands(n float64) string {
	if n < 10_000 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.0fk", n/1e3)
}

// patience bounds the wait for messages that may never come.
const patience = 30 * time.Second
