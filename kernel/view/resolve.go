package view

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
	"astrid/overlay/change"
	"astrid/overlay/commit"
)

// Conflicts implements engine.
func (e *overlaid) Conflicts(ctx context.Context, in wire.ConflictsRequest) ([]wire.ConflictInfo, error) {
	if err := e.known(in.Paths); err != nil {
		return nil, err
	}
	list, err := commit.Disputes(ctx, e.tree, e.commits, in.Paths)
	if err != nil {
		return nil, commitFault(err)
	}
	out := make([]wire.ConflictInfo, len(list))
	for i, d := range list {
		out[i] = wire.ConflictInfo{Conflict: conflictsOnWire([]commit.Conflict{d.Conflict})[0], Base: side(d.Ancestor), Mine: side(d.Mine), Theirs: side(d.Theirs), State: d.State}
		if d.Place != d.Path {
			out[i].Place, out[i].PlaceB64 = wire.SplitPath(d.Place)
		}
	}
	return out, nil
}

func side(v commit.Version) wire.Side {
	s := wire.Side{There: v.There, Size: v.Size}
	if v.Mode != 0 {
		s.Kind = kindName(tree.Kind(v.Mode & unix.S_IFMT))
	}
	return s
}

// Side implements engine.
func (e *overlaid) Side(ctx context.Context, in wire.SideRequest, w io.Writer) error {
	which := commit.Side(in.Side)
	switch {
	case len(in.Path) != 1:
		return fault.New(fault.Usage, "say the path of one conflict")
	case which != commit.Mine && which != commit.Theirs && which != commit.Ancestor:
		return fault.New(fault.Usage, "%.40q is no side of a conflict: base, mine or theirs", in.Side)
	}
	err := commit.ReadSide(ctx, e.tree, e.commits, in.Path[0], which, w)
	switch {
	case errors.Is(err, os.ErrNotExist) && which == commit.Ancestor:
		return fault.New(fault.NotFound, "the original of %s was not kept: it was larger than 1 MiB, or there was none", change.Quote(in.Path[0]))
	case errors.Is(err, os.ErrNotExist):
		return fault.New(fault.NotFound, "%s has no file on the side called %s", change.Quote(in.Path[0]), which)
	case errors.Is(err, commit.ErrNoConflict):
		return fault.New(fault.NotFound, "%w", err)
	}
	return err
}

// Resolve implements engine.
func (e *overlaid) Resolve(ctx context.Context, in wire.ResolveRequest) (wire.DiscardReply, error) {
	keep := commit.Side(in.Keep)
	switch {
	case keep != commit.Mine && keep != commit.Theirs:
		return wire.DiscardReply{}, fault.New(fault.Usage, "keep is %.40q: say mine or theirs", in.Keep)
	case len(in.Paths) == 0:
		return wire.DiscardReply{}, fault.New(fault.Usage, "say which conflicts: astrid conflicts lists them")
	case in.State != "" && len(in.Paths) > 1:
		return wire.DiscardReply{}, fault.New(fault.Usage, "a state is of one path, and there are %d", len(in.Paths))
	}
	dropped, kept, err := commit.Resolve(ctx, e.tree, e.commits, commit.Resolution{Paths: in.Paths, Keep: keep, State: in.State})
	switch {
	case errors.Is(err, commit.ErrNoConflict):
		return wire.DiscardReply{}, fault.New(fault.NotFound, "%w; astrid conflicts lists those that are", err)
	case errors.Is(err, commit.ErrNotResolved):
		return wire.DiscardReply{}, fault.New(fault.Conflict, "%w: copy what you need out of the view and discard it, or leave it out of the commit", err)
	case err != nil:
		return wire.DiscardReply{}, commitFault(err)
	}
	return wire.DiscardReply{Dropped: onWire(change.Collapse(dropped)), Kept: kept}, nil
}
