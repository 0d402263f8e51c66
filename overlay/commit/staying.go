package commit

import (
	"astrid/overlay/change"
)

// staying tells which changes are not to be dropped: those that m excludes, and those
// that these would go with. It is dropping.follows, read the other way.
func staying(list []change.Change, m *change.Match) []bool {
	s := &sparing{
		in: make([]bool, len(list)), above: map[string]bool{}, arrived: map[string]bool{},
		over: map[string]bool{}, left: map[string]bool{}, object: map[uint64]bool{}, base: map[uint64]bool{},
	}
	for i := range list {
		if m.Excludes(&list[i]) {
			s.add(i, &list[i])
		}
	}
	for again := s.any; again; {
		again = false
		for i := range list {
			if !s.in[i] && s.holds(&list[i]) {
				s.add(i, &list[i])
				again = true
			}
		}
	}
	return s.in
}

// sparing collects what stays.
type sparing struct {
	in  []bool
	any bool

	above   map[string]bool // view paths of the directories that it is in
	arrived map[string]bool // base paths that it has taken the place of
	left    map[string]bool // base paths that it was moved or removed from, and the directories above
	over    map[string]bool // of those, base directories that it replaced
	object  map[uint64]bool // what has several names stays with all of them: numbers in the view
	base    map[uint64]bool // and in the base
}

func (s *sparing) add(i int, c *change.Change) {
	s.in[i], s.any = true, true
	s.above[change.Root] = true
	for p := change.Parent(c.Path); !s.above[p]; p = change.Parent(p) {
		s.above[p] = true
	}
	if !c.IsDir() {
		if c.Op != change.Deleted {
			s.object[c.Object.Ino] = true
		}
		if c.Base != nil {
			s.base[c.Base.Ino] = true
		}
	}
	if c.Arrives() {
		s.arrived[c.Place] = true
	}
	if c.Op == change.Deleted && c.IsDir() || c.Over != nil || c.Op == change.Typed {
		s.over[c.Place] = true
	}
	if !leaves(c) {
		return
	}
	s.left[c.BasePath] = true
	for p := change.Parent(c.BasePath); p != change.Root; p = change.Parent(p) {
		s.left[p] = true
	}
}

// holds tells whether something that stays would go with c.
func (s *sparing) holds(c *change.Change) bool {
	if c.IsDir() && c.Op != change.Deleted && (s.above[c.Path] || s.left[c.BasePath]) {
		return true
	}
	if c.Arrives() && s.left[c.Place] {
		return true // what was there comes back, whole
	}
	if !c.IsDir() && (c.Op != change.Deleted && s.object[c.Object.Ino] || c.Base != nil && s.base[c.Base.Ino]) {
		return true
	}
	if c.Op != change.Renamed && c.Op != change.Deleted {
		return false
	}
	if s.arrived[c.BasePath] || s.left[c.BasePath] {
		return true
	}
	for p := change.Parent(c.BasePath); p != change.Root; p = change.Parent(p) {
		if s.over[p] {
			return true
		}
	}
	return false
}
