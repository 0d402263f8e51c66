package cap

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"astrid/kernel/fault"
)

// Bounds of texts that name resources.
const (
	MaxPattern  = 1024
	MaxResource = 8192
)

// Operation is the resource of an operation that needs capability in session,
// or in none when session is empty.
func Operation(session, capability string) string {
	if session == "" {
		session = "-"
	}
	return "astrid://" + session + "/" + capability
}

// scheme finds how a resource begins.
func scheme(resource string) (string, bool) {
	for _, s := range []string{"mcp://", "file://", "exec://", "net://", "capsule://", "astrid://"} {
		if strings.HasPrefix(resource, s) {
			return s, true
		}
	}
	return "", false
}

// strange finds what no resource may have in it.
func strange(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "it is not UTF-8"
	case strings.ContainsFunc(text, unicode.IsControl):
		return "it has control characters"
	case climbs(text):
		return "it has a segment .."
	}
	return ""
}

// compileResource reads a resource pattern.
func compileResource(pattern string) (*glob, error) {
	bad := func(reason string) error {
		return fault.New(fault.Usage, "invalid resource pattern: %.128q - %s", pattern, reason)
	}
	if len(pattern) > MaxPattern {
		return nil, bad("it is longer than 1024 bytes")
	}
	if reason := strange(pattern); reason != "" {
		return nil, bad(reason)
	}
	if s, ok := scheme(pattern); !ok || s == pattern {
		return nil, bad("it must begin with mcp://, file://, exec://, net://, capsule:// or astrid:// and name something")
	}
	g, err := compile(pattern, segmented)
	if err != nil {
		return nil, bad(err.Error())
	}
	return g, nil
}

// nameable tells whether anything may be granted on resource.
func nameable(resource string) bool {
	_, ok := scheme(resource)
	return ok && len(resource) <= MaxResource && strange(resource) == ""
}
