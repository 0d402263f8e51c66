package fs

import "time"

const (
	// patience is how long a leader may stay with one request before somebody
	// else reads on; between one and two of it pass.
	patience = 2 * time.Millisecond
	// restAfter is how many quiet looks send the watchdog to sleep.
	restAfter = 50
)

// watchdog takes the lead away from a goroutine that stays with one request, so
// that one slow answer does not hold up the others.
func (s *Server) watchdog() {
	tick := time.NewTicker(patience)
	defer tick.Stop()
	var last uint64
	quiet := 0
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		now := s.state.Load()
		switch {
		case now != last:
			quiet = 0
		case now&leading != 0:
			s.handOver(now >> 1)
			quiet = 0
		default:
			quiet++
		}
		last = now
		if quiet < restAfter {
			continue
		}
		quiet = 0
		tick.Stop()
		if !s.sleepWatchdog(last) {
			return
		}
		tick.Reset(patience)
	}
}

// sleepWatchdog waits for the next request; false when the mount is gone.
func (s *Server) sleepWatchdog(last uint64) bool {
	s.asleep.Store(true)
	if s.state.Load() != last && s.asleep.CompareAndSwap(true, false) {
		return true // a request came before it could know that we sleep
	}
	select {
	case <-s.rouse:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// rouseWatchdog is called at each request, after state has changed.
func (s *Server) rouseWatchdog() {
	if s.asleep.Load() && s.asleep.CompareAndSwap(true, false) {
		s.rouse <- struct{}{} // capacity 1, and only the winner of the swap sends
	}
}
