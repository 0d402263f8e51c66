package view

import (
	"bufio"
	"context"
	"errors"
	"io"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
	"astrid/overlay"
	"astrid/overlay/change"
)

// Names of states that are no checkpoints.
const (
	stateBase = "base" // the workspace as it is
	stateView = "view"
)

// between calls fn with the difference of two states, again when that was disturbed.
func (e *overlaid) between(ctx context.Context, span wire.Span, paths, exclude wire.Paths, fn func(*change.Difference) error) error {
	m, err := match(paths, exclude)
	if err != nil {
		return err
	}
	from, release, err := e.state(span.From)
	if err != nil {
		return err
	}
	defer release()
	to, release, err := e.state(span.To)
	if err != nil {
		return err
	}
	defer release()
	return e.tree.Undisturbed(func() error {
		return e.tree.Still(func(view *overlay.Snapshot) error {
			d, err := change.Between(ctx, snapshotOf(from, view), snapshotOf(to, view))
			if err != nil {
				return err
			}
			d.Filter(m)
			return fn(d)
		})
	})
}

// state is a tree with a state of the session, nil for the view.
func (e *overlaid) state(name string) (*overlay.Overlay, func(), error) {
	switch name {
	case "":
		return nil, nil, fault.New(fault.Usage, "say what to compare: a checkpoint, base or view")
	case stateView:
		return nil, func() {}, nil
	case stateBase:
		return e.tree.Plain()
	}
	past, release, err := e.tree.Past(name)
	if errors.Is(err, overlay.ErrNoCheckpoint) {
		err = fault.New(fault.NotFound, "there is no checkpoint %q; astrid checkpoints lists them, base is the workspace and view the view", name)
	}
	return past, release, err
}

func snapshotOf(o *overlay.Overlay, view *overlay.Snapshot) *overlay.Snapshot {
	if o == nil {
		return view
	}
	return o.Live()
}

func (e *overlaid) changesBetween(ctx context.Context, in wire.ChangesRequest) (reply wire.ChangesReply, err error) {
	err = e.between(ctx, *in.Span, in.Paths, in.Exclude, func(d *change.Difference) error {
		list := d.List()
		if !in.All {
			list = change.Collapse(list)
		}
		reply = wire.ChangesReply{Changes: onWire(list)}
		if !in.Stat {
			return nil
		}
		lines, err := d.Stat(ctx)
		for i := range reply.Changes {
			n := lines[list[i].Path]
			reply.Changes[i].Added, reply.Changes[i].Deleted, reply.Changes[i].Binary = n.Added, n.Deleted, n.Binary
		}
		return err
	})
	return reply, err
}

func (e *overlaid) patchBetween(ctx context.Context, in wire.PatchRequest, w io.Writer) error {
	spool, err := e.spool()
	if err != nil {
		return err
	}
	defer spool.Close()
	err = e.between(ctx, *in.Span, in.Paths, in.Exclude, func(d *change.Difference) error {
		if err := errors.Join(spool.Truncate(0), rewind(spool)); err != nil {
			return err
		}
		out := bufio.NewWriter(spool)
		return errors.Join(d.Patch(ctx, out), out.Flush())
	})
	if err == nil {
		err = rewind(spool)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(w, spool)
	return err
}
