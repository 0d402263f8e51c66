package view

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"astrid/ctl/text"
	"astrid/kernel/wire"
)

// Changes writes one line a change, in the form of the control files; on a
// terminal the letters are painted and renames have an arrow.
func Changes(w io.Writer, list []wire.Change, s Style) error {
	if !s.Colour {
		_, err := w.Write(text.Changes(list))
		return err
	}
	out := bufio.NewWriter(w)
	for i := range list {
		fmt.Fprintln(out, s.change(&list[i]))
	}
	return out.Flush()
}

// ChangesZ writes letter, space and raw name, ended by a zero byte; a rename is
// followed by its old name and a zero byte.
func ChangesZ(w io.Writer, list []wire.Change) error {
	out := bufio.NewWriter(w)
	for i := range list {
		c := &list[i]
		fmt.Fprintf(out, "%s %s\x00", c.Op, c.Name())
		if c.Op == "R" {
			fmt.Fprintf(out, "%s\x00", c.Source())
		}
	}
	return out.Flush()
}

// some is how many lines of a list a summary shows.
const some = 20

// Some writes the head of a list.
func Some(w io.Writer, list []wire.Change, s Style) error {
	out := bufio.NewWriter(w)
	head(out, list, s)
	return out.Flush()
}

func head(out io.Writer, list []wire.Change, s Style) {
	for i := range list {
		if i == some && len(list) > some+1 {
			fmt.Fprintf(out, "  ... and %d more; astrid changes lists them all\n", len(list)-i)
			return
		}
		fmt.Fprintln(out, "  "+s.change(&list[i]))
	}
}

// graph is the width of the widest bar of Stat.
const graph = 40

// Stat writes how many lines were added and deleted, as git diff --stat does.
func Stat(w io.Writer, list []wire.Change, s Style) error {
	out := bufio.NewWriter(w)
	width, most := 0, 0
	for i := range list {
		width = max(width, len(text.Quote(list[i].Name())))
		most = max(most, list[i].Added+list[i].Deleted)
	}
	added, deleted := 0, 0
	for i := range list {
		c := &list[i]
		added, deleted = added+c.Added, deleted+c.Deleted
		fmt.Fprintf(out, " %-*s | %s\n", width, text.Quote(c.Name()), s.bar(c, most))
	}
	fmt.Fprintf(out, " %s, %d lines added, %d deleted\n", Count(len(list)), added, deleted)
	return out.Flush()
}

func (s Style) bar(c *wire.Change, most int) string {
	switch {
	case c.Binary:
		return "binary"
	case c.Added+c.Deleted == 0:
		return "0"
	}
	scale := func(n int) int {
		if most <= graph || n == 0 {
			return n
		}
		return max(1, n*graph/most)
	}
	return fmt.Sprintf("%d %s%s", c.Added+c.Deleted,
		s.paint(green, strings.Repeat("+", scale(c.Added))), s.paint(red, strings.Repeat("-", scale(c.Deleted))))
}
