package change

import (
	"context"
	"fmt"

	"astrid/overlay"
)

// Lines counts the lines of one change.
type Lines struct {
	Added, Deleted int
	Binary         bool
}

// Stat counts lines for each path of the list that a patch would speak of. A
// moved directory has no entry of its own; what changed in it has.
func Stat(ctx context.Context, s *overlay.Snapshot, list []Change) (map[string]Lines, error) {
	b := newBase(s.Base())
	defer b.close()
	x, err := newSides(ctx, s, b, Expand(list))
	if err != nil {
		return nil, err
	}
	return x.stat(ctx)
}

func (x *sides) stat(ctx context.Context) (map[string]Lines, error) {
	out := map[string]Lines{}
	for _, f := range x.files() {
		body, err := f.body(ctx)
		if err != nil {
			return nil, fmt.Errorf("count lines of %s: %w", Quote(f.path()), err)
		}
		n := out[f.path()]
		n.Added, n.Deleted, n.Binary = n.Added+body.added, n.Deleted+body.deleted, n.Binary || body.binary
		out[f.path()] = n
	}
	return out, nil
}
