package change

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// MaxPatterns bounds how many paths and globs one request may have.
const MaxPatterns = 10_000

// ErrPattern is what a path or glob that cannot be used is refused with.
var ErrPattern = errors.New("not a usable path or glob")

// Match is a set of paths and globs, relative to the root of the view. A path
// means itself and everything below; so does whatever a glob matches. "**"
// crosses slashes, "*" does not. A name that exists as it is written is found
// even if it has characters that mean something in a glob.
type Match struct {
	all      bool
	literals map[string]bool
	globs    []string
	except   *Match // nil: nothing
}

// NewMatch makes a Match; without patterns it matches nothing.
func NewMatch(patterns []string) (*Match, error) {
	if len(patterns) > MaxPatterns {
		return nil, fmt.Errorf("%w: more than %d of them", ErrPattern, MaxPatterns)
	}
	m := &Match{literals: make(map[string]bool)}
	for _, raw := range patterns {
		p, err := cleanPattern(raw)
		if err != nil {
			return nil, err
		}
		if p == Root {
			m.all = true
			continue
		}
		m.literals[p] = true
		if strings.ContainsAny(p, `*?[{\`) && doublestar.ValidatePattern(p) {
			m.globs = append(m.globs, p)
		}
	}
	return m, nil
}

// Selected is what one list of paths and globs names and another one does not
// exclude: everything without the first, nil without either.
func Selected(patterns, exclude []string) (*Match, error) {
	if len(patterns)+len(exclude) == 0 {
		return nil, nil
	}
	if len(patterns) == 0 {
		patterns = []string{Root}
	}
	m, err := NewMatch(patterns)
	if err != nil || len(exclude) == 0 {
		return m, err
	}
	m.except, err = NewMatch(exclude)
	return m, err
}

func cleanPattern(raw string) (string, error) {
	if raw == "" || len(raw) > 1<<16 || strings.ContainsRune(raw, 0) || strings.HasPrefix(raw, "/") {
		return "", fmt.Errorf("%w: %s", ErrPattern, Quote(raw))
	}
	var parts []string
	for part := range strings.SplitSeq(raw, "/") {
		switch part {
		case "", ".":
		case "..":
			return "", fmt.Errorf("%w: %s climbs", ErrPattern, Quote(raw))
		default:
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return Root, nil
	}
	return strings.Join(parts, "/"), nil
}

// Path tells whether p or a directory above it is matched.
func (m *Match) Path(p string) bool {
	if m.all {
		return true
	}
	for q := p; ; q = Parent(q) {
		if m.one(q) {
			return true
		}
		if Parent(q) == Root {
			return false
		}
	}
}

func (m *Match) one(p string) bool {
	if m.literals[p] {
		return true
	}
	for _, g := range m.globs {
		if doublestar.MatchUnvalidated(g, p) {
			return true
		}
	}
	return false
}

// Named tells whether p, or a directory above it that barred matches too, is
// written out in m as a path.
func (m *Match) Named(p string, barred func(string) bool) bool {
	if m.literals[p] {
		return true
	}
	for q := Parent(p); q != Root; q = Parent(q) {
		if m.literals[q] && barred(q) {
			return true
		}
	}
	return false
}

// Literals returns the patterns that are no globs, sorted.
func (m *Match) Literals() []string {
	var l []string
	for p := range m.literals {
		if !slices.Contains(m.globs, p) && !InGit(p) {
			l = append(l, p)
		}
	}
	slices.Sort(l)
	return l
}

// Change tells whether m matches the path of c or the one that it came from, and
// excludes neither.
func (m *Match) Change(c *Change) bool {
	return !m.Excludes(c) && m.either(c)
}

// Excludes tells whether c is excluded by its path or the one that it came from.
func (m *Match) Excludes(c *Change) bool { return m.except != nil && m.except.either(c) }

func (m *Match) either(c *Change) bool {
	return m.Path(c.Path) || c.From != "" && m.Path(c.From)
}

// Idle returns the globs that match none of the changes, in the order given.
func (m *Match) Idle(list []Change) []string {
	var idle []string
	for _, g := range m.globs {
		one := &Match{literals: map[string]bool{g: true}, globs: []string{g}}
		if !slices.ContainsFunc(list, func(c Change) bool { return c.Op != Same && one.Change(&c) }) {
			idle = append(idle, g)
		}
	}
	return idle
}

// Filter returns the changes that m matches, and the directories without which
// they would have no place. A nil m matches everything.
func Filter(list []Change, m *Match) []Change {
	if m == nil {
		return list
	}
	keep := make([]bool, len(list))
	need := make(map[string]bool)
	for i := range list {
		c := &list[i]
		if !m.Change(c) {
			continue
		}
		keep[i] = true
		for d := Parent(c.Path); d != Root && !need[d]; d = Parent(d) {
			need[d] = true
		}
	}
	var out []Change
	for i := range list {
		if keep[i] || need[list[i].Path] && list[i].Arrives() {
			out = append(out, list[i])
		}
	}
	return out
}
