package text

import (
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Params reads one line of a control file into the params of an operation: a
// JSON object as it is, or words for the members of these names, in order. A
// name with "?" may be left out, one with "…" takes all the words that are left,
// as a list, and one with "=" takes the rest of the line, which must be JSON. ok
// is false for an empty line.
func Params(line string, names ...string) (params wire.Raw, ok bool, err error) {
	line = strings.TrimSpace(line)
	switch {
	case line == "":
		return nil, false, nil
	case line[0] == '{':
		if err := wire.Decode([]byte(line), &map[string]wire.Raw{}); err != nil {
			return nil, false, err
		}
		return wire.Raw(line), true, nil
	}
	members := map[string]any{}
	for _, name := range names {
		if name, json := strings.CutSuffix(name, "="); json {
			if !wire.Raw(line).IsValid() {
				return nil, false, fault.New(fault.Usage, "%s is no JSON", name)
			}
			members[name], line = wire.Raw(line), ""
			continue
		}
		if line, err = member(members, name, line); err != nil {
			return nil, false, err
		}
	}
	if line != "" {
		return nil, false, fault.New(fault.Usage, "%.40q is one word too many: the line is %s", line, strings.Join(names, " "))
	}
	data, err := wire.EncodeExact(members)
	return data, err == nil, err
}

// member takes what a name stands for from the line.
func member(members map[string]any, name, line string) (rest string, err error) {
	name, list := strings.CutSuffix(name, "…")
	name, optional := strings.CutSuffix(name, "?")
	if list {
		words, err := Words(line)
		if err == nil && len(words) == 0 && !optional {
			err = missing(name)
		}
		if len(words) > 0 {
			members[name] = words
		}
		return "", err
	}
	if line == "" {
		if optional {
			return "", nil
		}
		return "", missing(name)
	}
	word, rest, err := Word(line)
	members[name] = word
	return rest, err
}

func missing(name string) error {
	return fault.New(fault.Usage, "the line says no %s", name)
}
