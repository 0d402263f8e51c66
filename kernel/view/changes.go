package view

import (
	"context"
	"errors"
	"io"
	"os"

	"astrid/fs/tree"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
	"astrid/overlay"
	"astrid/overlay/change"
)

// list is what a snapshot says against the base, with every path of it.
func (e *overlaid) list(ctx context.Context, snap *overlay.Snapshot) ([]change.Change, error) {
	return change.List(ctx, snap, change.Options{All: true, Cache: e.cache})
}

// match makes the filter of a request; nil when it is about everything.
func match(paths, exclude []string) (*change.Match, error) {
	m, err := change.Selected(paths, exclude)
	if errors.Is(err, change.ErrPattern) {
		return nil, fault.New(fault.Usage, "%w", err)
	}
	return m, err
}

// Changes implements engine.
func (e *overlaid) Changes(ctx context.Context, in wire.ChangesRequest) (wire.ChangesReply, error) {
	if in.Span != nil {
		return e.changesBetween(ctx, in)
	}
	if err := e.known(in.Paths); err != nil {
		return wire.ChangesReply{}, err
	}
	m, err := match(in.Paths, in.Exclude)
	if err != nil {
		return wire.ChangesReply{}, err
	}
	var reply wire.ChangesReply
	err = e.tree.Still(func(snap *overlay.Snapshot) (err error) {
		reply, err = e.changes(ctx, snap, in, m)
		return err
	})
	return reply, err
}

func (e *overlaid) changes(ctx context.Context, snap *overlay.Snapshot, in wire.ChangesRequest, m *change.Match) (wire.ChangesReply, error) {
	whole, err := e.list(ctx, snap)
	if err != nil {
		return wire.ChangesReply{}, err
	}
	digest, err := change.Digest(ctx, whole, e.cache)
	if err != nil {
		return wire.ChangesReply{}, err
	}
	list := change.Filter(whole, m)
	if !in.All {
		list = change.Collapse(list)
	}
	reply := wire.ChangesReply{Changes: onWire(list), Digest: digest}
	e.sign(list, reply.Changes)
	if in.Stat {
		err = countLines(ctx, snap, list, reply.Changes)
	}
	return reply, err
}

func countLines(ctx context.Context, snap *overlay.Snapshot, list []change.Change, out []wire.Change) error {
	lines, err := change.Stat(ctx, snap, list)
	if err != nil {
		return err
	}
	for i := range out {
		n := lines[list[i].Path]
		out[i].Added, out[i].Deleted, out[i].Binary = n.Added, n.Deleted, n.Binary
	}
	return nil
}

// Patch implements engine.
func (e *overlaid) Patch(ctx context.Context, in wire.PatchRequest, w io.Writer) error {
	if in.Span != nil {
		return e.patchBetween(ctx, in, w)
	}
	if err := e.known(in.Paths); err != nil {
		return err
	}
	m, err := match(in.Paths, in.Exclude)
	if err != nil {
		return err
	}
	return e.spooled(w, func(snap *overlay.Snapshot, w io.Writer) error {
		list, err := e.list(ctx, snap)
		if err != nil {
			return err
		}
		return change.Patch(ctx, w, snap, change.Filter(list, m))
	})
}

// spool is a file without a name. A patch is written there first: writers in the
// view may make it necessary to begin again.
func (e *overlaid) spool() (*os.File, error) {
	f, err := os.CreateTemp(e.commits.Undo, ".patch-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

func rewind(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// onWire says changes in the words of the wire.
func onWire(list []change.Change) []wire.Change {
	out := make([]wire.Change, len(list))
	for i := range list {
		c := &list[i]
		w := &out[i]
		w.Op, w.Kind, w.Note = c.Op.String(), kindName(c.Kind), c.Note
		w.Path, w.PathB64 = wire.SplitPath(c.Path)
		if c.Op == change.Renamed {
			w.From, w.FromB64 = wire.SplitPath(c.From)
		}
		w.Mode = c.Attr.Mode &^ uint32(tree.KindMask)
		if c.Kind == tree.KindRegular {
			w.Size = int64(c.Attr.Size)
		}
	}
	return out
}

func kindName(k tree.Kind) string {
	switch k {
	case tree.KindRegular:
		return "file"
	case tree.KindDir:
		return "dir"
	case tree.KindSymlink:
		return "symlink"
	case tree.KindFifo:
		return "fifo"
	case tree.KindSocket:
		return "socket"
	case tree.KindChar:
		return "char"
	case tree.KindBlock:
		return "block"
	}
	return "unknown"
}

// tally counts changes by letter. A repository counts for each path in it.
func tally(list []change.Change) (c wire.Counts) {
	for i := range list {
		switch list[i].Op {
		case change.Added:
			c.Added++
		case change.Modified:
			c.Modified++
		case change.Deleted:
			c.Deleted++
		case change.Renamed:
			c.Renamed++
		case change.Typed:
			c.Typed++
		case change.Meta:
			c.Meta++
		}
	}
	return c
}
