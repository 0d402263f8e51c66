package commit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"astrid/overlay"
	"astrid/overlay/change"
)

// Discard drops changes from the view: those that paths (change.NewMatch) match,
// all without any, but none that exclude matches, nor what those cannot be without.
// What cannot stay without them is dropped too: what lies in a
// directory that goes, and what took the place of something that comes back. A
// file that was removed comes back with the whole of the removed directory that
// it was in. A checkpoint keeps what is dropped for a day, of the whole view as it is;
// the second result is its name, "" when nothing is dropped.
func Discard(ctx context.Context, o *overlay.Overlay, cfg Config, paths, exclude []string) (dropped []change.Change, kept string, err error) {
	cfg = cfg.withDefaults()
	w, err := enter(o, cfg)
	if err != nil {
		return nil, "", err
	}
	defer w.close()
	if _, err := w.nextNumber(o); err != nil {
		return nil, "", err
	}
	return w.discard(ctx, o, cfg, paths, exclude)
}

func (w *workspace) discard(ctx context.Context, o *overlay.Overlay, cfg Config, paths, exclude []string) (dropped []change.Change, kept string, err error) {
	m, err := change.Selected(paths, exclude)
	if err != nil {
		return nil, "", err
	}
	var list []change.Change
	err = o.Still(func(s *overlay.Snapshot) (err error) {
		list, err = change.List(ctx, s, change.Options{All: true, Same: true, Cache: cfg.Cache})
		return err
	})
	if err != nil {
		return nil, "", err
	}
	var drop []*change.Change
	all := m == nil
	if all {
		for i := range list {
			drop = append(drop, &list[i])
		}
	} else {
		drop = together(list, m)
		all = slices.ContainsFunc(drop, func(c *change.Change) bool { return c.Path == change.Root })
	}
	if len(drop) > 0 {
		if kept, err = keep(o, cfg); err != nil {
			return nil, "", fmt.Errorf("keep what is discarded: %w", err)
		}
	}
	if err := o.Discard(names(drop, all)); err != nil {
		return nil, "", err
	}
	for _, c := range drop {
		if c.Op != change.Same {
			dropped = append(dropped, *c)
		}
	}
	return dropped, kept, nil
}

// keptFor is how long the checkpoint is kept that is made before something is dropped.
const keptFor = 24 * time.Hour

// keep makes one, and forgets those that were kept long enough.
func keep(o *overlay.Overlay, cfg Config) (string, error) {
	if err := Prune(o, cfg); err != nil {
		return "", err
	}
	c, err := o.Checkpoint(overlay.Checkpoint{Auto: "discard"})
	if err == nil {
		err = o.SyncCheckpoints() // before what it keeps goes
	}
	return c.Name, err
}

// Prune forgets checkpoints that nobody asked for and that are a day old.
func Prune(o *overlay.Overlay, cfg Config) error {
	cfg = cfg.withDefaults()
	return o.PruneCheckpoints(cfg.Now().Add(-keptFor).UnixNano())
}

// names returns the paths that the overlay is told to take back; nil for all.
func names(drop []*change.Change, all bool) []string {
	if all {
		return nil
	}
	set := map[string]bool{}
	for _, c := range drop {
		set[c.Path] = true
	}
	l := slices.SortedFunc(maps.Keys(set), change.Compare)
	out := []string{} // nothing is not everything
	for _, p := range l {
		if p == change.Root {
			continue // it would be everything
		}
		if n := len(out); n > 0 && change.Below(p, out[n-1]) {
			continue // it goes with the directory
		}
		out = append(out, p)
	}
	return out
}

// together returns what m matches and what cannot stay without it, in order, but
// nothing that stays because m excludes it.
func together(list []change.Change, m *change.Match) []*change.Change {
	d := &dropping{
		list: list, in: make([]bool, len(list)),
		gone: map[string]bool{}, back: map[string]bool{}, above: map[string]bool{},
	}
	stay := staying(list, m)
	for i := range list {
		if m.Change(&list[i]) && !stay[i] {
			d.add(i)
		}
	}
	for again := true; again; {
		again = false
		for i := range list {
			if !d.in[i] && d.follows(&list[i]) {
				d.add(i)
				again = true
			}
		}
	}
	var out []*change.Change
	for i := range list {
		if d.in[i] {
			out = append(out, &list[i])
		}
	}
	return out
}

type dropping struct {
	list  []change.Change
	in    []bool
	gone  map[string]bool // view paths of directories that go
	back  map[string]bool // base paths of what comes back
	above map[string]bool // base paths of the directories that those are in
}

func (d *dropping) add(i int) {
	d.in[i] = true
	c := &d.list[i]
	if c.Op == change.Renamed || c.Op == change.Deleted {
		d.back[c.BasePath] = true
		for p := change.Parent(c.BasePath); p != change.Root && !d.above[p]; p = change.Parent(p) {
			d.above[p] = true
		}
	}
	if c.IsDir() && c.Op != change.Deleted && c.Op != change.Meta {
		d.gone[c.Path] = true
	}
}

// follows tells whether c cannot stay with what is dropped so far.
func (d *dropping) follows(c *change.Change) bool {
	for p := change.Parent(c.Path); p != change.Root; p = change.Parent(p) {
		if d.gone[p] {
			return true
		}
	}
	if c.Arrives() && d.back[c.Place] {
		return true
	}
	if (c.Op == change.Deleted && c.IsDir() || c.Over != nil || c.Op == change.Typed) && d.above[c.Place] {
		return true
	}
	if c.Op == change.Deleted {
		for p := change.Parent(c.BasePath); p != change.Root; p = change.Parent(p) {
			if d.back[p] {
				return true
			}
		}
	}
	return false
}
