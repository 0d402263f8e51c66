package ctl

import (
	"context"
	"fmt"
	"slices"
	"syscall"

	"astrid/ctl/text"
	"astrid/fs/mem"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// names are the sessions there are.
func (t *Tree) names() ([]string, error) {
	list, err := op.Run[wire.None, []wire.Session](t.owner(t.ctx), t.config.Table, op.List, wire.None{}, nil)
	if err != nil {
		return nil, t.failed("", op.List, err)
	}
	names := make([]string, 0, len(list))
	for _, s := range list {
		names = append(names, s.Name)
	}
	t.forget(names)
	return names, nil
}

// sessions lists the directory of that name.
func (t *Tree) sessions() ([]string, error) { return t.names() }

// forget drops the results of sessions that are no more.
func (t *Tree) forget(alive []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.results {
		if name != "" && !slices.Contains(alive, name) { // "": of no session
			delete(t.results, name)
		}
	}
}

// session is the directory of one session.
func (t *Tree) session(name string) (mem.Item, error) {
	names, err := t.names()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("there is no session %q: %w", name, syscall.ENOENT)
	}
	dir := mem.Static(map[string]mem.Item{
		op.Status:      t.reader(op.Status+" "+name, t.status(name)),
		op.Changes:     t.reader(op.Changes+" "+name, t.changes(name)),
		op.Patch:       t.patch(name),
		op.Commit:      t.lines(name, op.Commit, t.commit(name)),
		op.Discard:     t.lines(name, op.Discard, t.discard(name)),
		op.Undo:        t.lines(name, op.Undo, t.undo(name, op.Undo)),
		op.Redo:        t.lines(name, op.Redo, t.undo(name, op.Redo)),
		op.Conflicts:   t.conflicts(name),
		op.Resolve:     t.lines(name, op.Resolve, t.resolve(name)),
		op.Checkpoint:  t.lines(name, op.Checkpoint, t.checkpoint(name)),
		op.Checkpoints: t.reader(op.Checkpoints+" "+name, t.checkpoints(name)),
		op.Fork:        t.lines(name, op.Fork, t.fork(name)),
		op.Rollback:    t.lines(name, op.Rollback, t.rollback(name)),
		op.History:     t.reader(op.History+" "+name, t.history(name)),
		"blame":        t.reader(op.Changes+" "+name, t.blame(name)),
		op.Hunks:       stream(t, name, op.Hunks, wire.For[wire.HunksRequest]{Session: name}),
		op.Brake:       t.lines(name, op.Brake, t.brake(name)),
	})
	dir.Perm = 0o700
	return dir, nil
}

func (t *Tree) status(name string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		s, err := op.Run[wire.For[wire.None], wire.Status](ctx, t.config.Table, op.Status, wire.For[wire.None]{Session: name}, nil)
		return text.Status(s), err
	}
}

func (t *Tree) blame(name string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		r, err := op.Run[wire.For[wire.ChangesRequest], wire.ChangesReply](ctx, t.config.Table, op.Changes, wire.For[wire.ChangesRequest]{Session: name}, nil)
		return text.Blame(r.Changes), err
	}
}

func (t *Tree) changes(name string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		r, err := op.Run[wire.For[wire.ChangesRequest], wire.ChangesReply](ctx, t.config.Table, op.Changes, wire.For[wire.ChangesRequest]{Session: name}, nil)
		return text.Changes(r.Changes), err
	}
}

func (t *Tree) commit(name string) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, line string) ([]byte, bool, error) {
		req, ok, err := text.ParseCommit(line)
		if !ok {
			return nil, false, err
		}
		r, err := op.Run[wire.For[wire.CommitRequest], wire.CommitReply](ctx, t.config.Table, op.Commit,
			wire.For[wire.CommitRequest]{Session: name, Request: req}, nil)
		if err != nil {
			return nil, false, err
		}
		return text.Commit(r), true, r.Err()
	}
}

func (t *Tree) brake(name string) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, line string) ([]byte, bool, error) {
		req, ok, err := text.ParseBrake(line)
		if !ok {
			return nil, false, err
		}
		b, err := op.Run[wire.For[wire.BrakeRequest], wire.Brake](ctx, t.config.Table, op.Brake, wire.For[wire.BrakeRequest]{Session: name, Request: req}, nil)
		return text.Brake(b), true, err
	}
}

// undo is the file of op.Undo or op.Redo.
func (t *Tree) undo(name, method string) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, line string) ([]byte, bool, error) {
		req, ok, err := text.ParseUndo(method, line)
		if !ok {
			return nil, false, err
		}
		r, err := op.Run[wire.For[wire.UndoRequest], wire.UndoReply](ctx, t.config.Table, method,
			wire.For[wire.UndoRequest]{Session: name, Request: req}, nil)
		return text.Undo(r), true, err
	}
}

// checkpoint is the file to which the name of a checkpoint to be made is written, or of
// those to be dropped.
func (t *Tree) checkpoint(name string) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, line string) ([]byte, bool, error) {
		req, drop, ok, err := text.ParseCheckpoint(line)
		if !ok {
			return nil, false, err
		}
		if len(drop) > 0 {
			l, err := op.Run[wire.For[wire.DropRequest], []wire.Checkpoint](ctx, t.config.Table, op.DropPoint,
				wire.For[wire.DropRequest]{Session: name, Request: wire.DropRequest{Names: drop}}, nil)
			return text.Checkpoints(l), true, err
		}
		c, err := op.Run[wire.For[wire.CheckpointRequest], wire.Checkpoint](ctx, t.config.Table, op.Checkpoint,
			wire.For[wire.CheckpointRequest]{Session: name, Request: req}, nil)
		return text.Checkpoints([]wire.Checkpoint{c}), true, err
	}
}

func (t *Tree) checkpoints(name string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		l, err := op.Run[wire.For[wire.None], []wire.Checkpoint](ctx, t.config.Table, op.Checkpoints, wire.For[wire.None]{Session: name}, nil)
		return text.Checkpoints(l), err
	}
}

func (t *Tree) fork(name string) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, line string) ([]byte, bool, error) {
		req, ok, err := text.ParseFork(line)
		if !ok {
			return nil, false, err
		}
		s, err := op.Run[wire.For[wire.ForkRequest], wire.Session](ctx, t.config.Table, op.Fork,
			wire.For[wire.ForkRequest]{Session: name, Request: req}, nil)
		return text.Fork(s), true, err
	}
}

func (t *Tree) rollback(name string) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, line string) ([]byte, bool, error) {
		req, ok, err := text.ParseRollback(line)
		if !ok {
			return nil, false, err
		}
		r, err := op.Run[wire.For[wire.RollbackRequest], wire.RollbackReply](ctx, t.config.Table, op.Rollback,
			wire.For[wire.RollbackRequest]{Session: name, Request: req}, nil)
		return text.Rollback(r), true, err
	}
}

func (t *Tree) history(name string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		l, err := op.Run[wire.For[wire.HistoryRequest], []wire.HistoryEntry](ctx, t.config.Table, op.History, wire.For[wire.HistoryRequest]{Session: name}, nil)
		return text.History(l), err
	}
}

func (t *Tree) discard(name string) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, line string) ([]byte, bool, error) {
		req, ok, err := text.ParseDiscard(line)
		if !ok {
			return nil, false, err
		}
		r, err := op.Run[wire.For[wire.DiscardRequest], wire.DiscardReply](ctx, t.config.Table, op.Discard,
			wire.For[wire.DiscardRequest]{Session: name, Request: req}, nil)
		return text.Discard(r), true, err
	}
}
