package main

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	alone   = 500 // messages sent one at a time,
	batches = 30  // and then so many batches
	batch   = 200 // of so many
)

// hall is an audience: it counts what is heard, and tells when it is all.
type hall struct {
	n     int
	full  chan struct{}
	want  atomic.Int64
	count atomic.Int64

	mu    sync.Mutex
	began time.Time       // zero: nobody measures. Guarded by mu
	took  []time.Duration // guarded by mu
}

// heard is called for each message that a subscriber has.
func (h *hall) heard() {
	if now := time.Now(); h.want.Load() == int64(h.n) { // one message at a time
		h.mu.Lock()
		h.took = append(h.took, now.Sub(h.began))
		h.mu.Unlock()
	}
	if h.count.Add(1) == h.want.Load() {
		h.full <- struct{}{}
	}
}

// expect begins to count to messages for everybody.
func (h *hall) expect(messages int) {
	h.count.Store(0)
	h.want.Store(int64(messages * h.n))
	h.mu.Lock()
	h.began = time.Now()
	h.mu.Unlock()
}

func (h *hall) wait() error {
	select {
	case <-h.full:
		return nil
	case <-time.After(patience):
		return errors.New("messages were lost")
	}
}

func (h *hall) latency(publish func() error) ([]time.Duration, error) {
	for range alone {
		h.expect(1)
		if err := publish(); err != nil {
			return nil, err
		}
		if err := h.wait(); err != nil {
			return nil, err
		}
	}
	return h.took, nil
}

// throughput is how many messages a second reach everybody.
func (h *hall) throughput(publish func() error, callers int) (float64, error) {
	began := time.Now()
	for range batches {
		h.expect(batch)
		if err := publishAll(publish, callers); err != nil {
			return 0, err
		}
		if err := h.wait(); err != nil {
			return 0, err
		}
	}
	return batches * batch / time.Since(began).Seconds(), nil
}

// publishAll publishes a batch, by callers at once where each waits for an answer.
func publishAll(publish func() error, callers int) error {
	failed := make([]error, callers)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := c; i < batch && failed[c] == nil; i += callers {
				failed[c] = publish()
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}
