package view

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// Pager writes a patch: as it is, or painted and through $PAGER on a terminal.
// Close it.
type Pager struct {
	style  Style
	out    io.Writer
	pipe   io.WriteCloser // to the pager; nil without one
	cmd    *exec.Cmd
	line   []byte // of the patch, not complete yet
	header bool   // between "diff --git" and the first hunk
	closed bool   // the reader went away
}

// NewPager starts the pager that the environment asks for when out is a terminal.
func NewPager(out, errs *os.File, style Style, environ []string) *Pager {
	p := &Pager{style: style, out: out}
	if !term.IsTerminal(int(out.Fd())) {
		return p
	}
	pager := lookup(environ, "PAGER")
	if pager == "cat" {
		return p
	}
	if pager == "" {
		pager = "less"
	}
	p.start(pager, out, errs, environ)
	return p
}

func (p *Pager) start(pager string, out, errs *os.File, environ []string) {
	cmd := exec.Command("/bin/sh", "-c", pager)
	cmd.Env = environ
	if lookup(environ, "LESS") == "" {
		cmd.Env = append(slices.Clone(environ), "LESS=FRX")
	}
	cmd.Stdout, cmd.Stderr = out, errs
	pipe, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return // without a pager then
	}
	p.cmd, p.pipe, p.out = cmd, pipe, pipe
}

func lookup(environ []string, name string) string {
	for _, v := range environ {
		if n, value, _ := strings.Cut(v, "="); n == name {
			return value
		}
	}
	return ""
}

// Write takes a piece of the patch.
func (p *Pager) Write(b []byte) (int, error) {
	if !p.style.Colour {
		_, err := p.out.Write(b)
		return len(b), p.noted(err)
	}
	p.line = append(p.line, b...)
	for {
		end := bytes.IndexByte(p.line, '\n')
		if end < 0 {
			return len(b), nil
		}
		_, err := io.WriteString(p.out, p.painted(string(p.line[:end]))+"\n")
		if err := p.noted(err); err != nil {
			return 0, err
		}
		p.line = p.line[end+1:]
	}
}

// noted remembers that the reader went away.
func (p *Pager) noted(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		p.closed = true
	}
	return err
}

func (p *Pager) painted(line string) string {
	has := func(prefix string) bool { return len(line) >= len(prefix) && line[:len(prefix)] == prefix }
	switch {
	case has("diff --git "):
		p.header = true
		return p.style.paint(bold, line)
	case has("@@ "):
		p.header = false
		return p.style.paint(cyan, line)
	case p.header:
		return p.style.paint(bold, line)
	case has("+"):
		return p.style.paint(green, line)
	case has("-"):
		return p.style.paint(red, line)
	}
	return line
}

// Close waits for the pager. It tells whether the reader went away before the
// end, which is no error.
func (p *Pager) Close() (early bool) {
	if len(p.line) > 0 {
		_, err := p.out.Write(p.line)
		_ = p.noted(err)
	}
	if p.pipe != nil {
		p.pipe.Close()
		_ = p.cmd.Wait()
	}
	return p.closed
}
