package view

import (
	"bytes"
	"fmt"
	"io"
	"unicode"

	"astrid/ctl/text"
	"astrid/kernel/wire"
)

// Hunks writes hunks with their IDs: a line that names each, then its text.
func Hunks(w io.Writer, all []wire.Hunk) error {
	for i := range all {
		if err := hunk(w, &all[i], true); err != nil {
			return err
		}
	}
	return nil
}

// HunkTo writes one hunk, painted, for somebody who is about to be asked.
func HunkTo(w io.Writer, h *wire.Hunk, s Style) error {
	p := &Pager{style: s, out: w}
	err := hunk(p, h, false)
	p.Close()
	return err
}

func hunk(w io.Writer, h *wire.Hunk, named bool) error {
	var b bytes.Buffer
	if named {
		fmt.Fprintf(&b, "hunk %s ", h.ID)
	}
	fmt.Fprintf(&b, "%s %s", h.Op, text.Quote(h.Name()))
	if from := wire.JoinPath(h.From, h.FromB64); from != "" {
		fmt.Fprintf(&b, " (was %s)", text.Quote(from))
	}
	if h.What != "lines" {
		fmt.Fprintf(&b, " (%s)", h.What)
	}
	b.WriteByte('\n')
	body := h.Body()
	if !named {
		body = visible(body)
	}
	b.Write(body)
	if len(body) > 0 && body[len(body)-1] != '\n' {
		b.WriteByte('\n') // a long one is cut
	}
	for i := range h.Parts {
		if p := &h.Parts[i]; named {
			fmt.Fprintf(&b, "part %s -%d,%d +%d,%d\n", p.ID, p.OldAt, p.OldLines, p.NewAt, p.NewLines)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// visible is text in which nothing hides anything: what a terminal would obey, and
// what turns the direction of writing, is shown by its number.
func visible(text []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, "<%02X>", r)
		case unicode.Is(unicode.Cf, r):
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.Bytes()
}
