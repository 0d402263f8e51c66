package question

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/google/jsonschema-go/jsonschema"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Bounds of a form.
const (
	MaxSchema = 64 << 10 // bytes
	MaxFields = 64
	MaxAnswer = 256 << 10 // bytes
	MaxText   = 4096      // characters
)

// Form is what is to be filled in; make one with ParseForm.
type Form struct {
	Schema   json.RawMessage
	Fields   []wire.QuestionField
	resolved *jsonschema.Resolved
}

// ParseForm reads a schema. An empty one is a form without members, which asks for
// a yes.
func ParseForm(schema json.RawMessage) (f Form, err error) {
	if len(schema) == 0 || string(schema) == "null" {
		schema = json.RawMessage(`{"type":"object"}`)
	}
	if len(schema) > MaxSchema {
		return f, fault.New(fault.Limit, "the schema of a question has %d bytes, and at most %d are taken", len(schema), MaxSchema)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(schema, &s); err != nil {
		return f, fault.New(fault.Usage, "the schema of a question is none: %w", err)
	}
	if s.Type != "object" || len(s.Properties) > MaxFields {
		return f, fault.New(fault.Usage, "the schema of a question is one of an object with at most %d members", MaxFields)
	}
	for name, p := range s.Properties {
		if p == nil {
			return f, fault.New(fault.Usage, "the schema of a question says nothing of %.64q", name)
		}
		f.Fields = append(f.Fields, field(name, p, slices.Contains(s.Required, name)))
	}
	slices.SortFunc(f.Fields, func(a, b wire.QuestionField) int { // as the schema's author had them, as far as it can be told
		if x, y := slices.Index(s.Required, a.Name), slices.Index(s.Required, b.Name); x >= 0 && y >= 0 {
			return x - y
		} else if x != y {
			return y - x
		}
		return strings.Compare(a.Name, b.Name)
	})
	f.Schema = schema
	if f.resolved, err = s.Resolve(nil); err != nil {
		return f, fault.New(fault.Usage, "the schema of a question is of no use: %w", err)
	}
	return f, nil
}

// field is a member as people see it.
func field(name string, s *jsonschema.Schema, required bool) wire.QuestionField {
	f := wire.QuestionField{Name: name, Title: tame(s.Title), About: tame(s.Description), Type: s.Type, Required: required}
	choices := s
	if s.Type == "array" && s.Items != nil {
		choices = s.Items
	}
	for _, v := range choices.Enum {
		if text, ok := v.(string); ok {
			f.Options = append(f.Options, tame(text))
		}
	}
	for _, one := range slices.Concat(choices.OneOf, choices.AnyOf) {
		if one != nil && one.Const != nil {
			if text, ok := (*one.Const).(string); ok {
				f.Options = append(f.Options, tame(text))
			}
		}
	}
	if s.WriteOnly || s.Format == "password" {
		f.Type = "secret"
	} else if s.Default != nil && s.Type != "array" {
		f.Default = tame(strings.Trim(string(s.Default), `"`))
	}
	return f
}

// read makes the content of an answer, which fits the schema.
func (f Form) read(r wire.AnswerQuestion) (map[string]any, error) {
	content := map[string]any{}
	if size := len(r.Content); size > MaxAnswer {
		return nil, fault.New(fault.Limit, "the answer has %d bytes, and at most %d are taken", size, MaxAnswer)
	}
	if len(r.Content) > 0 && json.Unmarshal(r.Content, &content) != nil {
		return nil, fault.New(fault.Usage, "the content of the answer is no JSON object of the fields")
	}
	size := 0
	for name, texts := range r.Values {
		if name == "" && len(f.Fields) == 1 { // as 0.2 answers
			name = f.Fields[0].Name
		}
		value, err := f.value(name, texts)
		if err != nil {
			return nil, err
		}
		for _, t := range texts {
			size += len(t)
		}
		content[name] = value
	}
	if size > MaxAnswer {
		return nil, fault.New(fault.Limit, "the answer has %d bytes, and at most %d are taken", size, MaxAnswer)
	}
	for _, one := range f.Fields {
		if _, there := content[one.Name]; one.Required && !there {
			return nil, fault.New(fault.Usage, "the answer lacks %s; astrid answer ID --help says how to give it", one.Name)
		}
	}
	for name := range content {
		if !slices.ContainsFunc(f.Fields, func(one wire.QuestionField) bool { return one.Name == name }) {
			return nil, fault.New(fault.Usage, "nobody asked for %.64q", name)
		}
	}
	if f.resolved.Validate(content) != nil { // whose error tells the value
		return nil, fault.New(fault.Usage, "the answer does not fit what was asked for: %s", f.misfit(content))
	}
	return content, nil
}

// misfit names the members that do not fit, and not what is in them.
func (f Form) misfit(content map[string]any) string {
	var s jsonschema.Schema
	var bad []string
	if json.Unmarshal(f.Schema, &s) == nil {
		for name, value := range content {
			if one, err := s.Properties[name].Resolve(nil); err != nil || one.Validate(value) != nil {
				bad = append(bad, name)
			}
		}
	}
	slices.Sort(bad)
	if len(bad) == 0 {
		return "see its schema"
	}
	return "look at " + strings.Join(bad, ", ")
}

// value reads what people typed as what a member is.
func (f Form) value(name string, texts []string) (any, error) {
	i := slices.IndexFunc(f.Fields, func(one wire.QuestionField) bool { return one.Name == name })
	if i < 0 {
		return nil, fault.New(fault.Usage, "nobody asked for %.64q", name)
	}
	if f.Fields[i].Type == "array" {
		list := []any{}
		for _, t := range texts {
			list = append(list, t)
		}
		return list, nil
	}
	if len(texts) != 1 {
		return nil, fault.New(fault.Usage, "%s is one value, and was given %d times", name, len(texts))
	}
	var value any = texts[0]
	var err error
	switch f.Fields[i].Type {
	case "integer":
		value, err = strconv.ParseInt(texts[0], 10, 64)
	case "number":
		value, err = strconv.ParseFloat(texts[0], 64)
	case "boolean":
		value, err = strconv.ParseBool(texts[0])
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "%s is to be of the type %s", name, f.Fields[i].Type)
	}
	return value, nil
}

// tame cuts a text, and takes away what could draw on a person's terminal.
func tame(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	if r := []rune(s); len(r) > MaxText {
		s = string(r[:MaxText])
	}
	return strings.TrimSpace(s)
}
