package cap

import (
	"encoding/binary"
	"slices"
)

// maxSteps bounds how long two patterns are compared.
const maxSteps = 50_000

// covers tells whether everything that inner matches is matched by outer. When
// that takes too long to prove, it is not so.
func covers(outer, inner *glob) bool {
	whole := explore(inner, outer, func(in, out bool) bool { return in && !out })
	return whole == never
}

// overlaps tells whether some text is matched by both. When that takes too long
// to refute, it is so.
func overlaps(a, b *glob) bool {
	for i := range min(len(a.parts), len(b.parts)) {
		x, y := a.parts[i], b.parts[i]
		if x.kind != one || y.kind != one {
			break
		}
		if x.char != y.char {
			return false
		}
	}
	return explore(a, b, func(in, other bool) bool { return in && other }) != never
}

type verdict uint8

const (
	unknown verdict = iota
	never
	found
)

type place struct{ a, b states }

func (p place) key() string {
	var key []byte
	for _, w := range slices.Concat(p.a, p.b) {
		key = binary.LittleEndian.AppendUint64(key, w)
	}
	return string(key)
}

// explore runs both automata over all texts that a may still match, until
// wanted holds for what the two accept.
func explore(a, b *glob, wanted func(a, b bool) bool) verdict {
	alphabet := letters(a, b)
	first := place{a.start(), b.start()}
	seen, todo := map[string]bool{first.key(): true}, []place{first}
	for steps := 0; len(todo) > 0; {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if wanted(a.accepts(p.a), b.accepts(p.b)) {
			return found
		}
		for _, c := range alphabet {
			if steps++; steps > maxSteps {
				return unknown
			}
			next := place{a.step(p.a, c), b.step(p.b, c)}
			if key := next.key(); !next.a.empty() && !seen[key] {
				seen[key] = true
				todo = append(todo, next)
			}
		}
	}
	return never
}

// letters are the characters that a and b tell apart, and one for all others.
func letters(a, b *glob) []rune {
	const other = -1
	all := []rune{'/', other}
	for _, p := range slices.Concat(a.parts, b.parts) {
		if p.kind == one {
			all = append(all, p.char)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
