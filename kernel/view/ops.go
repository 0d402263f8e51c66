package view

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// settleTime bounds how long an operation waits for the kernel to be told.
const settleTime = 2 * time.Second

// dispatch carries out one request. Every operation but events waits for the
// view to be up.
func (s *server) dispatch(ctx context.Context, req wire.ViewRequest, out *sender) (any, error) {
	if req.Op == wire.ViewEvents {
		return nil, s.follow(ctx, out)
	}
	if err := s.awaitReady(ctx); err != nil {
		return nil, err
	}
	switch req.Op {
	case wire.ViewReady:
		return nil, nil
	case wire.ViewStatus:
		return s.status(ctx)
	case wire.ViewSync:
		return nil, s.engine.Sync()
	case wire.ViewChanges:
		return with(ctx, req, s.engine.Changes)
	case wire.ViewPatch:
		return nil, chunked(ctx, req, out, s.engine.Patch)
	case wire.ViewHunks:
		return nil, chunked(ctx, req, out, s.engine.Hunks)
	case wire.ViewCommit:
		return with(ctx, req, s.commit)
	case wire.ViewUndo:
		return with(ctx, req, s.undo)
	case wire.ViewHistory:
		return with(ctx, req, s.engine.History)
	case wire.ViewDispute:
		return with(ctx, req, s.engine.Conflicts)
	case wire.ViewSide:
		return nil, chunked(ctx, req, out, s.engine.Side)
	case wire.ViewResolve:
		return with(ctx, req, s.resolve)
	case wire.ViewDiscard:
		return with(ctx, req, s.discard)
	case wire.ViewCheckpoint:
		return with(ctx, req, s.checkpoint)
	case wire.ViewCheckpoints:
		return s.checkpoints(ctx)
	case wire.ViewDrop:
		return with(ctx, req, s.drop)
	case wire.ViewRollback:
		return with(ctx, req, s.rollback)
	case wire.ViewFork:
		return with(ctx, req, s.fork)
	case wire.ViewBrake:
		return with(ctx, req, s.setBrake)
	case wire.ViewRecover:
		return s.recover(ctx)
	case wire.ViewStop:
		return with(ctx, req, func(ctx context.Context, in wire.StopRequest) (any, error) { return nil, s.stop(ctx, in) })
	}
	return nil, fault.New(fault.Unsupported, "this view server knows no operation %q", req.Op)
}

// with decodes the parameters of req and calls fn.
func with[In, Out any](ctx context.Context, req wire.ViewRequest, fn func(context.Context, In) (Out, error)) (any, error) {
	var in In
	if len(req.Params) > 0 {
		if err := wire.Decode(req.Params, &in); err != nil {
			return nil, err
		}
	}
	out, err := fn(ctx, in)
	if err != nil {
		return nil, asFault(err)
	}
	return out, nil
}

func (s *server) awaitReady(ctx context.Context) error {
	select {
	case <-s.ready:
		return s.bringErr
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *server) status(ctx context.Context) (any, error) {
	st, err := s.engine.Status(ctx)
	if err != nil {
		return nil, asFault(err)
	}
	st.Uptime = time.Since(s.since).Seconds()
	st.Panics = s.mount.Panics()
	if st.Pending == "" {
		st.Pending = s.strays
	}
	return st, nil
}

// chunked sends what fn writes.
func chunked[In any](ctx context.Context, req wire.ViewRequest, out *sender, fn func(context.Context, In, io.Writer) error) error {
	buffered := bufio.NewWriterSize(out, chunkLen)
	_, err := with(ctx, req, func(ctx context.Context, in In) (any, error) {
		return nil, fn(ctx, in, buffered)
	})
	if err != nil {
		return err
	}
	return buffered.Flush()
}

// exclusively runs fn while no other operation changes the view's relation to
// its base.
func (s *server) exclusively(ctx context.Context, fn func() error) error {
	select {
	case s.change <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.change }()
	s.edits.begin()
	defer s.edits.end()
	err := fn()
	// Whoever waited for the operation is to see its result, not what the kernel
	// has cached of the time before.
	settle, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if s.mount.Settle(settle) != nil {
		s.log.Warn("the kernel has not taken in yet what changed")
	}
	return err
}

// commit first answers for every request that the kernel handed over before
// this one: the caller has called syncfs and fstatvfs on the view, see Drain.
func (s *server) commit(ctx context.Context, in wire.CommitRequest) (out wire.CommitReply, err error) {
	err = s.exclusively(ctx, func() error {
		if err := s.mount.Drain(ctx); err != nil {
			return err
		}
		out, err = s.engine.Commit(ctx, in)
		return err
	})
	if err == nil && out.Number != 0 {
		s.events.put("commit", describe(out))
		s.log.Info("commit", "number", out.Number, "applied", len(out.Applied), "held", len(out.Held))
	}
	return out, err
}

// undo drains first, as commit does: what programs have written must be known.
func (s *server) undo(ctx context.Context, in wire.UndoRequest) (out wire.UndoReply, err error) {
	err = s.exclusively(ctx, func() error {
		if err := s.mount.Drain(ctx); err != nil {
			return err
		}
		out, err = s.engine.Undo(ctx, in)
		return err
	})
	if err == nil && out.Number != 0 {
		kind := "undo"
		if out.Redo {
			kind = "redo"
		}
		s.events.put(kind, fmt.Sprintf("commit %d", out.Commit))
		s.log.Info(kind, "number", out.Number, "commit", out.Commit, "changed", len(out.Changed))
	}
	return out, err
}

func (s *server) discard(ctx context.Context, in wire.DiscardRequest) (wire.DiscardReply, error) {
	out, err := pointed(ctx, s, func() (wire.DiscardReply, error) { return s.engine.Discard(ctx, in) })
	if err == nil {
		s.events.put("discard", "")
		s.log.Info("discard", "dropped", len(out.Dropped))
	}
	return out, err
}

// resolve drains first: what a program has merged in the view must be known.
func (s *server) resolve(ctx context.Context, in wire.ResolveRequest) (wire.DiscardReply, error) {
	out, err := pointed(ctx, s, func() (wire.DiscardReply, error) { return s.engine.Resolve(ctx, in) })
	if err == nil {
		s.events.put("resolve", in.Keep)
		s.log.Info("resolve", "keep", in.Keep, "paths", len(in.Paths))
	}
	return out, err
}

func (s *server) recover(ctx context.Context) (out wire.RecoverReply, err error) {
	err = s.exclusively(ctx, func() error {
		out, err = s.engine.Recover(ctx)
		return err
	})
	if err != nil {
		return out, asFault(err)
	}
	s.events.put("recover", "")
	return out, nil
}

// follow sends events until the peer leaves.
func (s *server) follow(ctx context.Context, out *sender) error {
	for {
		for _, event := range s.events.take() {
			if err := out.send(wire.ViewReply{Event: &event}); err != nil {
				return err
			}
		}
		select {
		case <-s.events.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// stop unmounts the view and lets Run end. It fails with Busy, and the view
// stays, when programs hold files open in it and in.Force is not set.
func (s *server) stop(ctx context.Context, in wire.StopRequest) error {
	return s.exclusively(ctx, func() error {
		if err := s.mount.Unmount(ctx, in.Force); err != nil {
			return asFault(err)
		}
		why := in.Why
		if why == "" {
			why = "stopped"
		}
		select {
		case s.ended <- why:
		default: // it has ended already
		}
		return nil
	})
}

// asFault gives err a Kind if it has none but that of its errno.
func asFault(err error) error {
	var f *fault.Error
	if err == nil || errors.As(err, &f) {
		return err
	}
	return fault.Wrap(fault.KindOf(err), err, "the view could not do it")
}
