package change

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quote returns p as git prints it with core.quotePath off: as it is, or in
// double quotes with C escapes when it has a control character, a quote, a
// backslash or bytes that are not UTF-8.
func Quote(p string) string {
	if !needsQuote(p) {
		return p
	}
	return quoted(p)
}

// quoteSpace is Quote for the headers of a patch, where a blank would end the name.
func quoteSpace(p string) string {
	if needsQuote(p) || strings.ContainsRune(p, ' ') {
		return quoted(p)
	}
	return p
}

func needsQuote(p string) bool {
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRuneInString(p[i:])
		if special(r, n) {
			return true
		}
		i += n
	}
	return false
}

// special tells whether a rune of n bytes must not be printed as it is.
func special(r rune, n int) bool {
	return r == '"' || r == '\\' || r == utf8.RuneError && n == 1 || unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

const (
	escaped = "\a\b\t\n\v\f\r\"\\"
	letters = `abtnvfr"\`
)

func quoted(p string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRuneInString(p[i:])
		if !special(r, n) {
			b.WriteString(p[i : i+n])
			i += n
			continue
		}
		for _, c := range []byte(p[i : i+n]) {
			if k := strings.IndexByte(escaped, c); k >= 0 {
				b.WriteByte('\\')
				b.WriteByte(letters[k])
				continue
			}
			b.Write([]byte{'\\', '0' + c>>6, '0' + c>>3&7, '0' + c&7})
		}
		i += n
	}
	b.WriteByte('"')
	return b.String()
}
