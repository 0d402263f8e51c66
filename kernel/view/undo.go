package view

import (
	"context"
	"errors"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
	"astrid/overlay/change"
	"astrid/overlay/commit"
)

// Undo implements engine.
func (e *overlaid) Undo(ctx context.Context, in wire.UndoRequest) (wire.UndoReply, error) {
	req := commit.UndoRequest{Redo: in.Redo, Commit: in.Commit, DryRun: in.DryRun, By: in.By}
	res, err := commit.Undo(ctx, e.tree, e.commits, req)
	if errors.Is(err, commit.ErrPending) {
		// What was interrupted in this server's own life is put right first.
		if _, err = e.Recover(ctx); err == nil {
			res, err = commit.Undo(ctx, e.tree, e.commits, req)
		}
	}
	if err != nil {
		return wire.UndoReply{}, undoFault(err, in)
	}
	return wire.UndoReply{
		Number: res.Number, Commit: res.Commit, Redo: in.Redo, DryRun: in.DryRun, Message: res.Message,
		Changed: whatOnWire(res.Changed), Conflicts: conflictsOnWire(res.Conflicts),
	}, nil
}

// undoFault says of an error of Undo what to do next.
func undoFault(err error, in wire.UndoRequest) error {
	var conflict *commit.ConflictError
	verb, what := "undo", "commit"
	if in.Redo {
		verb, what = "redo", "undo"
	}
	switch {
	case errors.As(err, &conflict):
		return fault.New(fault.Conflict, "%w; look at astrid %s --dry-run, and put the later edit aside", err, verb)
	case errors.Is(err, commit.ErrNothing) && in.Commit != 0:
		return fault.New(fault.NotFound, "commit %d cannot be taken by %s: it is none, or what it takes is not kept any more; see astrid log", in.Commit, verb)
	case errors.Is(err, commit.ErrNothing):
		return fault.New(fault.NotFound, "there is no %s to take back; see astrid log", what)
	}
	return commitFault(err)
}

func whatOnWire(list []commit.What) []wire.Change {
	changes := make([]change.Change, len(list))
	for i, w := range list {
		changes[i] = change.Change{Op: change.Op(w.Op[0]), Path: string(w.Path), From: string(w.From)}
	}
	out := onWire(change.Collapse(changes))
	for i := range out {
		out[i].Kind = ""
	}
	return out
}

// History implements engine.
func (e *overlaid) History(ctx context.Context, in wire.HistoryRequest) ([]wire.HistoryEntry, error) {
	list, err := commit.History(ctx, e.commits)
	if err != nil {
		return nil, err
	}
	out := []wire.HistoryEntry{}
	for _, h := range list {
		if in.Number != 0 && h.Number != in.Number {
			continue
		}
		if in.Last > 0 && len(out) == in.Last {
			break
		}
		out = append(out, historyOnWire(h))
	}
	if in.Number == 0 {
		return out, nil
	}
	if len(out) == 0 {
		return nil, fault.New(fault.NotFound, "there is no operation %d in the history; see astrid log", in.Number)
	}
	if all, kept, err := commit.Paths(e.commits, in.Number); err != nil {
		return nil, err
	} else if kept {
		out[0].Changed, out[0].More = whatOnWire(all), false
	}
	return out, nil
}

func historyOnWire(h commit.Entry) wire.HistoryEntry {
	op := h.Op
	if op == commit.OpCommit {
		op = "commit"
	}
	return wire.HistoryEntry{
		Number: h.Number, Op: op, Commit: h.Commit, At: time.Unix(0, h.Time).UTC(), By: h.By, Message: h.Message,
		Paths: h.Paths, Bytes: h.Bytes, State: h.State.String(), Changed: whatOnWire(h.First), More: len(h.First) < h.Paths,
	}
}
