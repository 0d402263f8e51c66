package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// maxFindings bounds a Report: what is broken in more places than that is not
// better understood by reading on.
const maxFindings = 1000

// Report is what Run saw.
type Report struct {
	Findings    []string // broken invariants, a plain sentence each, sorted
	Leftovers   []string // what the next opening removes, sorted
	Layers      int
	Records     int // in force
	Entries     int // names in force that the layers give
	Orphans     int // files without a name that were open when the session ended
	Checkpoints int
	DataFiles   int
}

// OK tells whether no invariant is broken.
func (r *Report) OK() bool { return len(r.Findings) == 0 }

// Run examines the directory of a session. An error means that it could not be
// examined; what is wrong with it is in the Report. A directory without a HEAD is
// a session that was never opened.
func Run(ctx context.Context, dir string) (Report, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Report{}, &fs.PathError{Op: "check", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	c := &checker{ctx: ctx, dir: fd, data: -1, seen: map[string]bool{}, kept: map[string]bool{}, named: map[uint64]bool{}}
	err = c.run()
	if err != nil {
		err = fmt.Errorf("check %s: %w", dir, err)
	}
	slices.Sort(c.Findings)
	slices.Sort(c.Leftovers)
	return c.Report, err
}

// checker is one examination under way.
type checker struct {
	Report
	ctx   context.Context
	dir   int // of the session
	data  int // of its data files; -1 when there is none
	stack []*meta.Layer
	kept  map[string]bool // logs beside those of the stack
	named map[uint64]bool // data files that those name
	seen  map[string]bool // findings, so that each is told once
	as    string          // "as of layer 3: " while a frozen state is looked at
}

func (c *checker) find(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if c.seen[s] || len(c.Findings) >= maxFindings {
		return
	}
	c.seen[s] = true
	c.Findings = append(c.Findings, c.as+s)
}

func (c *checker) leftover(format string, args ...any) {
	c.Leftovers = append(c.Leftovers, fmt.Sprintf(format, args...))
}

func (c *checker) run() (err error) {
	c.stack, err = meta.LoadStack(c.dir, true)
	if errors.Is(err, meta.ErrFormat) || errors.Is(err, meta.ErrVersion) || errors.Is(err, unix.ENOENT) ||
		errors.Is(err, unix.ELOOP) {
		c.find("the chain of layers cannot be read: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer meta.CloseStack(c.stack)
	c.Layers = len(c.stack)
	if err := c.checkpoints(); err != nil {
		return err
	}
	if err := c.files(); err != nil {
		return err
	}
	v := newView()
	for i, l := range c.stack {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.layer(l)
		v.add(c, l)
		c.as = ""
		if i < len(c.stack)-1 {
			c.as = fmt.Sprintf("as of layer %d: ", l.Epoch)
		}
		c.state(v)
	}
	c.dataFiles()
	c.Records, c.Orphans = len(v.recs), v.orphans
	for _, own := range v.own {
		c.Entries += len(own)
	}
	return c.listData()
}

// each calls fn for the entries of a directory, with their state.
func each(dirfd int, fn func(name string, st *layer.Stat)) error {
	fd, err := layer.Open(dirfd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var failed error
	err = layer.Names(fd, func(name string, _ uint64, _ uint32) bool {
		var st layer.Stat
		if failed = layer.Statx(fd, name, &st); failed != nil {
			return false
		}
		fn(name, &st)
		return true
	})
	return errors.Join(err, failed)
}
