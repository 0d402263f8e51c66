package op

import (
	"sync"
	"time"

	"astrid/kernel/fault"
)

// window is a sliding minute: at most len(at) events in any 60 s.
type window struct {
	mu   sync.Mutex
	at   []time.Time // ring of the last admissions, guarded by mu
	next int         // the oldest of them, guarded by mu
}

const windowLength = time.Minute

// newWindow returns nil, which admits everything, for max 0.
func newWindow(max int) *window {
	if max <= 0 {
		return nil
	}
	return &window{at: make([]time.Time, max)}
}

// admit counts one event at now, or refuses it.
func (w *window) admit(now time.Time, method string) error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	oldest := w.at[w.next]
	if !oldest.IsZero() && now.Sub(oldest) < windowLength {
		return fault.New(fault.Limit, "Rate limited: max %d %s requests per minute", len(w.at), method)
	}
	w.at[w.next] = now
	w.next = (w.next + 1) % len(w.at)
	return nil
}
