package view

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/commit"
)

// undoDir is the name, in a session's TempDir, of the pre-images of the last commits.
const undoDir = "undo"

// commitConfig makes the directories that a commit needs.
func (s *server) commitConfig(cache *change.Cache) (commit.Config, error) {
	temp := s.cfg.Home.TempDir(s.record.Name)
	cfg := commit.Config{
		Journal: s.cfg.Home.Journal(s.record.Name),
		Undo:    filepath.Join(temp, undoDir),
		Cache:   cache,
		Log:     s.log,
	}
	for _, dir := range []string{cfg.Journal, cfg.Undo} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return cfg, err
		}
	}
	return cfg, nil
}

// Commit implements engine.
func (e *overlaid) Commit(ctx context.Context, in wire.CommitRequest) (wire.CommitReply, error) {
	if err := e.known(in.Paths); err != nil {
		return wire.CommitReply{}, err
	}
	req := commit.Request{Paths: in.Paths, Exclude: in.Exclude, If: in.If, Hunks: in.Hunks, Git: in.Git, Message: in.Message, By: in.By}
	apply := commit.Commit
	if in.DryRun {
		apply = commit.Preview
	}
	res, err := apply(ctx, e.tree, e.commits, req)
	if errors.Is(err, commit.ErrPending) {
		// What was interrupted in this server's own life is put right first.
		if _, err = e.Recover(ctx); err == nil {
			res, err = apply(ctx, e.tree, e.commits, req)
		}
	}
	if err != nil {
		return wire.CommitReply{}, commitFault(err)
	}
	return replyOf(res, in.DryRun), nil
}

func replyOf(res commit.Result, dryRun bool) wire.CommitReply {
	reply := wire.CommitReply{
		Number: res.Number, DryRun: dryRun, Digest: res.Digest, Outside: res.Outside,
		Applied: onWire(change.Collapse(res.Applied)),
		Held:    onWire(change.Collapse(res.Held)),
		Skipped: onWire(change.Collapse(res.Skipped)),
	}
	for i := range reply.Held {
		reply.Held[i].Held = true
	}
	reply.Conflicts = conflictsOnWire(res.Conflicts)
	return reply
}

func conflictsOnWire(list []commit.Conflict) (out []wire.Conflict) {
	for _, c := range list {
		var w wire.Conflict
		w.Path, w.PathB64 = wire.SplitPath(c.Path)
		w.Why = c.Why
		out = append(out, w)
	}
	return out
}

// commitFault gives the errors of package commit their Kind and what to do next.
func commitFault(err error) error {
	var conflict *commit.ConflictError
	var digest *commit.DigestError
	switch {
	case errors.As(err, &conflict):
		return fault.New(fault.Conflict, "%w; astrid conflicts shows both sides, astrid resolve merges them or keeps one", err)
	case errors.As(err, &digest):
		return fault.New(fault.Conflict, "%w; look at astrid diff again and commit with the digest of now", err)
	case errors.Is(err, commit.ErrBusy):
		return fault.New(fault.Busy, "%w; try again when it has ended", err)
	case errors.Is(err, commit.ErrPending):
		return fault.New(fault.Conflict, "%w; run astrid recover", err)
	case errors.Is(err, overlay.ErrCheckpoints):
		return pointFault(err, "")
	case errors.Is(err, change.ErrNoHunk):
		return fault.New(fault.Conflict, "nothing was applied: %w", err)
	case errors.Is(err, change.ErrPattern), errors.Is(err, change.ErrHunkID):
		return fault.New(fault.Usage, "%w", err)
	case errors.Is(err, context.Canceled):
		return fault.Wrap(fault.Interrupted, err, "the commit was given up and changed nothing")
	}
	return err
}

// Discard implements engine.
func (e *overlaid) Discard(ctx context.Context, in wire.DiscardRequest) (wire.DiscardReply, error) {
	if err := e.known(in.Paths); err != nil {
		return wire.DiscardReply{}, err
	}
	dropped, kept, err := commit.Discard(ctx, e.tree, e.commits, in.Paths, in.Exclude)
	if err != nil {
		return wire.DiscardReply{}, commitFault(err)
	}
	return wire.DiscardReply{Dropped: onWire(change.Collapse(dropped)), Kept: kept}, nil
}

// Recover implements engine.
func (e *overlaid) Recover(ctx context.Context) (wire.RecoverReply, error) {
	report, err := commit.Recover(ctx, e.tree, e.commits)
	if err != nil {
		return wire.RecoverReply{}, commitFault(err)
	}
	return wire.RecoverReply{Actions: report.Actions, Left: report.Left}, nil
}

// pending says which commit could not be finished nor taken back whole.
func (e *overlaid) pending() string {
	journals, err := filepath.Glob(filepath.Join(e.commits.Journal, "commit-*.journal"))
	if err == nil && len(journals) > 0 {
		return "a commit was interrupted; astrid recover finishes it or takes it back"
	}
	left, err := filepath.Glob(filepath.Join(e.commits.Journal, "left-*.journal"))
	if err != nil || len(left) == 0 {
		return ""
	}
	return fmt.Sprintf("%d interrupted commit could be taken back in part only, both versions of the rest are kept; the log of the view names them", len(left))
}
