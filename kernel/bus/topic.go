package bus

import (
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Limits of topics and patterns.
const (
	MaxTopic    = wire.MaxTopic
	MaxSegments = 20
)

// Topic is what a message is about; make one from foreign text with ParseTopic.
type Topic string

// ParseTopic checks a topic: Kind Usage when it is none. It must not contain a
// segment "*", which only patterns have.
func ParseTopic(s string) (Topic, error) {
	segments, err := split("topic", s)
	if err != nil {
		return "", err
	}
	for _, segment := range segments {
		if segment == "*" {
			return "", fault.New(fault.Usage, "the topic %q contains a wildcard, which only patterns may", s)
		}
	}
	return Topic(s), nil
}

// Call is the topic of the call whose result is told on t, if it is such a one.
func (t Topic) Call() (call Topic, ok bool) {
	tool, ok := strings.CutPrefix(string(t), "tool.v1.execute.")
	tool, result := strings.CutSuffix(tool, ".result")
	return "tool.v1.execute." + Topic(tool), ok && result && tool != ""
}

func split(what, s string) ([]string, error) {
	if len(s) > MaxTopic {
		return nil, fault.New(fault.Usage, "Topic exceeds maximum allowed length (%d bytes)", MaxTopic)
	}
	segments := strings.Split(s, ".")
	if len(segments) > MaxSegments {
		return nil, fault.New(fault.Usage, "the %s %q has %d segments, and %d are allowed", what, s, len(segments), MaxSegments)
	}
	for _, segment := range segments {
		if segment == "" {
			return nil, fault.New(fault.Usage, "the %s %q contains empty segments (consecutive dots, leading/trailing dots, or is empty)", what, s)
		}
	}
	return segments, nil
}

// Pattern matches topics. The zero Pattern matches nothing.
type Pattern struct {
	text     string
	segments []string
}

// ParsePattern checks a pattern: Kind Usage when it is none.
func ParsePattern(s string) (Pattern, error) {
	segments, err := split("pattern", s)
	if err != nil {
		return Pattern{}, err
	}
	return Pattern{text: s, segments: segments}, nil
}

// ParsePatterns checks several.
func ParsePatterns(list []string) ([]Pattern, error) {
	all := make([]Pattern, 0, len(list))
	for _, s := range list {
		p, err := ParsePattern(s)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// String is the text that the pattern was made from.
func (p Pattern) String() string { return p.text }

// deep tells whether the last segment stands for one or more.
func (p Pattern) deep() bool { return len(p.segments) > 1 && p.segments[len(p.segments)-1] == "*" }

// Match tells whether the pattern matches a topic.
func (p Pattern) Match(t Topic) bool { return p.matches(strings.Split(string(t), "."), false) }

// Covers tells whether p matches every topic that q matches: it decides whether
// a permission p allows a subscription or a publication q.
func (p Pattern) Covers(q Pattern) bool {
	if q.deep() && !p.deep() {
		return false // q matches longer topics than p does
	}
	return p.matches(q.segments, q.deep())
}

// matches compares with the segments of a topic, or of a pattern, whose "*" only
// a "*" matches.
func (p Pattern) matches(segments []string, deep bool) bool {
	n := len(p.segments)
	switch {
	case n == 0 || len(segments) < n, len(segments) > n && !p.deep():
		return false
	case deep && len(segments) > n: // the rest is p's own "*"
		segments = segments[:n]
	}
	for i, segment := range p.segments {
		if segment != "*" && segment != segments[i] {
			return false
		}
	}
	return true
}
