package view

import (
	"sync"
	"time"

	"astrid/kernel/wire"
)

// queueLen is how many events wait for a reader; more are dropped, the oldest
// first, and counted.
const queueLen = 256

// queue holds events for the one reader that the kernel is. Putting never blocks.
type queue struct {
	wake chan struct{} // has a token when there may be something to take

	mu     sync.Mutex
	seq    uint64
	lost   uint64
	events []wire.ViewEvent
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(kind, text string) { q.add(wire.ViewEvent{Kind: kind, Text: text}) }

// eventPaths is how many paths an event names.
const eventPaths = 100

// about is put for what concerns paths.
func (q *queue) about(kind, text string, paths []string) {
	more := max(0, len(paths)-eventPaths)
	q.add(wire.ViewEvent{Kind: kind, Text: text, Paths: paths[:len(paths)-more], More: more})
}

func (q *queue) add(e wire.ViewEvent) {
	q.mu.Lock()
	q.seq++
	if len(q.events) == queueLen {
		q.events = q.events[1:]
		q.lost++
	}
	e.Seq, e.At = q.seq, time.Now().UTC()
	q.events = append(q.events, e)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns what waits; the first event carries the count of those lost.
func (q *queue) take() []wire.ViewEvent {
	q.mu.Lock()
	defer q.mu.Unlock()
	events := q.events
	q.events = nil
	if len(events) > 0 {
		events[0].Lost, q.lost = q.lost, 0
	}
	return events
}
