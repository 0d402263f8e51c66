package cap

import (
	"errors"
	"slices"
	"strings"
)

// glob is a pattern as a small automaton: state i is before part i, and a text
// matches if it leads from state 0 to the state behind the last part. The
// library doublestar is not used: its ** means * unless it is a whole segment,
// and its braces mean something.
type glob struct{ parts []part }

type part struct {
	kind kind
	char rune // of one
	skip int  // of option: how many parts behind it may be left out
}

type kind uint8

const (
	one    kind = iota // exactly char
	any1               // one character
	seg1               // one that is no /
	many               // any number of characters
	segs               // any number that are no /
	option             // nothing
)

// dialect says what a pattern may contain.
type dialect uint8

const (
	segmented dialect = iota // resources and paths; without a glob character all is literal
	flat                     // words of commands: / is like any other character
)

// compile reads a pattern. Its errors are reasons for the reader of an "invalid
// pattern" error.
func compile(pattern string, d dialect) (*glob, error) {
	g := &glob{}
	text := []rune(pattern)
	if d == segmented && !strings.ContainsAny(pattern, "*?[") {
		for _, c := range text {
			g.parts = append(g.parts, part{kind: one, char: c})
		}
		return g, nil
	}
	for i := 0; i < len(text); {
		n, err := g.next(text[i:], i == 0, d)
		if err != nil {
			return nil, err
		}
		i += n
	}
	return g, nil
}

// next compiles what rest begins with and tells how much that was.
func (g *glob) next(rest []rune, first bool, d dialect) (n int, err error) {
	at := func(i int) rune {
		if i < len(rest) {
			return rest[i]
		}
		return 0
	}
	stars := func(i int) bool { return d == segmented && at(i) == '*' && at(i+1) == '*' }
	lit := func(c rune) part { return part{kind: one, char: c} }
	switch c := rest[0]; {
	case c == '/' && stars(1) && len(rest) == 3: // final /**
		g.add(part{kind: option, skip: 2}, lit('/'), part{kind: many})
		return 3, nil
	case c == '/' && stars(1) && at(3) == '/': // /**/, whose last / may begin another
		g.add(part{kind: option, skip: 2}, lit('/'), part{kind: many})
		return 3, nil
	case first && stars(0) && at(2) == '/':
		g.add(part{kind: option, skip: 2}, part{kind: many}, lit('/'))
		return 3, nil
	case stars(0):
		g.add(part{kind: many})
		return 2, nil
	case c == '*' && d == flat:
		g.add(part{kind: many})
	case c == '*':
		g.add(part{kind: segs})
	case c == '?' && d == flat:
		g.add(part{kind: any1})
	case c == '?':
		g.add(part{kind: seg1})
	case c == '[':
		return 0, errors.New(`classes are not supported: write ? or \[`)
	case c == '\\' && len(rest) == 1:
		return 0, errors.New(`a final \ has nothing to escape`)
	case c == '\\':
		g.add(lit(rest[1]))
		return 2, nil
	default:
		g.add(lit(c))
	}
	return 1, nil
}

func (g *glob) add(p ...part) { g.parts = append(g.parts, p...) }

// states is a set of states as bits.
type states []uint64

func (s states) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s states) empty() bool { return !slices.ContainsFunc(s, func(w uint64) bool { return w != 0 }) }

// enter adds the state i and those reached from it by nothing.
func (g *glob) enter(s states, i int) {
	if s.has(i) {
		return
	}
	s[i/64] |= 1 << (i % 64)
	if i == len(g.parts) {
		return
	}
	switch p := g.parts[i]; p.kind {
	case many, segs:
		g.enter(s, i+1)
	case option:
		g.enter(s, i+1)
		g.enter(s, i+1+p.skip)
	}
}

func (g *glob) start() states {
	s := make(states, len(g.parts)/64+1)
	g.enter(s, 0)
	return s
}

// step is where s leads by c.
func (g *glob) step(s states, c rune) states {
	next := make(states, len(s))
	for i, p := range g.parts {
		if !s.has(i) {
			continue
		}
		switch p.kind {
		case one:
			if c == p.char {
				g.enter(next, i+1)
			}
		case any1:
			g.enter(next, i+1)
		case seg1:
			if c != '/' {
				g.enter(next, i+1)
			}
		case many:
			g.enter(next, i)
		case segs:
			if c != '/' {
				g.enter(next, i)
			}
		}
	}
	return next
}

func (g *glob) accepts(s states) bool { return s.has(len(g.parts)) }

// match tells whether g matches all of text.
func (g *glob) match(text string) bool {
	s := g.start()
	for _, c := range text {
		if s = g.step(s, c); s.empty() {
			return false
		}
	}
	return g.accepts(s)
}

// climbs tells whether text has a segment "..".
func climbs(text string) bool { return slices.Contains(strings.Split(text, "/"), "..") }
