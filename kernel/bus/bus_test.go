package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func subscribe(t testing.TB, b *Bus, o Options, patterns ...string) *Subscription {
	t.Helper()
	for _, p := range patterns {
		o.Patterns = append(o.Patterns, pattern(t, p))
	}
	s, err := b.Subscribe(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// mustPatterns is ParsePatterns for literals.
func mustPatterns(list ...string) []Pattern {
	all, err := ParsePatterns(list)
	if err != nil {
		panic("bus: " + err.Error())
	}
	return all
}

func publish(t testing.TB, b *Bus, topic Topic, payload string) uint64 {
	t.Helper()
	seq, err := b.Publish(Message{Topic: topic, Payload: wire.Raw(payload)})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// drain takes what is queued now.
func drain(t testing.TB, s *Subscription) (got []Message, loss Loss) {
	t.Helper()
	for {
		m, l, err := s.TryNext()
		if l.Any() {
			loss.Messages += l.Messages
			loss.From, loss.To = l.From, l.To
		}
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if m == nil {
			return got, loss
		}
		got = append(got, *m)
	}
}

func numbers(list []Message) []uint64 {
	all := make([]uint64, 0, len(list))
	for _, m := range list {
		all = append(all, m.Seq)
	}
	return all
}

func TestAMessageReachesOnceWhomSeveralPatternsMatch(t *testing.T) {
	b := New(Config{})
	s := subscribe(t, b, Options{}, "a.*", "a.b", "*.b")
	publish(t, b, "a.b", "1")
	publish(t, b, "c.d", "2")
	got, loss := drain(t, s)
	if !slices.Equal(numbers(got), []uint64{1}) || loss.Any() {
		t.Errorf("got %v, lost %+v", got, loss)
	}
}

func TestAFloodEvictsNoApprovalAndIsCountedExactly(t *testing.T) {
	b := New(Config{})
	s := subscribe(t, b, Options{Messages: 8}, "agent.*", "astrid.v1.*")
	publish(t, b, "astrid.v1.approval", "{}")
	for range 1000 {
		publish(t, b, "agent.v1.stream.delta", "{}")
	}
	publish(t, b, "astrid.v1.response.x", "{}")
	got, loss := drain(t, s)
	want := []uint64{1, 1002, 994, 995, 996, 997, 998, 999, 1000, 1001}
	if !slices.Equal(numbers(got), want) {
		t.Errorf("got %v, want %v", numbers(got), want)
	}
	if loss.Messages != 992 {
		t.Errorf("%d messages are told lost, and 992 are", loss.Messages)
	}
}

func TestWhoWantsTheOrderGetsIt(t *testing.T) {
	b := New(Config{})
	s := subscribe(t, b, Options{Ordered: true}, "*", "*.*")
	for _, topic := range []Topic{"a.b", "astrid.v1.approval", "a.b", "client.v1.connected"} {
		publish(t, b, topic, "{}")
	}
	if got, _ := drain(t, s); !slices.Equal(numbers(got), []uint64{1, 2, 3, 4}) {
		t.Errorf("got %v", numbers(got))
	}
}

func TestATransientMessageIsNotReplayedNorMissed(t *testing.T) {
	b := New(Config{})
	publish(t, b, "a", "{}")
	if _, err := b.Publish(Message{Topic: "a", Transient: true}); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "a", "{}")
	got, loss := drain(t, subscribe(t, b, Options{Replay: true}, "a"))
	if !slices.Equal(numbers(got), []uint64{1, 3}) || loss.Any() {
		t.Errorf("got %v, lost %+v", numbers(got), loss)
	}
}

func TestAQueueIsBoundedInBytes(t *testing.T) {
	b := New(Config{})
	s := subscribe(t, b, Options{Bytes: 3000}, "a")
	for range 5 {
		publish(t, b, "a", string(make([]byte, 1000)))
	}
	publish(t, b, "a", string(make([]byte, 4000))) // larger than all of it: drops what is there, and itself
	publish(t, b, "a", "1")
	got, loss := drain(t, s)
	if !slices.Equal(numbers(got), []uint64{7}) || loss.Messages != 6 {
		t.Errorf("got %v, lost %d", numbers(got), loss.Messages)
	}
}

func TestReplayHasNeitherGapNorDouble(t *testing.T) {
	b := New(Config{ReplayMessages: 4})
	for range 6 {
		publish(t, b, "a", "1")
	}
	s := subscribe(t, b, Options{Replay: true, Since: 1}, "a")
	publish(t, b, "a", "1")
	got, loss := drain(t, s)
	if !slices.Equal(numbers(got), []uint64{3, 4, 5, 6, 7}) {
		t.Errorf("got %v", numbers(got))
	}
	if loss != (Loss{From: 2, To: 2}) {
		t.Errorf("lost %+v, and number 2 is forgotten", loss)
	}
}

func TestAFilterHidesAMessage(t *testing.T) {
	b := New(Config{})
	s := subscribe(t, b, Options{Filter: func(m *Message) bool { return m.Principal == "p" }}, "a")
	publish(t, b, "a", "1")
	if _, err := b.Publish(Message{Topic: "a", Principal: "p"}); err != nil {
		t.Fatal(err)
	}
	got, loss := drain(t, s)
	if !slices.Equal(numbers(got), []uint64{2}) || loss.Any() {
		t.Errorf("got %v, lost %+v", numbers(got), loss)
	}
}

func TestNextWaitsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Config{})
		s := subscribe(t, b, Options{}, "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, _, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing came and Next says %v", err)
		}
		go func() { _, _ = b.Publish(Message{Topic: "a"}) }()
		if m, _, err := s.Next(t.Context()); err != nil || m.Seq != 1 {
			t.Errorf("got %v, %v", m, err)
		}
		publish(t, b, "a", "1")
		b.Close()
		if m, _, err := s.Next(t.Context()); err != nil || m.Seq != 2 {
			t.Errorf("what was queued before the end: %v, %v", m, err)
		}
		for range 2 {
			if _, _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("after the end: %v", err)
			}
		}
		if _, err := b.Publish(Message{Topic: "a"}); !fault.Is(err, fault.NotRunning) {
			t.Errorf("publish on a closed bus: %v", err)
		}
	})
}

func TestWhatIsTooLargeOrTooManyIsRefused(t *testing.T) {
	b := New(Config{MaxPayload: 10, MaxSubscribers: 1})
	if _, err := b.Publish(Message{Topic: "a", Payload: wire.Raw("12345678901")}); !fault.Is(err, fault.Usage) {
		t.Errorf("a large payload: %v", err)
	}
	publish(t, b, "a", "1234567890")
	if _, err := b.Subscribe(Options{}); !fault.Is(err, fault.Usage) {
		t.Errorf("no pattern: %v", err)
	}
	s := subscribe(t, b, Options{}, "a")
	if _, err := b.Subscribe(Options{Patterns: s.options.Patterns}); !fault.Is(err, fault.Limit) {
		t.Errorf("one subscriber too many: %v", err)
	}
	s.Close()
	subscribe(t, b, Options{}, "a")
}

// TestModel compares the bus with slices: who sees what, in which order, and
// what is told lost.
func TestModel(t *testing.T) {
	type model struct {
		sub      *Subscription
		patterns []Pattern
		queues   [2][]uint64 // urgent, ordinary
		lost     uint64
	}
	const bound = 3
	names := []Topic{"a.b", "a.b.c", "d", "astrid.v1.approval", "astrid.v1.response.x"}
	rapid.Check(t, func(r *rapid.T) {
		b := New(Config{})
		defer b.Close()
		var subs []*model
		r.Repeat(map[string]func(*rapid.T){
			"subscribe": func(r *rapid.T) {
				text := rapid.SliceOfN(rapid.SampledFrom([]string{"a.*", "a.b", "*", "d", "astrid.v1.*", "*.*.approval"}), 1, 3).Draw(r, "patterns")
				m := &model{patterns: mustPatterns(text...)}
				s, err := b.Subscribe(Options{Patterns: m.patterns, Messages: bound})
				if err != nil {
					r.Fatal(err)
				}
				m.sub = s
				subs = append(subs, m)
			},
			"publish": func(r *rapid.T) {
				topic := rapid.SampledFrom(names).Draw(r, "topic")
				seq, err := b.Publish(Message{Topic: topic})
				if err != nil {
					r.Fatal(err)
				}
				class := 1
				if Urgent(topic) {
					class = 0
				}
				for _, m := range subs {
					if !slices.ContainsFunc(m.patterns, func(p Pattern) bool { return p.Match(topic) }) {
						continue
					}
					m.queues[class] = append(m.queues[class], seq)
					if len(m.queues[class]) > bound {
						m.queues[class] = m.queues[class][1:]
						m.lost++
					}
				}
			},
			"take": func(r *rapid.T) {
				if len(subs) == 0 {
					r.Skip()
				}
				m := rapid.SampledFrom(subs).Draw(r, "subscriber")
				got, loss, err := m.sub.TryNext()
				if err != nil {
					r.Fatal(err)
				}
				want := slices.Concat(m.queues[0], m.queues[1])
				if (got == nil) != (len(want) == 0) {
					r.Fatalf("got %v, want one of %v", got, want)
				}
				if got == nil {
					return
				}
				if got.Seq != want[0] || loss.Messages != m.lost {
					r.Fatalf("got %d and %d lost, want %d and %d", got.Seq, loss.Messages, want[0], m.lost)
				}
				m.lost = 0
				if len(m.queues[0]) > 0 {
					m.queues[0] = m.queues[0][1:]
				} else {
					m.queues[1] = m.queues[1][1:]
				}
			},
			"close": func(r *rapid.T) {
				if len(subs) == 0 {
					r.Skip()
				}
				i := rapid.IntRange(0, len(subs)-1).Draw(r, "subscriber")
				subs[i].sub.Close()
				subs = slices.Delete(subs, i, i+1)
			},
			"": func(r *rapid.T) {
				if n := len(b.Stats().Subscribers); n != len(subs) {
					r.Fatalf("%d subscribers, want %d", n, len(subs))
				}
			},
		})
	})
}

// TestBusHammer has publishers, readers and subscribers that come and go; each
// reader finds the order of each topic, and every message either taken or
// counted lost.
func TestBusHammer(t *testing.T) {
	const publishers, readers, each = 4, 4, 2000
	b := New(Config{})
	var reading, writing sync.WaitGroup
	for range readers {
		s := subscribe(t, b, Options{Messages: 64}, "t.*")
		reading.Go(func() { readAll(t, s, publishers*each) })
	}
	for p := range publishers {
		writing.Go(func() {
			for range each {
				publish(t, b, Topic(fmt.Sprint("t.", p)), "{}")
			}
		})
		writing.Go(func() {
			for range each / 10 {
				subscribe(t, b, Options{Replay: true}, "t.*", "*").Close()
			}
		})
	}
	writing.Wait()
	b.Close()
	reading.Wait()
}

func readAll(t *testing.T, s *Subscription, want uint64) {
	last := map[Topic]uint64{}
	var seen uint64
	for {
		m, loss, err := s.Next(t.Context())
		seen += loss.Messages
		if err != nil {
			break
		}
		seen++
		if m.Seq <= last[m.Topic] {
			t.Errorf("%s: %d came after %d", m.Topic, m.Seq, last[m.Topic])
		}
		last[m.Topic] = m.Seq
	}
	if seen != want {
		t.Errorf("%d messages taken or lost of %d", seen, want)
	}
}
