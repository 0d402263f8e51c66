package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const mergeHelp = `Brings what was done in a fork to the view that it was made from: what the fork has
changed since it began. Where that view has changed the same file too, both are merged
as git merges them. When something cannot be merged nothing is done, the paths are
named, and the exit code is 3. A checkpoint of the view is made first. The fork stays.`

func (a *app) mergeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "merge FORK",
		Short:   "Bring what was done in a fork to the view that it was made from",
		Long:    mergeHelp,
		Example: "  astrid merge try1\n  astrid merge site.try1 && astrid commit",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.mergeFork(cmd.Context(), args[0]) },
	}
}

func (a *app) mergeFork(ctx context.Context, name string) error {
	fork, into, err := a.pickFork(ctx, name)
	if err != nil {
		return err
	}
	list, err := a.callChanges(ctx, fork, wire.ChangesRequest{All: true, Span: &wire.Span{From: "forked", To: "view"}})
	if err != nil {
		return err
	}
	m := &merging{
		ctx: ctx, was: filepath.Join(filepath.Dir(fork.Workspace), "at", "forked"), is: fork.Workspace, here: into.Workspace,
		reply: wire.CommitReply{Applied: []wire.Change{}},
	}
	if err := m.plan(list.Changes); err != nil {
		return err
	}
	kept := ""
	if len(m.reply.Conflicts) == 0 && len(m.steps) > 0 {
		if kept, err = a.keepView(ctx, into, "before the merge of "+fork.Name); err != nil {
			return err
		}
		if err := m.apply(); err != nil {
			return fault.Wrap(fault.KindOf(err), err, "the merge ended half way; astrid rollback %s --session %s takes it back", kept, into.Name)
		}
	}
	if a.json {
		err = a.print(map[string]any{"applied": m.reply.Applied, "conflicts": m.reply.Conflicts, "kept": kept})
	} else {
		err = view.MergedFork(a.Stdout, m.reply, kept, view.Style{Colour: a.coloured(a.Stdout)})
	}
	if err == nil && len(m.reply.Conflicts) > 0 {
		return exit(fault.Conflict.Exit())
	}
	return err
}

// pickFork finds a fork by its name, or by the end of it, and what it was made from.
func (a *app) pickFork(ctx context.Context, name string) (fork, into wire.Session, err error) {
	if _, err := a.dial(ctx); err != nil {
		return fork, into, err
	}
	list, err := a.list(ctx)
	if err != nil {
		return fork, into, err
	}
	if fork, err = named(list, name); err != nil {
		here, perr := a.pick(ctx)
		if perr != nil {
			return fork, into, err
		}
		if fork, err = named(list, here.Name+"."+name); err != nil {
			return fork, into, fault.New(fault.NotFound, "there is no fork %s of session %s; astrid sessions lists them", name, here.Name)
		}
	}
	if fork.Parent == "" {
		return fork, into, fault.New(fault.Usage, "session %s is no fork", fork.Name)
	}
	into, err = named(list, fork.Parent)
	return fork, into, err
}

// keepView makes a checkpoint of a view.
func (a *app) keepView(ctx context.Context, s wire.Session, note string) (string, error) {
	var c wire.Checkpoint
	a.acting = true
	err := a.kernel.Call(ctx, op.Checkpoint, wire.For[wire.CheckpointRequest]{Session: s.Name, Request: wire.CheckpointRequest{Note: note}}, &c)
	return c.Name, err
}

// merging is one merge of a fork under way. It goes through the mounts, as a program
// would: was is what the fork began with, is what it shows, here the other view.
type merging struct {
	ctx           context.Context
	was, is, here string
	steps         []mergeStep
	reply         wire.CommitReply
}

// mergeStep is one path that is to be made what it is in the fork.
type mergeStep struct {
	path   string
	remove bool
	merged []byte // with text: the bytes of both together
	text   bool
}

// plan looks at each change of the fork and at what the other view has there.
func (m *merging) plan(list []wire.Change) error {
	for i := range list {
		c := list[i]
		paths := []string{c.Name()}
		if c.Op == "R" {
			paths = []string{c.Source(), c.Name()}
		}
		for _, p := range paths {
			if err := m.path(p); err != nil {
				return err
			}
		}
		m.reply.Applied = append(m.reply.Applied, c)
	}
	return nil
}

func (m *merging) conflict(p, why string) {
	c := wire.Conflict{Why: why}
	c.Path, c.PathB64 = wire.SplitPath(p)
	m.reply.Conflicts = append(m.reply.Conflicts, c)
}

func (m *merging) path(p string) error {
	was, err := look(m.was, p)
	if err != nil {
		return err
	}
	is, err := look(m.is, p)
	if err != nil {
		return err
	}
	here, err := look(m.here, p)
	if err != nil {
		return err
	}
	same, err := alike(is, here)
	if err != nil || same {
		return err // it is as in the fork already
	}
	if same, err = alike(was, here); err != nil {
		return err
	}
	switch {
	case same && !is.there() && here.isDir():
		if extra := m.strangers(p); extra != "" {
			m.conflict(extra, "it is new here, in a directory that the fork removed")
			return nil
		}
		m.steps = append(m.steps, mergeStep{path: p, remove: true})
	case same:
		m.steps = append(m.steps, mergeStep{path: p, remove: !is.there()})
	case was.isFile() && is.isFile() && here.isFile():
		return m.text(p, was, is, here)
	case is.isDir() && here.isDir():
	default:
		m.conflict(p, "it was changed here too")
	}
	return nil
}

// strangers returns a path in a directory of the other view that the fork never had.
func (m *merging) strangers(dir string) (found string) {
	_ = filepath.WalkDir(filepath.Join(m.here, dir), func(at string, _ os.DirEntry, err error) error {
		rel, rerr := filepath.Rel(m.here, at)
		if err != nil || rerr != nil {
			return err
		}
		if o, err := look(m.was, rel); err == nil && !o.there() {
			found = rel
			return filepath.SkipAll
		}
		return nil
	})
	return found
}

// maxMerge is the largest file that is merged, in bytes.
const maxMerge = 32 << 20

// text merges a file that both have changed.
func (m *merging) text(p string, was, is, here object) error {
	if max(was.info.Size(), is.info.Size(), here.info.Size()) > maxMerge {
		m.conflict(p, "both were changed, and they are too large to be merged")
		return nil
	}
	dir, err := os.MkdirTemp("", "astrid-merge-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, o := range map[string]object{"base": was, "mine": here, "theirs": is} {
		b, err := os.ReadFile(o.path)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	merged, places, err := mergeFile(m.ctx, dir)
	switch {
	case err != nil:
		m.conflict(p, "both were changed, and they cannot be merged: "+err.Error())
	case places > 0:
		m.conflict(p, "both changed the same lines")
	default:
		if mine, err := os.ReadFile(filepath.Join(dir, "mine")); err != nil || bytes.Equal(mine, merged) {
			return err // it was merged before
		}
		m.steps = append(m.steps, mergeStep{path: p, merged: merged, text: true})
	}
	return nil
}

// apply makes the steps: what goes first, from within, then what comes, from above.
func (m *merging) apply() error {
	slices.SortStableFunc(m.steps, func(a, b mergeStep) int { return strings.Compare(a.path, b.path) })
	for _, s := range slices.Backward(m.steps) {
		if s.remove {
			if err := os.Remove(filepath.Join(m.here, s.path)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	for _, s := range m.steps {
		switch {
		case s.remove:
		case s.text:
			if err := overwrite(m.here, s.path, s.merged); err != nil {
				return err
			}
		default:
			if err := replicate(m.is, m.here, s.path); err != nil {
				return err
			}
		}
	}
	for _, s := range slices.Backward(m.steps) { // what was put into them has moved their times
		if o, err := look(m.is, s.path); err == nil && o.isDir() && !s.remove {
			_ = os.Chtimes(filepath.Join(m.here, s.path), o.info.ModTime(), o.info.ModTime())
		}
	}
	return nil
}

// alike compares two objects: their kind, mode, and what is in them.
func alike(a, b object) (bool, error) {
	if !a.there() || !b.there() {
		return a.there() == b.there(), nil
	}
	if a.info.Mode() != b.info.Mode() {
		return false, nil
	}
	switch {
	case a.isFile():
		if a.info.Size() != b.info.Size() {
			return false, nil
		}
		return sameBytes(a.path, b.path)
	case a.info.Mode()&os.ModeSymlink != 0:
		x, err := os.Readlink(a.path)
		if err != nil {
			return false, err
		}
		y, err := os.Readlink(b.path)
		return x == y, err
	}
	return true, nil
}

// sameBytes compares two files of one size.
func sameBytes(a, b string) (bool, error) {
	f, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer g.Close()
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(f, x)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, err
		}
		m, err := io.ReadFull(g, y)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, err
		}
		if n != m || !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if n < len(x) {
			return true, nil
		}
	}
}
