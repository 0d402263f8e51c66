package store

import (
	"context"
	"strings"
	"sync"
)

// What a watcher may be behind.
const (
	watchEvents = 256
	watchBytes  = 16 << 20 // keys and values
)

// Event is one change of a key, or the news that changes were lost.
type Event struct {
	Key     string
	Value   []byte // the new value, not to be changed
	Deleted bool   // or expired
	Lost    int    // when not 0, all else is empty: so many changes are missing here
}

type change struct {
	full    []byte
	value   []byte
	deleted bool
}

// hub knows the watchers.
type hub struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{} // guarded by mu
}

// watcher is one call of Watch. Its goroutine hands events from the queue to
// the channel.
type watcher struct {
	ns     Namespace
	prefix string
	out    chan Event
	wake   chan struct{} // holds one token when there may be something to hand over

	mu    sync.Mutex
	queue []Event // guarded by mu
	bytes int     // of queue, guarded by mu
	lost  int     // since the last of queue, guarded by mu
}

// Watch sends every change from now on of keys that begin with prefix, in
// order, until ctx ends or the store closes; then the channel is closed. A
// reader that is more than 256 changes or 16 MiB behind is told how many it
// missed, at the place where they are missing.
func (p *Space) Watch(ctx context.Context, prefix string) <-chan Event {
	w := &watcher{ns: p.ns, prefix: prefix, out: make(chan Event), wake: make(chan struct{}, 1)}
	if p.store.enter() != nil {
		close(w.out)
		return w.out
	}
	defer p.store.leave()
	p.store.hub.add(w)
	p.store.tending.Go(func() {
		defer close(w.out)
		defer p.store.hub.remove(w)
		w.run(ctx, p.store.closing)
	})
	return w.out
}

func (h *hub) add(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = map[*watcher]struct{}{}
	}
	h.watchers[w] = struct{}{}
}

func (h *hub) remove(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// publish queues changes for whoever watches them.
func (h *hub) publish(changes []change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		for _, c := range changes {
			ns, key, _ := splitKey(c.full)
			if ns == w.ns && strings.HasPrefix(key, w.prefix) {
				w.push(Event{Key: key, Value: c.value, Deleted: c.deleted})
			}
		}
	}
}

// push queues e or counts it as lost.
func (w *watcher) push(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := len(e.Key) + len(e.Value)
	if room := w.lost == 0 || len(w.queue) < watchEvents/2; !room || len(w.queue) >= watchEvents || w.bytes+size > watchBytes {
		w.lost++
		return
	}
	if w.lost > 0 {
		w.queue = append(w.queue, Event{Lost: w.lost})
		w.lost = 0
	}
	w.queue = append(w.queue, e)
	w.bytes += size
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// pop takes the next event off the queue.
func (w *watcher) pop() (e Event, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.queue) > 0:
		e, w.queue = w.queue[0], w.queue[1:]
		w.bytes -= len(e.Key) + len(e.Value)
	case w.lost > 0:
		e, w.lost = Event{Lost: w.lost}, 0
	default:
		return Event{}, false
	}
	return e, true
}

func (w *watcher) run(ctx context.Context, closing <-chan struct{}) {
	for {
		e, ok := w.pop()
		out := w.out
		if !ok {
			out = nil
		}
		select {
		case out <- e:
		case <-w.await(ok):
		case <-ctx.Done():
			return
		case <-closing:
			return
		}
	}
}

// await is what to wait for besides the reader: nothing while there is an event
// to hand over.
func (w *watcher) await(busy bool) <-chan struct{} {
	if busy {
		return nil
	}
	return w.wake
}
