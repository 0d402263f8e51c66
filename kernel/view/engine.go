package view

import (
	"context"
	"path/filepath"
	"strings"

	"astrid/fs"
	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/commit"
)

// overlaid is the engine on package overlay.
type overlaid struct {
	tree  *overlay.Overlay
	cache *change.Cache // of content hashes, shared by every operation

	commits commit.Config
}

// openEngine opens the overlay of the session.
func (s *server) openEngine(ctx context.Context) (*overlaid, error) {
	o, err := overlay.Open(ctx, overlay.Config{
		Base: s.record.Dir,
		Dir:  s.cfg.Home.Layers(s.record.Name),
		Hide: hidden(s.record.Dir, s.cfg.Home.String()),
		Pin:  s.record.Pin,
		Log:  s.log,
	})
	if err != nil {
		return nil, err
	}
	cache := new(change.Cache)
	cfg, err := s.commitConfig(cache)
	if err != nil {
		o.Close()
		return nil, err
	}
	return &overlaid{tree: o, cache: cache, commits: cfg}, nil
}

// openMount mounts the view.
func (s *server) openMount(_ context.Context, eng *overlaid) (mount, error) {
	return serveTree(s.workspace(), eng.tree, fs.Options{Log: s.log, Writeback: s.record.Writeback})
}

// hidden is Astrid's home as a path below dir, if it lies there: a view must
// not show the machinery that makes it.
func hidden(dir, home string) []string {
	if resolved, err := filepath.EvalSymlinks(home); err == nil {
		home = resolved
	}
	rel, err := filepath.Rel(dir, home)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return nil
	}
	return []string{filepath.ToSlash(rel)}
}

func (e *overlaid) Sync() error  { return e.tree.Syncfs() }
func (e *overlaid) Close() error { return e.tree.Close() }
