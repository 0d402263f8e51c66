package view

import (
	"bufio"
	"context"
	"errors"
	"io"

	"astrid/kernel/wire"
	"astrid/overlay"
	"astrid/overlay/change"
)

// Hunks implements engine.
func (e *overlaid) Hunks(ctx context.Context, in wire.HunksRequest, w io.Writer) error {
	if err := e.known(in.Paths); err != nil {
		return err
	}
	m, err := match(in.Paths, in.Exclude)
	if err != nil {
		return err
	}
	var want func(*change.Change) bool
	if m != nil {
		want = m.Change
	}
	return e.spooled(w, func(snap *overlay.Snapshot, w io.Writer) error {
		list, err := e.list(ctx, snap)
		if err != nil {
			return err
		}
		return change.Hunks(ctx, snap, list, e.cache, want, func(h change.Hunk) error { return writeHunk(w, h) })
	})
}

func writeHunk(w io.Writer, h change.Hunk) error {
	line, err := wire.Encode(hunkOnWire(h))
	if err == nil {
		_, err = w.Write(append(line, '\n'))
	}
	return err
}

func hunkOnWire(h change.Hunk) wire.Hunk {
	out := wire.Hunk{
		ID: h.ID, Op: h.Op.String(), What: h.What,
		OldAt: h.Old.At, OldLines: h.Old.N, NewAt: h.New.At, NewLines: h.New.N,
	}
	out.Path, out.PathB64 = wire.SplitPath(h.Path)
	if h.From != "" {
		out.From, out.FromB64 = wire.SplitPath(h.From)
	}
	out.SetBody(h.Text)
	for _, p := range h.Parts {
		out.Parts = append(out.Parts, hunkOnWire(p))
	}
	return out
}

// spooled has fn write about the view as it is at one moment, and gives w what it
// wrote. Writers in the view may make it necessary to begin again.
func (e *overlaid) spooled(w io.Writer, fn func(*overlay.Snapshot, io.Writer) error) error {
	spool, err := e.spool()
	if err != nil {
		return err
	}
	defer spool.Close()
	err = e.tree.Still(func(snap *overlay.Snapshot) error {
		if err := errors.Join(spool.Truncate(0), rewind(spool)); err != nil {
			return err
		}
		out := bufio.NewWriter(spool)
		return errors.Join(fn(snap, out), out.Flush())
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
