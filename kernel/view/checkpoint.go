package view

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
	"astrid/overlay"
	"astrid/overlay/commit"
	"astrid/overlay/meta"
)

// Checkpoint implements engine.
func (e *overlaid) Checkpoint(_ context.Context, in wire.CheckpointRequest) (wire.Checkpoint, error) {
	switch in.Before {
	case "", "merge", "rebase":
	default:
		return wire.Checkpoint{}, fault.New(fault.Usage, "before is %q: it may be merge, rebase or absent", in.Before)
	}
	if err := commit.Prune(e.tree, e.commits); err != nil {
		return wire.Checkpoint{}, pointFault(err, in.Name)
	}
	c, err := e.tree.Checkpoint(overlay.Checkpoint{Name: in.Name, Note: in.Note, By: in.By, Auto: in.Before})
	if err == nil {
		err = e.tree.SyncCheckpoints()
	}
	if err != nil {
		return wire.Checkpoint{}, pointFault(err, c.Name)
	}
	return pointOnWire(c), nil
}

// Checkpoints implements engine.
func (e *overlaid) Checkpoints(context.Context) ([]wire.Checkpoint, error) {
	out := []wire.Checkpoint{}
	for _, c := range e.tree.Checkpoints() {
		out = append(out, pointOnWire(c))
	}
	return out, nil
}

// DropCheckpoints implements engine.
func (e *overlaid) DropCheckpoints(ctx context.Context, in wire.DropRequest) ([]wire.Checkpoint, error) {
	for _, name := range in.Names {
		if _, err := e.tree.FindCheckpoint(name); err != nil {
			return nil, pointFault(err, name)
		}
	}
	if err := e.tree.DropCheckpoints(in.Names...); err != nil {
		return nil, pointFault(err, "")
	}
	return e.Checkpoints(ctx)
}

// Rollback implements engine.
func (e *overlaid) Rollback(ctx context.Context, in wire.RollbackRequest) (wire.RollbackReply, error) {
	for _, p := range in.Paths {
		if !filepath.IsLocal(p) {
			return wire.RollbackReply{}, fault.New(fault.Usage, "%q is no path of the view", p)
		}
	}
	if _, err := e.Recover(ctx); err != nil { // an undo may be half made
		return wire.RollbackReply{}, err
	}
	var kept overlay.Checkpoint
	var err error
	if len(in.Paths) == 0 {
		kept, err = e.tree.Rollback(in.To, overlay.Checkpoint{Auto: "rollback", By: in.By})
	} else {
		kept, err = e.restore(in)
	}
	if err == nil {
		err = errors.Join(e.tree.SyncCheckpoints(), commit.Prune(e.tree, e.commits))
	}
	if err != nil {
		return wire.RollbackReply{}, pointFault(err, in.To)
	}
	return wire.RollbackReply{To: in.To, Kept: kept.Name}, nil
}

// restore refuses paths that neither the view nor the checkpoint has.
func (e *overlaid) restore(in wire.RollbackRequest) (overlay.Checkpoint, error) {
	for _, p := range in.Paths {
		now, err := e.inView(filepath.Clean(p))
		if err != nil {
			return overlay.Checkpoint{}, err
		}
		then, err := e.inPast(in.To, filepath.Clean(p))
		if err != nil {
			return overlay.Checkpoint{}, err
		}
		if !now && !then {
			return overlay.Checkpoint{}, fault.New(fault.NotFound, "neither the view nor checkpoint %s has %q", in.To, p)
		}
	}
	return e.tree.Restore(in.To, in.Paths, overlay.Checkpoint{Auto: "restore", By: in.By})
}

// inPast tells whether a checkpoint has a path.
func (e *overlaid) inPast(name, p string) (bool, error) {
	past, release, err := e.tree.Past(name)
	if err != nil {
		return false, err
	}
	defer release()
	return (&overlaid{tree: past}).inView(p)
}

func pointOnWire(c overlay.Checkpoint) wire.Checkpoint {
	return wire.Checkpoint{
		Name: c.Name, At: time.Unix(0, c.Time).UTC(), By: c.By, Note: c.Note, Auto: c.Auto, Commits: c.Folded,
	}
}

// pointFault gives the errors of checkpoints their Kind and what to do next.
func pointFault(err error, name string) error {
	switch {
	case errors.Is(err, overlay.ErrNoCheckpoint):
		return fault.New(fault.NotFound, "there is no checkpoint %q; astrid checkpoints lists them", name)
	case errors.Is(err, meta.ErrCheckpointName), errors.Is(err, meta.ErrCheckpointText):
		return fault.New(fault.Usage, "%w", err)
	case errors.Is(err, overlay.ErrCheckpoints):
		return fault.New(fault.NoSpace, "%w: astrid checkpoints --drop NAME", err)
	case errors.Is(err, unix.EEXIST):
		return fault.New(fault.Exists, "there is a checkpoint %q already; take another name, or drop it with astrid checkpoints --drop %s", name, name)
	case errors.Is(err, unix.EBUSY):
		return fault.Wrap(fault.Busy, err, "a commit is under way or was interrupted; try again, or run astrid recover")
	}
	return err
}

// pasts is the mount of the checkpoints.
type pasts struct {
	*served
	tree *overlay.At
}

// showPasts mounts the checkpoints, unless they are or there are none. A mount that
// cannot be is no reason not to have checkpoints.
func (s *server) showPasts(eng *overlaid) {
	if s.pasts != nil {
		select {
		case <-s.pasts.Done(): // somebody unmounted it
			s.pasts.tree.Close()
			s.pasts = nil
		default:
			s.pasts.tree.Changed()
			return
		}
	}
	if len(eng.tree.Checkpoints()) == 0 {
		return
	}
	at := s.cfg.Home.Checkpoints(s.record.Name)
	tree := eng.tree.At()
	m, err := serveTree(at, tree, fs.Options{Log: s.log, ReadOnly: true})
	if err != nil {
		s.log.Warn("checkpoints cannot be looked at", "at", at, "err", err)
		tree.Close()
		return
	}
	s.pasts = &pasts{m, tree}
}

// hidePasts ends the mount of the checkpoints; nothing can be lost with it.
func (s *server) hidePasts(ctx context.Context) {
	if s.pasts == nil {
		return
	}
	if err := s.pasts.Unmount(ctx, true); err != nil {
		s.log.Warn("the checkpoints stay mounted", "err", err)
	}
	select {
	case <-s.pasts.Done():
		s.pasts.tree.Close()
	default: // who stands in it goes on until this process ends
	}
}

// pointed runs an operation that makes or drops checkpoints, or goes back to one.
func pointed[Out any](ctx context.Context, s *server, fn func() (Out, error)) (out Out, err error) {
	err = s.exclusively(ctx, func() error {
		if err := s.mount.Drain(ctx); err != nil {
			return err
		}
		out, err = fn()
		if eng, ok := s.engine.(*overlaid); ok {
			s.showPasts(eng)
		}
		return err
	})
	return out, err
}

func (s *server) checkpoint(ctx context.Context, in wire.CheckpointRequest) (wire.Checkpoint, error) {
	c, err := pointed(ctx, s, func() (wire.Checkpoint, error) { return s.engine.Checkpoint(ctx, in) })
	if err == nil {
		c.Path = filepath.Join(s.cfg.Home.Checkpoints(s.record.Name), c.Name)
		s.events.put("checkpoint", c.Name)
		s.log.Info("checkpoint", "name", c.Name)
	}
	return c, err
}

func (s *server) checkpoints(ctx context.Context) (any, error) {
	l, err := s.engine.Checkpoints(ctx)
	return s.placed(l), err
}

// placed says where checkpoints can be looked at.
func (s *server) placed(l []wire.Checkpoint) []wire.Checkpoint {
	for i := range l {
		l[i].Path = filepath.Join(s.cfg.Home.Checkpoints(s.record.Name), l[i].Name)
	}
	return l
}

func (s *server) drop(ctx context.Context, in wire.DropRequest) ([]wire.Checkpoint, error) {
	l, err := pointed(ctx, s, func() ([]wire.Checkpoint, error) { return s.engine.DropCheckpoints(ctx, in) })
	return s.placed(l), err
}

func (s *server) rollback(ctx context.Context, in wire.RollbackRequest) (wire.RollbackReply, error) {
	r, err := pointed(ctx, s, func() (wire.RollbackReply, error) { return s.engine.Rollback(ctx, in) })
	if err == nil {
		s.events.put("rollback", in.To)
		s.log.Info("rollback", "to", in.To, "paths", len(in.Paths), "kept", r.Kept)
	}
	return r, err
}
