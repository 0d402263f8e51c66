package view

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/wire"
	"astrid/overlay"
)

// Fork implements engine.
func (e *overlaid) Fork(_ context.Context, dir string, in wire.ForkRequest) error {
	err := e.tree.Fork(dir, in.From)
	if errors.Is(err, overlay.ErrNoCheckpoint) {
		return pointFault(err, in.From)
	}
	return err
}

// fork prepares what a fork begins with, of all that programs have written.
func (s *server) fork(ctx context.Context, in wire.ForkRequest) (any, error) {
	if err := home.CheckSession(in.Name); err != nil {
		return nil, err
	}
	dir := s.forkDir(in.Name)
	err := s.exclusively(ctx, func() error {
		if err := s.mount.Drain(ctx); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil { // left by a kernel that died
			return fault.Wrap(fault.KindOf(err), err, "make room for the fork")
		}
		return s.engine.Fork(ctx, dir, in)
	})
	if err == nil {
		s.events.put("fork", in.Name)
		s.log.Info("fork", "name", in.Name, "from", in.From)
	}
	return nil, err
}

func (s *server) forkDir(name string) string {
	return filepath.Join(s.cfg.Home.TempDir(s.record.Name), wire.ForkDir+name)
}

// dropForks removes what forks were to begin with that have not come to be.
func (s *server) dropForks() {
	left, _ := filepath.Glob(s.forkDir("*"))
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			s.log.Warn("what a fork was to begin with is left", "dir", dir, "err", err)
		}
	}
}
