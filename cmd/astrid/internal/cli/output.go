package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// print writes v as one line of JSON.
func (a *app) print(v any) error {
	data, err := wire.Encode(v)
	if err != nil {
		return err
	}
	return a.say("%s\n", data)
}

// say writes to standard output; a reader that has gone is no error worth words.
func (a *app) say(format string, args ...any) error {
	if _, err := fmt.Fprintf(a.Stdout, format, args...); err != nil {
		return exit(1)
	}
	return nil
}

// confirm asks a question; only "y" and "yes" agree, and an interrupt does not.
func (a *app) confirm(ctx context.Context, question string) bool {
	fmt.Fprintf(a.Stderr, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // nothing ends a read from a terminal but the end of the program
		line, _ := bufio.NewReader(a.Stdin).ReadString('\n')
		answer <- line
	}()
	var line string
	select {
	case line = <-answer:
	case <-ctx.Done():
	}
	if line == "" {
		fmt.Fprintln(a.Stderr)
		return false
	}
	line = strings.ToLower(strings.TrimSpace(line))
	return line == "y" || line == "yes"
}

// agree lets a destructive verb go on: with --yes, or after a question; without
// a terminal it refuses.
func (a *app) agree(ctx context.Context, yes bool, verb, question string) error {
	switch {
	case yes:
		return nil
	case !a.asks():
		return fault.New(fault.Usage, "astrid %s destroys work and there is nobody to ask; say --yes if you mean it", verb)
	case !a.confirm(ctx, question):
		return fault.New(fault.Interrupted, "nothing was done")
	}
	return nil
}
