package view

import (
	"context"
	"slices"

	"astrid/kernel/wire"
	"astrid/overlay"
	"astrid/overlay/commit"
)

// Status implements engine.
func (e *overlaid) Status(ctx context.Context) (wire.Status, error) {
	res, err := commit.Preview(ctx, e.tree, e.commits, commit.Request{})
	if err != nil {
		return wire.Status{}, commitFault(err)
	}
	st := wire.Status{
		Changes:   tally(slices.Concat(res.Applied, res.Held, res.Skipped)),
		Conflicts: len(res.Conflicts),
		Digest:    res.Digest,
		Bytes:     e.tree.Usage(),
		Watched:   e.tree.Watched(),
		Commits:   e.tree.Folded(),
		Points:    len(e.tree.Checkpoints()),
		Pending:   e.pending(),
	}
	for i := range res.Held {
		st.Held = append(st.Held, res.Held[i].Path)
	}
	if b := e.Brake(); b.Limits != (wire.BrakeLimits{}) {
		st.Brake = &b
	}
	if err := e.tree.ReadOnly(); err != nil {
		st.ReadOnly = err.Error()
	}
	return st, nil
}

// Count implements engine.
func (e *overlaid) Count(ctx context.Context) (n int, err error) {
	err = e.tree.Still(func(snap *overlay.Snapshot) error {
		list, err := e.list(ctx, snap)
		n = len(list)
		return err
	})
	return n, err
}
