package commit

import (
	"astrid/overlay/change"
)

// What is one path of the workspace that an operation changed.
type What struct {
	Op   string // A M D R T m, as of a change
	Path Path
	From Path `json:",omitempty"` // R: where it was
}

// what lists the changes that are taken.
func what(s *selection) []What {
	var l []What
	for _, it := range s.items {
		if it.v == taken && it.c.Op != change.Same {
			l = append(l, What{Op: it.c.Op.String(), Path: Path(it.c.Path), From: Path(it.c.From)})
		}
	}
	return l
}

// inverse lists what taking the changes back does.
func inverse(l []What) []What {
	out := make([]What, len(l))
	for i, w := range l {
		switch w.Op {
		case change.Added.String():
			w.Op = change.Deleted.String()
		case change.Deleted.String():
			w.Op = change.Added.String()
		case change.Renamed.String():
			w.Path, w.From = w.From, w.Path
		}
		out[i] = w
	}
	return out
}
