package commit

import (
	"context"
	"fmt"

	"astrid/overlay/change"
)

// verdict says what becomes of one change.
type verdict uint8

const (
	unasked verdict = iota // Request.Paths does not speak of it
	taken
	held    // a rule holds it back
	skipped // git ignores it, or it is excluded
)

// item is one change and what stands between it and the workspace.
type item struct {
	c *change.Change
	v verdict
	// part is what is taken of a file when it is not all of it.
	part *change.Pick
	// wanted says that the request asks for it, not only something that needs it.
	wanted bool
	// why it is not taken.
	why string
	// needs are the items without which this one cannot be: the directory that
	// it lies in, what must make room for it, other names of its object.
	needs []*item
	// whole are items that must be taken for this one to be taken, but that it
	// does not bring along.
	whole []*item
	unit  *repository // when it is at or below a .git directory
}

// selection is the list of changes with a verdict for each.
type selection struct {
	req   Request
	asked *change.Match                   // what Request.Paths says, or the paths of Request.Hunks
	picks map[*change.Change]*change.Pick // what Request.Hunks say
	items []*item
	same  []*change.Change // owned by the view, equal to the base
	at    map[string]*item // what arrives at a path of the view
	from  map[string]*item // moves, by the path in the base
	made  map[string]*item // directories that the view made, by path, over one of the base or not
	units map[string]*repository
	notes []string
}

// choose decides what of the list is to be committed.
func choose(ctx context.Context, cfg Config, d *disk, list []change.Change, req Request, picks map[*change.Change]*change.Pick) (*selection, error) {
	s := &selection{
		req: req, picks: picks, at: map[string]*item{}, from: map[string]*item{},
		made: map[string]*item{}, units: map[string]*repository{},
	}
	var err error
	if s.asked, err = change.NewMatch(append(named(picks), req.Paths...)); err != nil {
		return nil, err
	}
	for _, g := range s.idle(list) {
		s.notes = append(s.notes, "no change matches "+change.Quote(g))
	}
	s.index(list)
	s.depend()
	s.repositories()
	judge, err := s.judge(ctx, cfg, d)
	if err != nil {
		return nil, err
	}
	s.ask()
	s.decide(judge)
	return s, nil
}

// index makes the items and finds them by path.
func (s *selection) index(list []change.Change) {
	for i := range list {
		c := &list[i]
		_, stands := c.Origin()
		anew := c.Op != change.Deleted && c.IsDir() && !stands && c.Path != change.Root
		if c.Op == change.Same && !anew {
			s.same = append(s.same, c)
			continue
		}
		it := &item{c: c}
		s.items = append(s.items, it)
		if anew {
			s.made[c.Path] = it
		}
		if c.Arrives() {
			s.at[c.Path] = it
		}
		if c.Op == change.Renamed {
			s.from[c.From] = it
		}
	}
}

// depend fills in needs and whole.
func (s *selection) depend() {
	byObject := map[uint64]*item{}
	places := s.placesTaken()
	for _, it := range s.items {
		c := it.c
		if up := s.above(c); up != nil {
			it.needs = append(it.needs, up)
		}
		if leaves(c) {
			s.leaveFrom(it, places)
		}
		if c.Op == change.Deleted {
			continue
		}
		if c.Place != "" && c.Arrives() {
			if r := s.from[c.Place]; r != nil && r != it {
				it.needs = append(it.needs, r)
			}
		}
		if c.IsDir() {
			continue
		}
		if other := byObject[c.Object.Ino]; other != nil {
			it.needs = append(it.needs, other)
			other.needs = append(other.needs, it)
		}
		byObject[c.Object.Ino] = it
	}
}

// leaves tells whether a change takes a base object away from its place.
func leaves(c *change.Change) bool { return c.Op == change.Deleted || c.Op == change.Renamed }

// above returns the item of the nearest directory that c cannot be without.
func (s *selection) above(c *change.Change) *item {
	for p := change.Parent(c.Path); p != change.Root; p = change.Parent(p) {
		if up := s.at[p]; up != nil && up.c.IsDir() {
			if c.Op == change.Deleted && c.BasePath == c.Path {
				continue // it was there before what is there now
			}
			return up
		}
		if up := s.made[p]; up != nil {
			return up
		}
	}
	return nil
}

// placesTaken returns the items that take the place of a base directory, by it:
// those that replace it by something else, and those that made it anew.
func (s *selection) placesTaken() map[string]*item {
	m := map[string]*item{}
	for _, it := range s.items {
		c := it.c
		switch {
		case c.Place == "":
		case c.Op == change.Typed && isDir(c.Base), c.Op == change.Renamed && c.Over != nil && isDir(c.Over):
			m[c.Place] = it
		case s.made[c.Path] == it && c.Base != nil:
			m[c.Place] = it
		}
	}
	return m
}

// leaveFrom ties something that leaves a base directory to what takes the
// directory's place.
func (s *selection) leaveFrom(it *item, places map[string]*item) {
	for p := change.Parent(it.c.BasePath); p != change.Root; p = change.Parent(p) {
		up := places[p]
		if up == nil || up == it {
			continue
		}
		if s.made[up.c.Path] == up && up.c.Op != change.Typed {
			up.whole = append(up.whole, it)
			continue
		}
		up.needs = append(up.needs, it)
	}
}

// ask marks what the request asks for.
func (s *selection) ask() {
	for _, it := range s.items {
		it.wanted = s.asks(it.c)
		if p := s.picks[it.c]; p != nil && !p.Whole {
			it.part = p
		}
		if it.wanted && it.unit != nil {
			it.unit.wanted = true
		}
	}
	for _, it := range s.items {
		it.wanted = it.wanted || it.unit != nil && it.unit.wanted
	}
}

// decide gives each item its verdict.
func (s *selection) decide(judge func(*item) (verdict, string)) {
	for _, it := range s.items {
		it.v, it.why = judge(it)
	}
	s.spread()
	for _, it := range s.items {
		if it.v == taken && !it.wanted {
			it.v = unasked
		}
	}
	for _, it := range s.items {
		if it.v == taken {
			pull(it)
		}
	}
	s.keepDirs()
}

// spread makes verdicts that are not taken reach everything that needs the item.
func (s *selection) spread() {
	users := map[*item][]*item{}
	var work []*item
	for _, it := range s.items {
		for _, n := range it.needs {
			users[n] = append(users[n], it)
		}
		for _, n := range it.whole {
			users[n] = append(users[n], it)
			if n.v == taken && !n.wanted && it.v == taken {
				it.v, it.why = held, "the directory was made anew and must be committed whole, with "+change.Quote(n.c.Path)
			}
		}
	}
	for _, it := range s.items {
		if it.v != taken {
			work = append(work, it)
		}
	}
	for len(work) > 0 {
		it := work[len(work)-1]
		work = work[:len(work)-1]
		for _, u := range users[it] {
			if u.v == taken {
				u.v, u.why = it.v, fmt.Sprintf("it needs %s, which stays: %s", change.Quote(it.c.Path), it.why)
				work = append(work, u)
			}
		}
	}
}

// pull takes what a taken item needs.
func pull(it *item) {
	for _, n := range it.needs {
		if n.v == unasked {
			n.v = taken
			pull(n)
		}
	}
}

// keepDirs leaves base directories in which something stays.
func (s *selection) keepDirs() {
	dirs := map[string]*item{}
	for _, it := range s.items {
		if it.c.Op == change.Deleted && it.c.IsDir() {
			dirs[it.c.BasePath] = it
		}
	}
	for _, it := range s.items {
		if it.v == taken || !leaves(it.c) {
			continue
		}
		for p := change.Parent(it.c.BasePath); p != change.Root; p = change.Parent(p) {
			if d := dirs[p]; d != nil && d.v == taken {
				d.v, d.why = it.v, "not empty: "+change.Quote(it.c.BasePath)+" stays"
			}
		}
	}
}
