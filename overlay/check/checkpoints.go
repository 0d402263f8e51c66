package check

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"astrid/overlay/meta"
)

// checkpoints looks at each checkpoint as the view that it was, and at what operations
// replaced since, which lies beneath it.
func (c *checker) checkpoints() error {
	points, bad, err := meta.ReadCheckpoints(c.dir)
	if err != nil {
		return err
	}
	for name, err := range bad {
		c.leftover("%q is no checkpoint: %v", name, err)
	}
	names, first := map[string]bool{}, uint64(0)
	for _, p := range points {
		if names[p.Name] {
			c.find("two checkpoints have the name %s", p.Name)
		}
		names[p.Name] = true
		if first == 0 || p.Folded+1 < first {
			first = p.Folded + 1
		}
		c.kept[p.File()] = true
		c.kept[strconv.FormatUint(p.Epoch, 10)+logSuffix] = true
		if err := c.checkpoint(p); err != nil {
			return err
		}
	}
	c.Checkpoints = len(points)
	return c.pres(first)
}

func (c *checker) checkpoint(p meta.Checkpoint) error {
	l, err := meta.LoadAt(c.dir, p.Epoch, p.End)
	if unreadable(err) {
		c.find("checkpoint %s cannot be read: %v", p.Name, err)
		return nil
	}
	if err != nil {
		return err
	}
	defer l.Close()
	c.as = fmt.Sprintf("as of checkpoint %s: ", p.Name)
	defer func() { c.as = "" }()
	c.layer(l)
	v := newView()
	v.add(c, l)
	c.state(v)
	meta.NamedBy([]*meta.Layer{l}, c.named)
	if l.Sealed == 0 {
		c.find("nothing keeps its data files from being written to")
	}
	return nil
}

// pres looks at what operations replaced, from one on that a checkpoint needs.
func (c *checker) pres(first uint64) error {
	numbers, err := meta.Pres(c.dir)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if first == 0 || n < first {
			continue // nobody needs it: the next opening removes it
		}
		l, err := meta.LoadPre(c.dir, n)
		if unreadable(err) {
			c.find("what operation %d replaced cannot be read: %v", n, err)
			continue
		}
		if err != nil {
			return err
		}
		c.kept[fmt.Sprintf("pre-%d%s", n, logSuffix)] = true
		meta.NamedBy([]*meta.Layer{l}, c.named)
		l.Close()
	}
	return nil
}

func unreadable(err error) bool {
	return errors.Is(err, meta.ErrFormat) || errors.Is(err, meta.ErrVersion) || errors.Is(err, unix.ENOENT)
}
