package text

import (
	"fmt"
	"strings"

	"astrid/kernel/fault"
)

// Quote makes one field of a path or value: as it is when it is plain, else
// between double quotes with the escapes of C.
func Quote(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		if e := strings.IndexByte(escaped, c); e >= 0 {
			b.WriteByte('\\')
			b.WriteByte(letters[e])
			continue
		}
		if c < ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "\\%03o", c)
			continue
		}
		b.WriteByte(c)
	}
	b.WriteByte('"')
	return b.String()
}

// The characters that have a letter of their own after a backslash.
const (
	escaped = "\"\\\a\b\f\n\r\t\v"
	letters = "\"\\abfnrtv"
)

func plain(s string) bool {
	if s == "" || s[0] == '#' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// cutField takes the first field of a line made by Quote.
func cutField(line string) (field, rest string, err error) {
	if !strings.HasPrefix(line, `"`) {
		field, rest, _ = strings.Cut(line, " ")
		return field, rest, nil
	}
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; c {
		case '"':
			return b.String(), strings.TrimPrefix(line[i+1:], " "), nil
		case '\\':
			n, err := unescape(&b, line[i+1:])
			if err != nil {
				return "", "", err
			}
			i += n
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fault.New(fault.Usage, "a quote is not closed in %.80q", line)
}

// unescape appends what the escape at the head of s, without its backslash,
// stands for, and returns how long it is.
func unescape(b *strings.Builder, s string) (int, error) {
	if s == "" {
		return 0, fault.New(fault.Usage, "a backslash at the end")
	}
	if e := strings.IndexByte(letters, s[0]); e >= 0 {
		b.WriteByte(escaped[e])
		return 1, nil
	}
	if len(s) < 3 {
		return 0, fault.New(fault.Usage, "no such escape: \\%.3s", s)
	}
	value := 0
	for _, c := range []byte(s[:3]) {
		if c < '0' || c > '7' {
			return 0, fault.New(fault.Usage, "no such escape: \\%.3s", s)
		}
		value = value*8 + int(c-'0')
	}
	if value > 0xff {
		return 0, fault.New(fault.Usage, "no such byte: \\%.3s", s)
	}
	b.WriteByte(byte(value))
	return 3, nil
}
