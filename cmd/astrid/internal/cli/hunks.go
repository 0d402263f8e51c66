package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// callHunks asks for hunks.
func (a *app) callHunks(ctx context.Context, s wire.Session, what wire.HunksRequest) (all []wire.Hunk, err error) {
	all = []wire.Hunk{}
	out := &wire.HunkLines{Each: func(h wire.Hunk) error {
		all = append(all, h)
		return nil
	}}
	req := wire.For[wire.HunksRequest]{Session: s.Name, Request: what}
	err = a.kernel.CallStream(ctx, op.Hunks, req, nil, out)
	return all, err
}

func (a *app) diffHunks(ctx context.Context, sel selection) error {
	if span, _ := spanOf(sel.args); span != nil {
		return fault.New(fault.Usage, "--hunks are of the view against the workspace, which is what can be committed")
	}
	s, paths, exclude, err := a.pickSelection(ctx, sel)
	if err != nil {
		return err
	}
	all, err := a.callHunks(ctx, s, wire.HunksRequest{Paths: paths, Exclude: exclude})
	if err != nil {
		return err
	}
	if a.json {
		return a.print(all)
	}
	out := view.NewPager(a.Stdout, a.Stderr, view.Style{Colour: a.coloured(a.Stdout)}, a.Environ)
	err = view.Hunks(out, all)
	if closed := out.Close(); closed || err == nil {
		return nil
	}
	return err
}

// commitPatch lets somebody at a terminal choose hunks, and commits them.
func (a *app) commitPatch(ctx context.Context, f commitFlags, args []string) error {
	if !a.asks() || a.json {
		return fault.New(fault.Usage, "--patch asks at a terminal, and there is none; astrid diff --hunks lists hunks and astrid commit --hunk ID commits them")
	}
	req, s, err := a.commitRequest(ctx, f, args)
	if err != nil {
		return err
	}
	all, err := a.offered(ctx, s, req)
	if err != nil {
		return err
	}
	c := &chooser{app: a, ctx: ctx, all: all, in: bufio.NewReader(a.Stdin), style: view.Style{Colour: a.coloured(a.Stderr)}}
	if req.Hunks, err = c.choose(); err != nil {
		return err
	}
	if len(req.Hunks) == 0 {
		return a.say("nothing was chosen, and nothing was committed\n")
	}
	req.Paths, req.Exclude = nil, nil
	reply, err := a.callCommit(ctx, s, req)
	if err != nil {
		return err
	}
	return a.committed(reply)
}

// offered are the hunks of what a commit of the request would apply.
func (a *app) offered(ctx context.Context, s wire.Session, req wire.CommitRequest) ([]wire.Hunk, error) {
	dry := req
	dry.DryRun = true
	plan, err := a.callCommit(ctx, s, dry)
	a.acting = false
	if err != nil {
		return nil, err
	}
	if len(plan.Applied) == 0 || len(plan.Conflicts) > 0 {
		if err := a.committed(plan); err != nil {
			return nil, err
		}
		return nil, exit(0)
	}
	applied := map[string]bool{}
	for i := range plan.Applied {
		applied[plan.Applied[i].Name()] = true
	}
	all, err := a.callHunks(ctx, s, wire.HunksRequest{Paths: req.Paths, Exclude: req.Exclude})
	var offered []wire.Hunk
	for _, h := range all {
		if applied[h.Name()] {
			offered = append(offered, h)
		}
	}
	return offered, err
}

// chooser asks about hunks, one after the other.
type chooser struct {
	*app
	ctx   context.Context
	in    *bufio.Reader
	style view.Style
	all   []wire.Hunk

	ids []string // chosen so far
}

const chooserHelp = `y - commit this hunk
n - leave it in the view
q - leave it and all that follow
a - commit it and all that follow of the same file
d - leave it and all that follow of the same file
s - split it into smaller ones
? - this help
`

// choose returns the IDs of what is to be committed.
func (c *chooser) choose() ([]string, error) {
	for i := 0; i < len(c.all); {
		h := &c.all[i]
		if err := view.HunkTo(c.Stderr, h, c.style); err != nil {
			return nil, err
		}
		answer, err := c.ask(i)
		if err != nil {
			return nil, err
		}
		switch answer {
		case "y":
			c.ids = append(c.ids, h.ID)
			i++
		case "n":
			i++
		case "q":
			return c.ids, nil
		case "a", "d":
			for file := h.Name(); i < len(c.all) && c.all[i].Name() == file; i++ {
				if answer == "a" {
					c.ids = append(c.ids, c.all[i].ID)
				}
			}
		case "s":
			c.split(i)
		default:
			fmt.Fprint(c.Stderr, chooserHelp)
		}
	}
	return c.ids, nil
}

// split puts the parts of a hunk in its place.
func (c *chooser) split(i int) {
	parts := c.all[i].Parts
	if len(parts) == 0 {
		fmt.Fprintln(c.Stderr, "it cannot be split")
		return
	}
	fmt.Fprintf(c.Stderr, "split into %d\n", len(parts))
	rest := append(append([]wire.Hunk{}, parts...), c.all[i+1:]...)
	c.all = append(c.all[:i:i], rest...)
}

// ask reads one answer; the end of input or an interrupt gives everything up.
func (c *chooser) ask(i int) (string, error) {
	letters := "y,n,q,a,d,?"
	if len(c.all[i].Parts) > 0 {
		letters = "y,n,q,a,d,s,?"
	}
	fmt.Fprintf(c.Stderr, "(%d/%d) commit this %s [%s]? ", i+1, len(c.all), noun(&c.all[i]), letters)
	answer := make(chan string, 1)
	go func() { // nothing ends a read from a terminal but the end of the program
		line, _ := c.in.ReadString('\n')
		answer <- line
	}()
	var line string
	select {
	case line = <-answer:
	case <-c.ctx.Done():
	}
	if line == "" {
		fmt.Fprintln(c.Stderr)
		return "", fault.New(fault.Interrupted, "nothing was committed")
	}
	return strings.ToLower(strings.TrimSpace(line)), nil
}

func noun(h *wire.Hunk) string {
	switch {
	case h.What == "lines":
		return "hunk"
	case h.What == "attributes":
		return "change of mode, owner or attributes"
	case h.Op == "A":
		return "new path"
	case h.Op == "D":
		return "deletion"
	case h.Op == "R":
		return "rename"
	}
	return "change"
}
