package text

import (
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Pair is one line of "key: value".
type Pair struct{ Key, Value string }

// ScanPairs reads back what Status, Kernel, Version, Commit, Discard and Error
// print. A key may come more than once.
func ScanPairs(data []byte) ([]Pair, error) {
	var all []Pair
	for text := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSuffix(text, "\n"), ": ")
		if !ok {
			return nil, fault.New(fault.Usage, "no key and value: %.80q", text)
		}
		if strings.HasPrefix(value, `"`) {
			plain, rest, err := cutField(value)
			if err != nil {
				return nil, err
			}
			if rest == "" {
				value = plain
			}
		}
		all = append(all, Pair{key, value})
	}
	return all, nil
}

// ScanChanges reads back what Changes prints: letter, paths and note.
func ScanChanges(data []byte) ([]wire.Change, error) {
	var all []wire.Change
	for text := range strings.Lines(string(data)) {
		c, err := scanChange(strings.TrimSuffix(text, "\n"))
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func scanChange(text string) (c wire.Change, err error) {
	op, rest, ok := strings.Cut(text, " ")
	if !ok || len(op) != 1 {
		return c, fault.New(fault.Usage, "no change: %.80q", text)
	}
	c.Op = op
	if op == "R" {
		var from string
		if from, rest, err = cutField(rest); err != nil {
			return c, err
		}
		c.From, c.FromB64 = wire.SplitPath(from)
	}
	name, rest, err := cutField(rest)
	if err != nil {
		return c, err
	}
	c.Path, c.PathB64 = wire.SplitPath(name)
	if note, ok := strings.CutPrefix(rest, "# "); ok {
		c.Note = note
		if strings.HasPrefix(note, `"`) {
			c.Note, _, err = cutField(note)
		}
	} else if rest != "" {
		return c, fault.New(fault.Usage, "too much on a line: %.80q", text)
	}
	return c, err
}
