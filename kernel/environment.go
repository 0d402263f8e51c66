package kernel

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/wire"
)

// environment finds what people have set for a capsule, or its defaults. What is
// missing is asked for, and keeps the capsule from being loaded.
func (p plugins) environment(f capsule.Found) (map[string]string, error) {
	env, missing, err := p.values(f)
	if err != nil || len(missing) == 0 {
		return env, err
	}
	payload, err := wire.NewPayload(wire.TypeOnboardingRequired, map[string]any{"capsule_id": f.Package.Name, "fields": missing})
	p.k.publish(bus.Message{Topic: "astrid.v1.onboarding.required"}, payload, err)
	return nil, fault.New(fault.Denied, "the capsule %s needs values that nobody has set: write them to %s and run astrid capsule reload", f.Package.Name, filepath.Join(f.Dir, ".env.json"))
}

// values are those that are set, secrets that its hook asked for, and defaults;
// missing are the others, as frontends ask for them.
func (p plugins) values(f capsule.Found) (env map[string]string, missing []any, err error) {
	if f.Listed != nil {
		return f.Listed.Env, nil, nil
	}
	set := map[string]string{}
	_, secrets, err := p.spaces(f.Package.Name)
	if err != nil {
		return nil, nil, err
	}
	data, err := home.ReadPrivate(filepath.Join(f.Dir, ".env.json"), capsule.MaxManifest)
	switch {
	case err == nil:
		if err := wire.Decode(data, &set); err != nil {
			return nil, nil, fault.Wrap(fault.Usage, err, "read what is set for the capsule %s", f.Package.Name)
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, nil, err
	}
	env = map[string]string{}
	for key, e := range f.Env {
		value, there := set[key]
		switch {
		case there:
		case e.Type == "secret" && len(e.Enum) <= 1:
			var secret []byte
			if secret, err = secrets.Get(key); err == nil {
				value, there = string(secret), true
			} else if e.Default != nil {
				value, there = defaultText(e.Default), true
			}
		case len(e.Enum) <= 1 && e.Default != nil:
			value, there = defaultText(e.Default), true
		}
		if !there {
			missing = append(missing, onboarding(key, e))
			continue
		}
		env[key] = value
	}
	return env, missing, nil
}

func defaultText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}

// onboarding is a value as frontends ask for it.
func onboarding(key string, e capsule.Env) map[string]any {
	field := map[string]any{"key": key, "prompt": e.Request, "field_type": "Text"}
	if e.Request == "" {
		field["prompt"] = key
	}
	switch {
	case len(e.Enum) > 1:
		field["field_type"] = map[string]any{"Enum": e.Enum}
	case e.Type == "secret":
		field["field_type"] = "Secret"
	case e.Type == "array":
		field["field_type"] = "Array"
	}
	if e.Description != "" {
		field["description"] = e.Description
	}
	if e.Placeholder != "" {
		field["placeholder"] = e.Placeholder
	}
	if e.Default != nil {
		field["default"] = defaultText(e.Default)
	}
	return field
}
