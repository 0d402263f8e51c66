package wire

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"astrid/kernel/fault"
)

// shape checks a JSON value and returns it as the protocol writes it.
type shape func(Raw) (Raw, error)

func errShape(what string, got any) error {
	return fault.New(fault.Internal, "the %s %.64q is not one of the protocol's", what, got)
}

func errKind(want string, v Raw) error {
	return fault.New(fault.Usage, "%s was expected, not %s", want, v.Kind())
}

// anything is any value.
func anything(v Raw) (Raw, error) { return v, nil }

func text(v Raw) (Raw, error) {
	if v.Kind() != '"' {
		return nil, errKind("a string", v)
	}
	return v, nil
}

func boolean(v Raw) (Raw, error) {
	if k := v.Kind(); k != 't' && k != 'f' {
		return nil, errKind("true or false", v)
	}
	return v, nil
}

// count is a whole number from 0.
func count(v Raw) (Raw, error) {
	var n uint64
	if v.Kind() != '0' || Decode(v, &n) != nil {
		return nil, errKind("a count", v)
	}
	return v, nil
}

// uuid is a UUID in any case; it is written in lower case with hyphens.
func uuid(v Raw) (Raw, error) {
	var s string
	if v.Kind() != '"' || Decode(v, &s) != nil {
		return nil, errKind("a UUID", v)
	}
	id, err := ParseUUID(s)
	if err != nil {
		return nil, err
	}
	return mustQuote(id), nil
}

// word is one of a few strings.
func word(words ...string) shape {
	return func(v Raw) (Raw, error) {
		var s string
		if v.Kind() != '"' || Decode(v, &s) != nil || !slices.Contains(words, s) {
			return nil, errKind("one of the protocol's words", v)
		}
		return mustQuote(s), nil
	}
}

// list is an array of one shape.
func list(of shape) shape {
	return func(v Raw) (Raw, error) {
		var all []Raw
		if v.Kind() != '[' {
			return nil, errKind("an array", v)
		}
		if err := Decode(v, &all); err != nil {
			return nil, err
		}
		out := []byte{'['}
		for i, one := range all {
			canonical, err := of(one)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, canonical...)
		}
		return append(out, ']'), nil
	}
}

// oneOf is the first shape that fits.
func oneOf(shapes ...shape) shape {
	return func(v Raw) (out Raw, err error) {
		for _, s := range shapes {
			if out, err = s(v); err == nil {
				return out, nil
			}
		}
		return nil, err
	}
}

// variant is one case of a tagged value.
type variant struct {
	name string
	of   shape
}

// external is an object with one member, whose name is the tag.
func external(variants ...variant) shape {
	return func(v Raw) (Raw, error) {
		members, order, err := membersOf(v)
		if err != nil {
			return nil, err
		}
		if len(order) != 1 {
			return nil, errKind("an object with one member", v)
		}
		for _, c := range variants {
			if c.name == order[0] {
				inner, err := c.of(members[c.name])
				if err != nil {
					return nil, err
				}
				return append(appendMember([]byte{'{'}, c.name, inner), '}'), nil
			}
		}
		return nil, errKind("one of the protocol's tags", v)
	}
}

// internal is an object whose member "type" is the tag.
func internal(variants ...variant) shape {
	return func(v Raw) (Raw, error) {
		tag := PayloadType(v)
		for _, c := range variants {
			if c.name == tag {
				inner, err := c.of(v)
				if err != nil {
					return nil, err
				}
				return withTag(tag, inner), nil
			}
		}
		return nil, errKind("one of the protocol's types", v)
	}
}

// member is one member of an object.
type member struct {
	name     string
	of       shape
	optional bool
	standard string // JSON that stands for an absent one; empty: it is left out
}

func required(name string, of shape) member { return member{name: name, of: of} }
func optional(name string, of shape) member { return member{name: name, of: of, optional: true} }
func defaulted(name string, of shape, standard string) member {
	return member{name: name, of: of, standard: standard}
}

// object has these members, in this order; others are dropped. An optional one
// that is null is absent.
func object(list ...member) shape {
	return func(v Raw) (Raw, error) {
		members, _, err := membersOf(v)
		if err != nil {
			return nil, err
		}
		out := []byte{'{'}
		for _, m := range list {
			value, there := members[m.name]
			switch {
			case there && !(m.optional && value.Kind() == 'n'):
			case m.standard != "":
				value = Raw(m.standard)
			case m.optional:
				continue
			default:
				return nil, fault.New(fault.Usage, "the member %q is missing", m.name)
			}
			canonical, err := m.of(value)
			if err != nil {
				return nil, err
			}
			out = appendMember(out, m.name, canonical)
		}
		return append(out, '}'), nil
	}
}

func appendMember(out []byte, name string, value Raw) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = append(out, mustQuote(name)...)
	out = append(out, ':')
	return append(out, value...)
}

// membersOf takes an object apart, keeping the order of its members.
func membersOf(v Raw) (map[string]Raw, []string, error) {
	if v.Kind() != '{' {
		return nil, nil, errKind("an object", v)
	}
	members := map[string]Raw{}
	var order []string
	dec := jsontext.NewDecoder(bytes.NewReader(v))
	if _, err := dec.ReadToken(); err != nil {
		return nil, nil, fault.Wrap(fault.Usage, err, "malformed JSON")
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, nil, fault.Wrap(fault.Usage, err, "malformed JSON")
		}
		key := name.String() // the token is valid only until the next read
		value, err := dec.ReadValue()
		if err != nil {
			return nil, nil, fault.Wrap(fault.Usage, err, "malformed JSON")
		}
		members[key] = value.Clone()
		order = append(order, key)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, nil, fault.Wrap(fault.Usage, err, "malformed JSON")
	}
	return members, order, nil
}
