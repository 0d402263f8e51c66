package view

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"astrid/kernel/wire"
)

const (
	// editGather is how long edits in the workspace are gathered before they are told
	// as one event, and how long after an operation of ours they are taken for its own.
	editGather = 300 * time.Millisecond
	// editsMax bounds the paths that are gathered; "." stands for more.
	editsMax = 10_000
	// conflictShare is how much longer than a look for conflicts the time between two
	// is, so that edits that never end cost little.
	conflictShare = 20
)

// edits gathers what is done in the workspace. Noting never blocks.
type edits struct {
	wake chan struct{} // has a token when there is something

	mu     sync.Mutex
	paths  map[string]bool // guarded by mu
	ours   int             // operations of ours under way, guarded by mu
	until  time.Time       // edits up to then are theirs, guarded by mu
	unsure bool            // there were such, guarded by mu
}

func newEdits() *edits {
	return &edits{wake: make(chan struct{}, 1), paths: map[string]bool{}}
}

// note takes a path of the workspace at which something was done.
func (e *edits) note(p string) {
	if p == ".astrid" || strings.HasPrefix(p, ".astrid/") {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rouse()
	if e.ours > 0 || time.Now().Before(e.until) {
		e.unsure = true // it may be somebody else's all the same
		return
	}
	if len(e.paths) >= editsMax {
		p = "."
	}
	e.paths[p] = true
}

func (e *edits) rouse() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// begin says that an operation of ours is at work in the workspace; end, that it
// is not any more.
func (e *edits) begin() {
	e.mu.Lock()
	e.ours++
	e.mu.Unlock()
}

func (e *edits) end() {
	e.mu.Lock()
	e.ours--
	e.until = time.Now().Add(editGather)
	e.rouse() // conflicts may be over
	e.mu.Unlock()
}

// take returns the paths, sorted, and whether there may be others, and forgets them.
func (e *edits) take() (paths []string, unsure bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	paths, unsure = slices.Sorted(maps.Keys(e.paths)), e.unsure
	clear(e.paths)
	e.unsure = false
	return paths, unsure
}

// tellEdits turns edits into events until ctx ends: base for what was done in the
// workspace, conflict for those of the paths, or of others, at which a commit would
// meet a conflict and would not have before.
func (s *server) tellEdits(ctx context.Context) {
	known := map[string]bool{}
	wait := func(d time.Duration) bool {
		select {
		case <-time.After(d):
			return true
		case <-ctx.Done():
			return false
		}
	}
	for {
		select {
		case <-s.edits.wake:
		case <-ctx.Done():
			return
		}
		if !wait(editGather) {
			return
		}
		paths, unsure := s.edits.take()
		if len(paths) > 0 {
			s.events.about("base", "", paths)
		} else if len(known) == 0 && !unsure {
			continue
		}
		began := time.Now()
		known = s.tellConflicts(ctx, known)
		if !wait(conflictShare * time.Since(began)) {
			return
		}
	}
}

// tellConflicts looks for conflicts, tells of those that are not known, and returns
// all of them.
func (s *server) tellConflicts(ctx context.Context, known map[string]bool) map[string]bool {
	list, err := s.engine.Conflicts(ctx, wire.ConflictsRequest{})
	if err != nil {
		return known // it is looked again at the next edit
	}
	now := map[string]bool{}
	var arisen []string
	for i := range list {
		p := wire.JoinPath(list[i].Path, list[i].PathB64)
		now[p] = true
		if !known[p] {
			arisen = append(arisen, p)
		}
	}
	if len(arisen) > 0 {
		s.events.about("conflict", "astrid conflicts shows both sides", arisen)
	}
	return now
}

// OnEdit implements engine.
func (e *overlaid) OnEdit(fn func(path string)) { e.tree.OnEdit(fn) }

// followEdits tells of edits in the workspace until stop is called.
func (s *server) followEdits(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	s.engine.OnEdit(s.edits.note)
	go func() {
		defer close(over)
		s.tellEdits(ctx)
	}()
	return func() {
		s.engine.OnEdit(nil)
		cancel()
		<-over
	}
}
