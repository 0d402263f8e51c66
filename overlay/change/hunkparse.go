package change

import (
	"bytes"
	"fmt"
)

// parseHunks takes the hunks of a text diff apart.
func parseHunks(diff []byte) ([]Hunk, error) {
	var list []Hunk
	var p *hunkParser
	for line := range bytes.Lines(diff) {
		if line[0] == '@' {
			p.end(&list)
			p = &hunkParser{}
			if err := p.header(line); err != nil {
				return nil, err
			}
		} else if p != nil {
			p.line(line)
		}
	}
	p.end(&list)
	return list, nil
}

// hunkParser reads one hunk.
type hunkParser struct {
	x        Hunk
	old, new int // lines so far, from the beginning of the file

	run   *Hunk  // the run of changed lines that has begun
	lead  []byte // the unchanged lines before the next
	parts []Hunk
}

func (p *hunkParser) header(line []byte) error {
	if _, err := fmt.Sscanf(string(line), "@@ -%d,%d +%d,%d @@", &p.x.Old.At, &p.x.Old.N, &p.x.New.At, &p.x.New.N); err != nil {
		return fmt.Errorf("read the head of a hunk, %q: %w", line, err)
	}
	for _, s := range []*Span{&p.x.Old, &p.x.New} {
		if s.N > 0 {
			s.At-- // it counts from 1, but says where an empty one is
		}
	}
	p.old, p.new = p.x.Old.At, p.x.New.At
	p.x.Text = append(p.x.Text, line...)
	return nil
}

func (p *hunkParser) line(line []byte) {
	p.x.Text = append(p.x.Text, line...)
	switch line[0] {
	case '-', '+':
		if p.run == nil {
			p.run = &Hunk{Old: Span{At: p.old}, New: Span{At: p.new}, Text: bytes.Clone(p.lead)}
			p.lead = nil
		}
		p.run.Text = append(p.run.Text, line...)
		if line[0] == '-' {
			p.old++
			p.run.Old.N++
		} else {
			p.new++
			p.run.New.N++
		}
	case ' ':
		p.close()
		p.lead = append(p.lead, line...)
		p.old++
		p.new++
	default: // "\\ No newline at end of file"
		if p.run != nil {
			p.run.Text = append(p.run.Text, line...)
		}
	}
}

// close ends a run of changed lines.
func (p *hunkParser) close() {
	if p.run != nil {
		p.parts = append(p.parts, *p.run)
		p.run = nil
	}
}

// end adds the hunk to the list.
func (p *hunkParser) end(list *[]Hunk) {
	if p == nil {
		return
	}
	p.close()
	if len(p.parts) > 1 {
		p.parts[len(p.parts)-1].Text = append(p.parts[len(p.parts)-1].Text, p.lead...)
		for i := range p.parts {
			p.parts[i].Text = append([]byte(p.parts[i].heading()), p.parts[i].Text...)
		}
		p.x.Parts = p.parts
	}
	*list = append(*list, p.x)
}

// heading is the line that a patch begins a hunk with. Of a part it counts the
// changed lines alone.
func (x *Hunk) heading() string {
	old, mine := x.Old, x.New
	for _, s := range []*Span{&old, &mine} {
		if s.N > 0 {
			s.At++
		}
	}
	return fmt.Sprintf("@@ -%d,%d +%d,%d @@\n", old.At, old.N, mine.At, mine.N)
}
