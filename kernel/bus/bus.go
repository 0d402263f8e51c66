package bus

import (
	"log/slog"
	"sync"
	"time"

	"astrid/kernel/fault"
)

// Config says how much a Bus remembers and lets others queue. A zero field
// means its default.
type Config struct {
	Now func() time.Time // default time.Now
	Log *slog.Logger     // default: discarded

	ReplayMessages int // messages kept for Since; default 4096
	ReplayBytes    int // and their bytes; default 8 MiB
	MaxSubscribers int // default 4096
	MaxPayload     int // bytes of one payload; default 10 MiB
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	fill(&c.ReplayMessages, 4096)
	fill(&c.ReplayBytes, 8<<20)
	fill(&c.MaxSubscribers, 4096)
	fill(&c.MaxPayload, 10<<20)
	return c
}

func fill(field *int, value int) {
	if *field == 0 {
		*field = value
	}
}

// Bus delivers messages. Its methods may be called from any goroutine.
type Bus struct {
	config Config

	mu     sync.Mutex
	closed bool
	seq    uint64 // of the last message
	past   past
	subs   map[*Subscription]struct{}
	tree   trie
	lost   uint64 // by subscriptions that have ended
	marks  uint64 // one a Publish, to deliver once to whom several patterns match
}

// New makes a Bus. It starts no goroutine.
func New(c Config) *Bus {
	c = c.withDefaults()
	return &Bus{config: c, past: past{messages: c.ReplayMessages, bytes: c.ReplayBytes}, subs: map[*Subscription]struct{}{}}
}

// Publish numbers m, gives it to every subscription that wants it and returns
// its number. It does not wait for anybody. What is no topic or too large is an
// error of Kind Usage; on a closed bus it is NotRunning.
func (b *Bus) Publish(m Message) (uint64, error) {
	if _, err := ParseTopic(string(m.Topic)); err != nil {
		return 0, err
	}
	if len(m.Payload) > b.config.MaxPayload {
		return 0, fault.New(fault.Usage, "Payload too large: %d bytes on %s, and %d are allowed", len(m.Payload), m.Topic, b.config.MaxPayload)
	}
	urgent := Urgent(m.Topic)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errClosed
	}
	b.seq++
	b.marks++
	m.Seq, m.At = b.seq, b.config.Now()
	kept := &m
	if !m.Transient {
		b.past.add(kept)
	}
	b.tree.match(string(m.Topic), func(s *Subscription) {
		if s.mark != b.marks {
			s.mark = b.marks
			s.offer(kept, urgent)
		}
	})
	return m.Seq, nil
}

var errClosed = fault.New(fault.NotRunning, "the bus is closed")

// Last is the number of the last message, 0 before the first.
func (b *Bus) Last() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seq
}

// Close ends every subscription after what it has queued. It may be called again.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for s := range b.subs {
		s.finish()
	}
}

// Stats is what the bus says of itself.
type Stats struct {
	Published   uint64
	Lost        uint64 // messages that subscribers did not take in time
	Subscribers []SubscriberStats
}

// SubscriberStats is one subscription.
type SubscriberStats struct {
	Name      string
	Patterns  []string
	Queued    int // messages
	Bytes     int
	Delivered uint64 // taken by Next
	Lost      uint64
	Oldest    time.Duration // age of the oldest message queued
}

// Stats looks at everything at one instant.
func (b *Bus) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := Stats{Published: b.seq, Lost: b.lost}
	now := b.config.Now()
	for s := range b.subs {
		one := s.stats(now)
		st.Lost += one.Lost
		st.Subscribers = append(st.Subscribers, one)
	}
	return st
}
