package text

import (
	"strings"

	"astrid/kernel/fault"
)

// MaxWords bounds the words of one line.
const MaxWords = 1024

// Words splits a line like a shell without expansions: blanks separate, ' takes
// everything literally, " takes everything but backslash before one of "\$`,
// and a backslash outside of quotes takes the next byte literally.
func Words(line string) ([]string, error) {
	s := splitter{rest: line}
	for s.skipBlanks(); s.rest != ""; s.skipBlanks() {
		if len(s.words) == MaxWords {
			return nil, fault.New(fault.Usage, "more than %d words: write one JSON object", MaxWords)
		}
		if err := s.word(); err != nil {
			return nil, err
		}
	}
	return s.words, nil
}

type splitter struct {
	rest  string
	words []string
}

func (s *splitter) skipBlanks() { s.rest = strings.TrimLeft(s.rest, " \t\r") }

// word takes one word off the rest.
func (s *splitter) word() error {
	var b strings.Builder
	for s.rest != "" {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch c {
		case ' ', '\t', '\r':
			s.words = append(s.words, b.String())
			return nil
		case '\'':
			end := strings.IndexByte(s.rest, '\'')
			if end < 0 {
				return fault.New(fault.Usage, "a ' is not closed")
			}
			b.WriteString(s.rest[:end])
			s.rest = s.rest[end+1:]
		case '"':
			if err := s.doubleQuoted(&b); err != nil {
				return err
			}
		case '\\':
			if s.rest == "" {
				return fault.New(fault.Usage, "a backslash at the end of the line")
			}
			b.WriteByte(s.rest[0])
			s.rest = s.rest[1:]
		default:
			b.WriteByte(c)
		}
	}
	s.words = append(s.words, b.String())
	return nil
}

func (s *splitter) doubleQuoted(b *strings.Builder) error {
	for i := 0; i < len(s.rest); i++ {
		c := s.rest[i]
		if c == '"' {
			s.rest = s.rest[i+1:]
			return nil
		}
		if c == '\\' && i+1 < len(s.rest) && strings.IndexByte("\"\\$`", s.rest[i+1]) >= 0 {
			i++
			c = s.rest[i]
		}
		b.WriteByte(c)
	}
	return fault.New(fault.Usage, `a " is not closed`)
}

// Word takes the first word of a line, which must have one, and returns the rest
// without blanks at its ends.
func Word(line string) (word, rest string, err error) {
	s := splitter{rest: line}
	s.skipBlanks()
	if err := s.word(); err != nil {
		return "", "", err
	}
	return s.words[0], strings.TrimSpace(s.rest), nil
}
