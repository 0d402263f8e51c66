package cap

import (
	"strings"

	"astrid/kernel/fault"
)

const (
	// metacharacters make a shell do more than run the one command.
	metacharacters = ";&|`$<>\n\r\x00"

	// quotes make a shell see other words than those between spaces.
	quotes = `'"\`
)

// commandWords are the words of a command; ok is false when a shell might do
// something else with it.
func commandWords(command string, args []string) (words []string, ok bool) {
	words = append(strings.Fields(command), args...)
	if len(words) == 0 {
		return nil, false
	}
	for _, text := range append([]string{command}, args...) {
		if strings.ContainsAny(text, metacharacters) {
			return nil, false
		}
	}
	return words, true
}

// commandGlob is a pattern for commands: a glob for each word, and whether any
// number of words may follow.
type commandGlob struct {
	words []commandWord
	open  bool
}

type commandWord struct {
	glob    *glob
	literal bool
}

// compileCommand reads a command pattern: words between spaces, of which a
// final * stands for any number of words, none included, and * and ? inside a
// word for characters of it. The program must be named.
func compileCommand(pattern string) (*commandGlob, error) {
	bad := func(reason string) error {
		return fault.New(fault.Usage, "invalid action pattern: %.128q - %s", pattern, reason)
	}
	if strings.ContainsAny(pattern, metacharacters) {
		return nil, bad("no command that a shell could take apart is ever allowed by a pattern")
	}
	words := strings.Fields(pattern)
	c := &commandGlob{}
	if n := len(words); n > 1 && words[n-1] == "*" {
		c.open = true
		words = words[:n-1]
	}
	for _, word := range words {
		g, err := compile(word, flat)
		if err != nil {
			return nil, bad(err.Error())
		}
		w := commandWord{glob: g, literal: true}
		for _, p := range g.parts {
			w.literal = w.literal && p.kind == one
		}
		c.words = append(c.words, w)
	}
	if len(c.words) == 0 || !c.words[0].literal {
		return nil, bad("it must name the program")
	}
	return c, nil
}

// match tells whether c matches a command. A glob does not match a word with
// quotes, whose extent only a shell knows.
func (c *commandGlob) match(command string, args []string) bool {
	words, ok := commandWords(command, args)
	if !ok || len(words) < len(c.words) || len(words) > len(c.words) && !c.open {
		return false
	}
	for i, w := range c.words {
		if !w.literal && strings.ContainsAny(words[i], quotes) || !w.glob.match(words[i]) {
			return false
		}
	}
	return true
}

// CommandPrefix is the pattern of command itself and of command with more
// words: what a person means who allows it for longer.
func CommandPrefix(command string) Pattern {
	escaped := strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(command)
	return Pattern{Type: CommandPattern, Command: escaped + " *"}
}
