package mcp

import (
	"bufio"
	"strings"
	"unicode/utf8"
)

// Bounds of what a program writes to its standard error.
const (
	maxLine  = 1 << 10 // bytes of a line; the rest is dropped
	maxLines = 200     // a minute; the rest is dropped
)

// listen logs what the program says on its standard error.
func (c *child) listen() {
	defer close(c.told)
	lines := window{max: maxLines}
	reader := bufio.NewReaderSize(c.errs, maxLine)
	for rest := false; ; {
		line, more, err := reader.ReadLine()
		if err != nil {
			return
		}
		if text := clip(string(line), maxLine); !rest && text != "" {
			c.lastLine = text
			if lines.take(c.s.config.Now(), 1) {
				c.s.config.Log.Info("an MCP server says", "session", c.session, "line", text)
			}
		}
		rest = more
	}
}

// clip is text of at most n bytes, valid UTF-8, and says so if that is not all.
func clip(text string, n int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}
