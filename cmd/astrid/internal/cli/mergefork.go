package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/ctl/text"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const mergeHelp = `Brings what was done in a fork to the view that it was made from: what the fork has
changed since it began, or of that what PATH names. Where that view has changed the same file too, both are merged
as git merges them. When something cannot be merged nothing is done, the paths are
named, and the exit code is 3. A checkpoint of the view is made first. The fork stays.`

func (a *app) mergeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "merge FORK [PATH|GLOB…]",
		Short:   "Bring what was done in a fork to the view that it was made from",
		Long:    mergeHelp,
		Example: "  astrid merge try1\n  astrid merge try1 src\n  astrid merge site.try1 && astrid commit",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.mergeFork(cmd.Context(), args[0], args[1:]) },
	}
}

func (a *app) mergeFork(ctx context.Context, name string, args []string) error {
	fork, into, err := a.pickFork(ctx, name)
	if err != nil {
		return err
	}
	dir, _ := a.dir()
	paths, err := inWorkspace(fork, dir, args)
	if err != nil {
		return err
	}
	list, err := a.callChanges(ctx, fork, wire.ChangesRequest{Paths: paths, All: true, Span: &wire.Span{From: "forked", To: "view"}})
	if err != nil {
		return err
	}
	m, err := openMerge(ctx, fork, into)
	if err != nil {
		return err
	}
	defer m.close()
	if err := m.plan(list.Changes); err != nil {
		return err
	}
	kept := ""
	if len(m.reply.Conflicts) == 0 && len(m.steps) > 0 {
		if kept, err = a.keepView(ctx, into, "merge"); err != nil {
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
	if err == nil && into.Base != fork.Base {
		err = fault.New(fault.Conflict, "session %s is on %s now, and the fork was made on %s", into.Name, into.Base, fork.Base)
	}
	return fork, into, err
}

// keepView makes a checkpoint of a view.
func (a *app) keepView(ctx context.Context, s wire.Session, before string) (string, error) {
	var c wire.Checkpoint
	a.acting = true
	err := a.kernel.Call(ctx, op.Checkpoint, wire.For[wire.CheckpointRequest]{Session: s.Name, Request: wire.CheckpointRequest{Before: before}}, &c)
	return c.Name, err
}

// merging is one merge of a fork under way. It goes through the mounts, as a program
// would: was is what the fork began with, is what it shows, here the other view.
type merging struct {
	ctx           context.Context
	was, is, here *os.Root
	steps         []mergeStep
	comes         map[string]bool // directories that the steps make
	reply         wire.CommitReply
}

// mergeStep is one path that is to be made what it is in the fork.
type mergeStep struct {
	path   string
	remove bool
	text   bool
	merged []byte // with text: the bytes of both together
	dress  bool   // with text: the fork changed more than those
}

func openMerge(ctx context.Context, fork, into wire.Session) (*merging, error) {
	m := &merging{ctx: ctx, comes: map[string]bool{}, reply: wire.CommitReply{Applied: []wire.Change{}}}
	for root, dir := range map[**os.Root]string{
		&m.was: filepath.Join(filepath.Dir(fork.Workspace), "at", "forked"), &m.is: fork.Workspace, &m.here: into.Workspace,
	} {
		var err error
		if *root, err = os.OpenRoot(dir); err != nil {
			m.close()
			return nil, err
		}
	}
	return m, nil
}

func (m *merging) close() {
	for _, root := range []*os.Root{m.was, m.is, m.here} {
		if root != nil {
			root.Close()
		}
	}
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
			if err := m.ctx.Err(); err != nil {
				return err
			}
			if err := m.path(p); err != nil {
				return fault.Wrap(fault.KindOf(err), err, "look at %s in both views", text.Quote(p))
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
	if same, err := alike(is, here); err != nil || same {
		return err // it is as in the fork already
	}
	same, err := alike(was, here)
	switch {
	case err != nil:
		return err
	case same:
		return m.take(is, here)
	case was.isFile() && is.isFile() && here.isFile():
		return m.text(was, is, here)
	case is.isDir() && here.isDir():
		return nil
	}
	m.conflict(p, "it was changed here too")
	return nil
}

// take plans to make a path what it is in the fork: here it is as the fork found it.
func (m *merging) take(is, here object) error {
	p := is.path
	if here.isDir() && !is.isDir() {
		extra, err := m.strangers(p)
		if err != nil {
			return err
		}
		if extra != "" {
			m.conflict(extra, "it is new here, in a directory that the fork removed")
			return nil
		}
	}
	if is.there() {
		up, err := look(m.here, path.Dir(p))
		switch {
		case err != nil:
			return err
		case !up.isDir() && !m.comes[path.Dir(p)]:
			m.conflict(p, "the directory that it is in is not here any more")
			return nil
		case is.isDevice() && os.Geteuid() != 0:
			m.conflict(p, "it is a device, which only root can make")
			return nil
		}
		m.comes[p] = is.isDir()
	}
	m.steps = append(m.steps, mergeStep{path: p, remove: !is.there()})
	return nil
}

// strangers returns a path in a directory of the other view that the fork never had.
func (m *merging) strangers(dir string) (found string, err error) {
	err = fs.WalkDir(m.here.FS(), dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		o, err := look(m.was, p)
		if err == nil && !o.there() {
			found = p
			return fs.SkipAll
		}
		return err
	})
	return found, err
}

// maxMerge is the largest file that is merged, in bytes.
const maxMerge = 32 << 20

// text merges a file that both have changed.
func (m *merging) text(was, is, here object) error {
	p := is.path
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
		if err := o.copyTo(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	merged, places, err := mergeFile(m.ctx, dir)
	switch {
	case err != nil:
		m.conflict(p, "both were changed, and they cannot be merged: "+err.Error())
		return nil
	case places > 0:
		m.conflict(p, "both changed the same lines")
		return nil
	}
	dressed, err := sameDress(was, is)
	if err != nil {
		return err
	}
	mine, err := os.ReadFile(filepath.Join(dir, "mine"))
	if err != nil || bytes.Equal(mine, merged) && dressed {
		return err // it was merged before
	}
	m.steps = append(m.steps, mergeStep{path: p, merged: merged, text: true, dress: !dressed})
	return nil
}

// copyTo copies a file to a place of ours.
func (o object) copyTo(to string) error {
	in, err := o.open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, maxMerge))
	return errors.Join(err, out.Close())
}

// apply makes the steps: what goes first, from within, then what comes, from above.
func (m *merging) apply() error {
	slices.SortStableFunc(m.steps, func(a, b mergeStep) int { return strings.Compare(a.path, b.path) })
	for _, s := range slices.Backward(m.steps) {
		if s.remove {
			if err := m.here.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	for _, s := range m.steps {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		if err := m.step(s); err != nil {
			return err
		}
	}
	for _, s := range slices.Backward(m.steps) { // what was put into them has moved their times
		if o, err := look(m.is, s.path); err == nil && o.isDir() && !s.remove {
			_ = m.here.Chtimes(s.path, o.info.ModTime(), o.info.ModTime())
		}
	}
	return nil
}

func (m *merging) step(s mergeStep) error {
	if s.remove {
		return nil
	}
	src, err := look(m.is, s.path)
	switch {
	case err != nil:
		return err
	case !src.there():
		return fault.New(fault.Conflict, "%s is not in the fork any more", text.Quote(s.path))
	case !s.text:
		return replicate(src, m.here)
	}
	if err := overwriteIn(m.here, s.path, s.merged); err != nil || !s.dress {
		return err
	}
	return dress(src, m.here)
}
