package change

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"astrid/overlay"
)

// Pick is what hunks take of one change.
type Pick struct {
	// Whole says that it is all of it; else the change is of a file, and it takes
	// its attributes or not, and some of its lines: Content.
	Whole      bool
	Attributes bool
	// Along says that it only comes with the change that its hunk is named after.
	Along bool
	// Taken and Of count hunks.
	Taken, Of int
	splice    *splice
}

// PickHunks finds the hunks of a list (of Options.All) by their IDs. It returns what
// they take, by change, and an error that is ErrNoHunk, and names it, when one is not
// there.
func PickHunks(ctx context.Context, s *overlay.Snapshot, list []Change, ids []string, cache *Cache) (map[*Change]*Pick, error) {
	if len(ids) > MaxPatterns {
		return nil, fmt.Errorf("%w: more than %d hunks", ErrPattern, MaxPatterns)
	}
	p := &picker{left: map[string]bool{}, paths: map[string]bool{}, out: map[*Change]*Pick{}}
	p.h = &hunker{ctx: ctx, s: s, cache: cache, base: newBase(s.Base())}
	defer p.h.base.close()
	for _, id := range ids {
		if b, err := hex.DecodeString(id); err != nil || len(b) != 20 {
			return nil, fmt.Errorf("%.60q: %w", id, ErrHunkID)
		}
		p.left[id], p.paths[id[:8]] = true, true
	}
	for _, u := range unitsOf(list) {
		if !p.paths[pathID(u[0].Path)] && !p.paths[pathID(Repository(u[0].Path))] {
			continue
		}
		if err := p.unit(u); err != nil {
			return nil, fmt.Errorf("hunks of %s: %w", Quote(u[0].Path), err)
		}
	}
	for _, id := range ids {
		if p.left[id] {
			return nil, fmt.Errorf("%s: %w", id, ErrNoHunk)
		}
	}
	return p.out, nil
}

type picker struct {
	h     *hunker
	left  map[string]bool // IDs that are still to be found
	paths map[string]bool // their parts that say the path
	out   map[*Change]*Pick
}

// take tells whether a hunk is asked for.
func (p *picker) take(x *Hunk) bool {
	asked, there := p.left[x.ID]
	if asked {
		p.left[x.ID] = false
	}
	return there
}

func (p *picker) unit(u []*Change) error {
	c := u[0]
	if len(u) == 1 && p.h.byLines(c) {
		hunks, sp, err := p.h.lines(c)
		if err != nil {
			return err
		}
		if len(hunks) > 0 {
			if k := p.some(hunks, sp); k.Taken > 0 {
				p.out[c] = k
			}
			return nil
		}
	}
	hunks, err := p.h.whole(u)
	if err != nil {
		return err
	}
	if p.take(&hunks[0]) {
		for i, c := range u {
			p.out[c] = &Pick{Whole: true, Along: i > 0, Taken: 1, Of: 1}
		}
	}
	return nil
}

// some picks of the hunks of one file.
func (p *picker) some(hunks []Hunk, sp *splice) *Pick {
	k := &Pick{splice: sp, Of: len(hunks)}
	full := 0
	for i := range hunks {
		x := &hunks[i]
		parts := p.partsOf(x)
		switch {
		case p.take(x) || len(parts) > 0 && len(parts) == len(x.Parts):
			full++
			k.Taken++
			if x.What == WhatAttributes {
				k.Attributes = true
			} else {
				sp.edits = append(sp.edits, edit{x.Old, x.New})
			}
		case len(parts) > 0:
			k.Taken++
			sp.edits = append(sp.edits, parts...)
		}
	}
	k.Whole = full == len(hunks)
	return k
}

func (p *picker) partsOf(x *Hunk) (out []edit) {
	for i := range x.Parts {
		if part := &x.Parts[i]; p.take(part) {
			out = append(out, edit{part.Old, part.New})
		}
	}
	return out
}

// Content makes of a file's bytes in the base and in the view those that have the
// picked lines only. It fails when those of the base are not the ones that were
// picked from.
func (k *Pick) Content(base, view []byte) ([]byte, error) {
	if sha256.Sum256(base) != k.splice.base {
		return nil, errMoved
	}
	return k.splice.apply(base, view)
}

// MaxLines is the largest file, in bytes, of which lines can be picked.
const MaxLines = maxText

// edit puts lines of the view in the place of lines of the base.
type edit struct{ old, new Span }

// splice is a set of edits, in order, of a file of the base.
type splice struct {
	base  [sha256.Size]byte
	edits []edit
}

func (s *splice) apply(base, view []byte) ([]byte, error) {
	old, mine := splitLines(base), splitLines(view)
	var out [][]byte
	at := 0
	for _, e := range s.edits {
		if e.old.At < at || e.old.end() > len(old) || e.new.end() > len(mine) {
			return nil, errMoved
		}
		out = append(append(out, old[at:e.old.At]...), mine[e.new.At:e.new.end()]...)
		at = e.old.end()
	}
	out = append(out, old[at:]...)
	return bytes.Join(out, nil), nil
}

func splitLines(b []byte) (l [][]byte) {
	for line := range bytes.Lines(b) {
		l = append(l, line)
	}
	return l
}
