package view

import (
	"fmt"
	"strings"

	"astrid/ctl/text"
	"astrid/kernel/wire"
)

// Style says how much a reader can take.
type Style struct {
	Colour bool
}

// Colours, as SGR parameters.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	bold   = "1"
	dim    = "2"
)

func (s Style) paint(sgr, text string) string {
	if !s.Colour || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// letter paints the letter of a change.
func (s Style) letter(op string) string {
	switch op {
	case "A":
		return s.paint(green, op)
	case "D":
		return s.paint(red, op)
	case "R", "T":
		return s.paint(cyan, op)
	}
	return s.paint(yellow, op)
}

// change is one change as one line without its end.
func (s Style) change(c *wire.Change) string {
	line := s.letter(c.Op) + " " + text.Quote(c.Name())
	if from := c.Source(); from != "" {
		line = s.letter(c.Op) + " " + text.Quote(from) + " -> " + text.Quote(c.Name())
	}
	if c.Note != "" {
		line += s.paint(dim, "  ("+plain(c.Note)+")")
	}
	return line
}

// plain is text without control characters.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// Count says a number of paths in words.
func Count(n int) string {
	if n == 1 {
		return "1 path"
	}
	return fmt.Sprintf("%d paths", n)
}

// counts says what a list of changes amounts to.
func counts(c wire.Counts) string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{c.Added, "added"}, {c.Modified, "modified"}, {c.Deleted, "deleted"}, {c.Renamed, "renamed"}, {c.Typed, "of another kind"}, {c.Meta, "in mode or times only"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

// tally counts a list by letter.
func tally(list []wire.Change) wire.Counts {
	var c wire.Counts
	for i := range list {
		switch list[i].Op {
		case "A":
			c.Added++
		case "M":
			c.Modified++
		case "D":
			c.Deleted++
		case "R":
			c.Renamed++
		case "T":
			c.Typed++
		case "m":
			c.Meta++
		}
	}
	return c
}
