package main

import (
	"fmt"
	"io"
	"strings"
)

// report turns events into what a person reads.
type report struct {
	out            io.Writer
	output         map[string]string // what a test or package has said so far
	passed, failed int
	skipped        int
	held           string // the last line about a package, which end prints
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[string]string{}}
}

func (r *report) add(e event) {
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if !noise(e.Output) {
			r.output[key] += e.Output
		}
	case "pass", "fail", "skip":
		text := r.output[key]
		delete(r.output, key)
		if e.Test == "" {
			r.pack(text)
			return
		}
		r.test(e, text)
	}
}

// noise tells the lines that only say that a test has begun or goes on.
func noise(line string) bool {
	for _, start := range []string{"=== RUN", "=== PAUSE", "=== CONT", "=== NAME"} {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	return false
}

func (r *report) test(e event, text string) {
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		fmt.Fprint(r.out, text)
	case "skip":
		r.skipped++
		fmt.Fprint(r.out, text)
	}
}

// pack prints what a package said itself, a panic for one, and holds back its
// last line, which says how it ended.
func (r *report) pack(text string) {
	fmt.Fprint(r.out, r.held)
	text = strings.TrimPrefix(text, "PASS\n")
	at := strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n') + 1
	fmt.Fprint(r.out, text[:at])
	r.held = text[at:]
}

// end prints the counts, and then the last line of go test.
func (r *report) end() {
	// What is left belongs to tests that never ended.
	for _, text := range r.output {
		fmt.Fprint(r.out, text)
	}
	fmt.Fprintf(r.out, "tests: %d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	fmt.Fprint(r.out, r.held)
}
