package bus

import (
	"context"
	"io"
	"sync"
	"time"

	"astrid/kernel/fault"
)

// Options says what a subscriber wants.
type Options struct {
	Name     string    // for Stats
	Patterns []Pattern // at least one
	// Filter drops messages that a subscriber must not see; nil: it sees all. It
	// runs on publishers' goroutines and must not block nor call the bus.
	Filter func(*Message) bool
	// Since, with Replay, asks for what was published after that number; 0 for
	// all that is remembered.
	Since  uint64
	Replay bool
	// Ordered asks for messages in the order of their numbers, urgent ones too.
	Ordered bool

	Messages int // bound of each of the two queues; default 1024
	Bytes    int // likewise; default 16 MiB
}

// Subscription is one subscriber's end. Its owner must Close it.
type Subscription struct {
	bus      *Bus
	options  Options
	patterns []string
	mark     uint64        // guarded by Bus.mu
	ready    chan struct{} // capacity 1: something is queued, or the end

	mu        sync.Mutex
	urgent    queue
	ordinary  queue
	loss      Loss // since the last Next
	lost      uint64
	delivered uint64
	finished  bool
}

// Loss is what a subscriber did not get.
type Loss struct {
	Messages uint64 // that were for it and that it did not take in time
	// From and To are the numbers of messages that were forgotten before it
	// subscribed with Replay, whoever they were for; both 0 when there are none.
	From, To uint64
}

// Any tells whether anything was lost.
func (l Loss) Any() bool { return l.Messages > 0 || l.To > 0 }

// Subscribe registers a subscriber. Errors: Usage without a pattern, Limit when
// there are too many subscribers, NotRunning on a closed bus.
func (b *Bus) Subscribe(o Options) (*Subscription, error) {
	if len(o.Patterns) == 0 {
		return nil, fault.New(fault.Usage, "a subscription needs a pattern")
	}
	fill(&o.Messages, 1024)
	fill(&o.Bytes, 16<<20)
	s := &Subscription{bus: b, options: o, ready: make(chan struct{}, 1)}
	for _, p := range o.Patterns {
		s.patterns = append(s.patterns, p.String())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, errClosed
	case len(b.subs) >= b.config.MaxSubscribers:
		return nil, fault.New(fault.Limit, "there are %d subscribers, and no more are allowed", len(b.subs))
	}
	if o.Replay {
		b.replay(s)
	}
	b.subs[s] = struct{}{}
	for _, p := range o.Patterns {
		b.tree.add(p, s)
	}
	return s, nil
}

// replay gives a new subscriber what is remembered, for which its queues get room.
//
// Preconditions: b.mu is held.
func (b *Bus) replay(s *Subscription) {
	s.options.Messages += b.past.held
	s.options.Bytes += b.past.size
	b.past.since(s.options.Since, func(m *Message) {
		for _, p := range s.options.Patterns {
			if p.Match(m.Topic) {
				s.offer(m, Urgent(m.Topic))
				return
			}
		}
	})
	if s.options.Since < b.past.forgotten {
		s.loss.From, s.loss.To = s.options.Since+1, b.past.forgotten
	}
}

// offer queues a message, dropping the oldest of its class when there is no room.
func (s *Subscription) offer(m *Message, urgent bool) {
	if s.options.Filter != nil && !s.options.Filter(m) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.ordinary
	if urgent {
		q = &s.urgent
	}
	for q.len() > 0 && (q.len() == s.options.Messages || q.bytes+m.size() > s.options.Bytes) {
		q.pop()
		s.miss()
	}
	if m.size() > s.options.Bytes {
		s.miss()
	} else {
		q.push(m)
	}
	s.wake()
}

// miss counts one lost message.
//
// Preconditions: s.mu is held.
func (s *Subscription) miss() {
	s.loss.Messages++
	s.lost++
}

func (s *Subscription) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// finish lets Next end after what is queued.
func (s *Subscription) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	s.wake()
}

// Next waits for a message and returns it with what was lost before it. At the
// end of the bus or of the subscription it is io.EOF, which may still come with
// a loss. When ctx ends first, its error.
func (s *Subscription) Next(ctx context.Context) (Message, Loss, error) {
	for {
		m, loss, err := s.TryNext()
		if m != nil {
			return *m, loss, nil
		}
		if err != nil {
			return Message{}, loss, err
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return Message{}, Loss{}, ctx.Err()
		}
	}
}

// Ready receives when Next may have something; for those who wait for several
// things and then call TryNext.
func (s *Subscription) Ready() <-chan struct{} { return s.ready }

// TryNext is Next without waiting: a nil message when nothing is queued, and
// then nothing is said of losses. The message must not be changed.
func (s *Subscription) TryNext() (*Message, Loss, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.pick()
	if q.len() == 0 {
		if !s.finished {
			return nil, Loss{}, nil
		}
		return nil, s.takeLoss(), io.EOF
	}
	m := q.pop()
	s.delivered++
	if s.urgent.len()+s.ordinary.len() > 0 || s.finished {
		s.wake()
	}
	return m, s.takeLoss(), nil
}

// pick is the queue whose turn it is.
//
// Preconditions: s.mu is held.
func (s *Subscription) pick() *queue {
	switch {
	case s.urgent.len() == 0:
		return &s.ordinary
	case s.options.Ordered && s.ordinary.len() > 0 && s.ordinary.first().Seq < s.urgent.first().Seq:
		return &s.ordinary
	}
	return &s.urgent
}

func (s *Subscription) takeLoss() Loss {
	loss := s.loss
	s.loss = Loss{}
	return loss
}

// Close ends the subscription and forgets what it had queued. It may be called
// again.
func (s *Subscription) Close() {
	b := s.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.subs[s]; !there {
		return
	}
	delete(b.subs, s)
	b.tree.remove(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.lost += s.lost
	s.urgent, s.ordinary, s.finished = queue{}, queue{}, true
	s.wake()
}

func (s *Subscription) stats(now time.Time) SubscriberStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := SubscriberStats{
		Name: s.options.Name, Patterns: s.patterns, Delivered: s.delivered, Lost: s.lost,
		Queued: s.urgent.len() + s.ordinary.len(), Bytes: s.urgent.bytes + s.ordinary.bytes,
	}
	for _, q := range []*queue{&s.urgent, &s.ordinary} {
		if q.len() > 0 {
			st.Oldest = max(st.Oldest, now.Sub(q.first().At))
		}
	}
	return st
}
