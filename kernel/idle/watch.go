package idle

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// The times of 0.2, and the longest pause between two tries to retire.
const (
	Grace    = 30 * time.Second
	Interval = 15 * time.Second
	MaxPause = time.Hour
)

// Config is what a Watch works with. Needs and Retire must be there.
type Config struct {
	Timeout time.Duration // negative: never
	// Needs says, each in a few words, why the kernel is needed; it must not
	// block for long.
	Needs func() []string
	// Retire ends what runs without a need. An error says what refused.
	Retire func(ctx context.Context) error
	Log    *slog.Logger
}

// Watch watches. Its methods may be called from any goroutine.
type Watch struct {
	config Config

	mu      sync.Mutex
	since   time.Time // of the present idleness, zero while there are needs
	refused string    // by whom the last try was refused
}

// New makes a Watch; Run must follow.
func New(c Config) *Watch {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Watch{config: c}
}

// Run returns true when the kernel is not needed and everything has retired, and
// false when ctx ended.
func (w *Watch) Run(ctx context.Context) bool {
	if w.config.Timeout < 0 {
		<-ctx.Done()
		return false
	}
	if !sleep(ctx, Grace) {
		return false
	}
	pause := w.config.Timeout
	for sleep(ctx, Interval) {
		if !w.idleFor(pause) {
			continue
		}
		err := w.config.Retire(ctx)
		if err == nil {
			return true
		}
		w.config.Log.Info("idle, but something refuses to end", "err", err)
		w.needed(err.Error())
		pause = min(max(2*pause, Interval), max(MaxPause, w.config.Timeout))
	}
	return false
}

// idleFor looks, and tells whether there was no need for as long as d.
func (w *Watch) idleFor(d time.Duration) bool {
	needs := w.config.Needs()
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(needs) > 0:
		w.since, w.refused = time.Time{}, ""
	case w.since.IsZero():
		w.since = now
	}
	return len(needs) == 0 && now.Sub(w.since) >= d
}

// needed begins a new idleness.
func (w *Watch) needed(by string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since, w.refused = time.Now(), by
}

// Why says why the kernel is still up: its needs, who refused to end last, or
// how long it has been idle.
func (w *Watch) Why() []string {
	needs := w.config.Needs()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(needs) > 0:
	case w.config.Timeout < 0:
		needs = []string{"it is configured to stay"}
	case w.refused != "":
		needs = []string{w.refused}
	case w.since.IsZero():
		needs = []string{"it was needed just now"}
	default:
		needs = []string{"nothing: it ends when nobody has needed it for " + w.config.Timeout.String()}
	}
	return needs
}

// sleep waits and tells whether ctx is still good.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
