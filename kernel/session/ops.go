package session

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// patience is how long an operation waits for a view server that restarts.
const patience = 10 * time.Second

// Status is what a session's view says of itself; of one that is not running,
// or cannot be talked to, what the table knows.
func (t *Table) Status(ctx context.Context, session string) (wire.Status, error) {
	e, err := t.find(session)
	if err != nil {
		return wire.Status{}, err
	}
	var st wire.Status
	if e.answers() {
		if err := e.fresh(ctx); err != nil {
			return wire.Status{}, err
		}
		if err := e.call(ctx, wire.ViewStatus, nil, &st); err != nil {
			return wire.Status{}, err
		}
	}
	st.Session = e.describe()
	return st, nil
}

// answers tells whether there is, or will be, a view server that can be asked.
func (e *entry) answers() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state != stopped && e.state != failed && e.foreign == ""
}

// Changes lists what a view says against its base.
func (t *Table) Changes(ctx context.Context, session string, req wire.ChangesRequest) (wire.ChangesReply, error) {
	return freshFor[wire.ChangesReply](ctx, t, session, wire.ViewChanges, req)
}

// Patch writes what a view says against its base as a git patch.
func (t *Table) Patch(ctx context.Context, session string, req wire.PatchRequest, w io.Writer) error {
	return t.chunks(ctx, session, wire.ViewPatch, req, w)
}

// Hunks writes what can be committed by itself, as lines of JSON.
func (t *Table) Hunks(ctx context.Context, session string, req wire.HunksRequest, w io.Writer) error {
	return t.chunks(ctx, session, wire.ViewHunks, req, w)
}

// chunks performs an operation that answers with bytes.
func (t *Table) chunks(ctx context.Context, session, op string, req any, w io.Writer) error {
	e, err := t.find(session)
	if err == nil {
		err = e.fresh(ctx)
	}
	if err != nil {
		return err
	}
	began := false
	for {
		err := e.once(ctx, op, req, nil, func(r wire.ViewReply) error {
			began = true
			_, err := w.Write(r.Chunk)
			return err
		})
		if !errors.Is(err, errLost) || ctx.Err() != nil {
			return err
		}
		if began {
			return fault.New(fault.Unavailable, "the view of session %s ended in the middle of the answer; ask again", e.name)
		}
	}
}

// Commit freezes the view and applies its changes to the base.
func (t *Table) Commit(ctx context.Context, session string, req wire.CommitRequest) (wire.CommitReply, error) {
	e, err := t.settled(ctx, session)
	if err != nil {
		return wire.CommitReply{}, err
	}
	return change[wire.CommitReply](ctx, e, wire.ViewCommit, req)
}

// Undo takes a commit back or, with req.Redo, an undo.
func (t *Table) Undo(ctx context.Context, session string, req wire.UndoRequest) (wire.UndoReply, error) {
	e, err := t.settled(ctx, session)
	if err != nil {
		return wire.UndoReply{}, err
	}
	return change[wire.UndoReply](ctx, e, wire.ViewUndo, req)
}

// Checkpoint makes a checkpoint of a view: of all that programs have written, in
// mappings too.
func (t *Table) Checkpoint(ctx context.Context, session string, req wire.CheckpointRequest) (wire.Checkpoint, error) {
	e, err := t.settled(ctx, session)
	if err != nil {
		return wire.Checkpoint{}, err
	}
	return change[wire.Checkpoint](ctx, e, wire.ViewCheckpoint, req)
}

// Checkpoints lists those of a session, the oldest first.
func (t *Table) Checkpoints(ctx context.Context, session string) ([]wire.Checkpoint, error) {
	return callFor[[]wire.Checkpoint](ctx, t, session, wire.ViewCheckpoints, nil)
}

// DropCheckpoints forgets some and lists the others.
func (t *Table) DropCheckpoints(ctx context.Context, session string, req wire.DropRequest) ([]wire.Checkpoint, error) {
	e, err := t.find(session)
	if err != nil {
		return nil, err
	}
	return change[[]wire.Checkpoint](ctx, e, wire.ViewDrop, req)
}

// Rollback makes a view, or paths of it, what it was at a checkpoint.
func (t *Table) Rollback(ctx context.Context, session string, req wire.RollbackRequest) (wire.RollbackReply, error) {
	e, err := t.settled(ctx, session)
	if err != nil {
		return wire.RollbackReply{}, err
	}
	return change[wire.RollbackReply](ctx, e, wire.ViewRollback, req)
}

// settled finds a session of which everything that programs have written is with its
// view server.
func (t *Table) settled(ctx context.Context, session string) (*entry, error) {
	e, err := t.find(session)
	if err == nil {
		err = e.awaitUp(ctx)
	}
	if err == nil {
		err = e.settlePages(ctx, settleTime)
	}
	return e, err
}

// History lists the commits, undos and redos of a session.
func (t *Table) History(ctx context.Context, session string, req wire.HistoryRequest) ([]wire.HistoryEntry, error) {
	return callFor[[]wire.HistoryEntry](ctx, t, session, wire.ViewHistory, req)
}

// Conflicts lists what stands in the way of a commit.
func (t *Table) Conflicts(ctx context.Context, session string, req wire.ConflictsRequest) ([]wire.ConflictInfo, error) {
	return freshFor[[]wire.ConflictInfo](ctx, t, session, wire.ViewDispute, req)
}

// Side writes one version of a file in conflict.
func (t *Table) Side(ctx context.Context, session string, req wire.SideRequest, w io.Writer) error {
	return t.chunks(ctx, session, wire.ViewSide, req, w)
}

// Resolve ends conflicts by keeping one side.
func (t *Table) Resolve(ctx context.Context, session string, req wire.ResolveRequest) (wire.DiscardReply, error) {
	e, err := t.settled(ctx, session)
	if err != nil {
		return wire.DiscardReply{}, err
	}
	return change[wire.DiscardReply](ctx, e, wire.ViewResolve, req)
}

// Discard drops changes from a view.
func (t *Table) Discard(ctx context.Context, session string, req wire.DiscardRequest) (wire.DiscardReply, error) {
	e, err := t.find(session)
	if err == nil {
		err = e.fresh(ctx)
	}
	if err != nil {
		return wire.DiscardReply{}, err
	}
	return change[wire.DiscardReply](ctx, e, wire.ViewDiscard, req)
}

// Brake sets limits of what is changed through a view.
func (t *Table) Brake(ctx context.Context, session string, req wire.BrakeRequest) (wire.Brake, error) {
	return callFor[wire.Brake](ctx, t, session, wire.ViewBrake, req)
}

// Recover finishes or rolls back a commit that was interrupted.
func (t *Table) Recover(ctx context.Context, session string) (wire.RecoverReply, error) {
	return callFor[wire.RecoverReply](ctx, t, session, wire.ViewRecover, nil)
}

func callFor[Out any](ctx context.Context, t *Table, session, op string, in any) (Out, error) {
	var out Out
	e, err := t.find(session)
	if err == nil {
		err = e.call(ctx, op, in, &out)
	}
	return out, err
}

// freshFor is callFor with what programs have written up to the call.
func freshFor[Out any](ctx context.Context, t *Table, session, op string, in any) (Out, error) {
	e, err := t.find(session)
	if err == nil {
		err = e.fresh(ctx)
	}
	if err != nil {
		var none Out
		return none, err
	}
	return callFor[Out](ctx, t, session, op, in)
}

// outcomeTime is how long an operation whose caller has gone is waited for.
const outcomeTime = time.Minute

// change performs an operation that must not be done twice. When ctx ends the view
// server is told to give up, and asked for what came of it all the same: it may be
// past the point where it can.
func change[Out any](ctx context.Context, e *entry, op string, in any) (Out, error) {
	var out Out
	l, err := e.connect(ctx)
	if err != nil {
		return out, err
	}
	defer l.close()
	l.giveUpAfter(ctx, outcomeTime)
	reply, err := l.ask(op, in, nil)
	if err == nil && len(reply.Result) > 0 {
		err = wire.Decode(reply.Result, &out)
	}
	if errors.Is(err, errLost) {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		err = fault.New(fault.Unavailable,
			"the view server of session %s ended during the %s; the next one finishes it or takes it back: look at astrid status before you ask again", e.name, op)
	}
	return out, err
}

// call performs an operation that may be done twice: when the view server dies
// under it, the next one is asked.
func (e *entry) call(ctx context.Context, op string, in, out any) error {
	for {
		err := e.once(ctx, op, in, out, nil)
		if !errors.Is(err, errLost) || ctx.Err() != nil {
			return err
		}
	}
}

// once performs one operation with the view server that is there, waiting for
// one that restarts.
func (e *entry) once(ctx context.Context, op string, in, out any, each func(wire.ViewReply) error) error {
	l, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	reply, err := l.ask(op, in, each)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	if out == nil || len(reply.Result) == 0 {
		return nil
	}
	return wire.Decode(reply.Result, out)
}

// connect waits for the view to be up and dials it. A view server that has just
// died refuses the connection before its death is noticed.
func (e *entry) connect(ctx context.Context) (*line, error) {
	deadline := time.NewTimer(e.t.patience)
	defer deadline.Stop()
	for {
		if err := e.awaitUp(ctx); err != nil {
			return nil, err
		}
		l, err := e.dial(ctx)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ENOENT) && !errors.Is(err, errLost) {
			return nil, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline.C:
			return nil, fault.New(fault.Unavailable, "the view server of session %s does not answer; look at %s", e.name, e.t.cfg.Home.ViewLog(e.name))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// awaitUp waits for a view that is starting and refuses one that is down.
func (e *entry) awaitUp(ctx context.Context) error {
	state, note, err := e.await(ctx, e.t.patience, func(state string) bool {
		return state == running || state == stopped || state == failed
	})
	switch {
	case err != nil:
		return err
	case state == stopped:
		return fault.New(fault.NotRunning, "session %s is down; run astrid up %s", e.name, shellWord(e.dir()))
	case state == failed:
		return fault.New(fault.NotRunning, "the view of session %s could not be kept up (%s); then run astrid up %s", e.name, note, shellWord(e.dir()))
	}
	return nil
}

func (e *entry) dir() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.record.Dir
}
