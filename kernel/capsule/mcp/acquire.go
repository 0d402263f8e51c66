package mcp

import (
	"context"
	"time"

	"astrid/kernel/fault"
)

// How long a session waits for a program that keeps ending.
const (
	calm      = time.Minute     // a program that lived that long is well
	firstWait = 2 * time.Second // after the second end within calm
	maxWait   = 2 * time.Minute
	// maxRecords is how many sessions are remembered for that.
	maxRecords = 64
)

// record is how the programs of a session ended by themselves.
type record struct {
	ends  int // one after the other, within calm of their start
	until time.Time
	wait  time.Duration
	why   error
}

// acquire returns the program of a session, started and connected, for one
// request. The caller releases it.
func (s *Server) acquire(ctx context.Context, session string) (*child, error) {
	for {
		c, full, err := s.pick(session)
		if err != nil {
			return nil, err
		}
		if c == nil {
			if err := s.await(ctx, full); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-c.ready:
			return c, nil
		case <-c.over:
			s.release(c)
			return nil, c.reason()
		case <-ctx.Done():
			s.release(c)
			return nil, s.errorf(fault.KindOf(ctx.Err()), "was given up before it was up: %w", ctx.Err())
		}
	}
}

// pick finds or starts the program of a session and counts a request; or it
// returns no program and what to wait for before the next try.
func (s *Server) pick(session string) (*child, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.children[session]
	switch {
	case s.closed:
		return nil, nil, s.errorf(fault.NotRunning, "is not running any more")
	case c != nil && c.ending:
		return nil, c.done, nil
	case c == nil:
		if err := s.patienceLocked(session); err != nil {
			return nil, nil, err
		}
		if len(s.children) >= MaxPrograms {
			full, err := s.roomLocked()
			return nil, full, err
		}
		c = s.newChild(session)
		s.children[session] = c
		s.work.Go(c.run)
	}
	c.calls++
	s.work.Add(1)
	c.idle.Stop()
	return c, nil, nil
}

// patienceLocked refuses a session whose programs keep ending.
func (s *Server) patienceLocked(session string) error {
	if most := s.config.MaxEnds; most > 0 && s.ends >= most {
		return s.errorf(fault.Unavailable, "has ended by itself as often as it may (%d), and is not started again until it is switched off and on (%w)", s.ends, s.failed)
	}
	if r := s.past[session]; r.until.After(s.config.Now()) {
		return s.errorf(fault.Unavailable, "keeps ending and is restarted at most every %v (%w)", r.wait, r.why)
	}
	return nil
}

// roomLocked ends the program that has been idle longest, unless one ends
// already, and returns what to wait for.
func (s *Server) roomLocked() (<-chan struct{}, error) {
	var victim *child
	for _, c := range s.children {
		if c.ending {
			return c.done, nil
		}
		if c.calls == 0 && (victim == nil || c.used.Before(victim.used)) {
			victim = c
		}
	}
	if victim == nil {
		return nil, s.errorf(fault.Limit, "is busy for %d sessions, and more are not allowed at a time: try again later", MaxPrograms)
	}
	victim.stopLocked()
	return victim.done, nil
}

// release ends a request that acquire began.
func (s *Server) release(c *child) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.calls--
	c.used = s.config.Now()
	if c.calls == 0 && c.unask != nil {
		c.unask()
	}
	if c.calls == 0 && !c.ending {
		c.idle.Reset(s.config.Idle)
	}
	s.work.Done()
}

// expire ends a program that nobody calls.
func (s *Server) expire(c *child) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.calls == 0 {
		c.stopLocked()
	}
}

// noteEnd remembers how a program ended; nil: on purpose.
func (s *Server) noteEnd(c *child, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.stopLocked()
	if err == nil {
		delete(s.past, c.session)
		return
	}
	s.failed = err
	s.ends++
	now := s.config.Now()
	r := s.past[c.session]
	if now.Sub(c.started) >= calm {
		r = record{}
	}
	r.ends++
	r.why = err
	if r.ends > 1 {
		r.wait = min(max(firstWait, 2*r.wait), maxWait)
	}
	r.until = now.Add(r.wait)
	s.forgetOldLocked(now)
	s.past[c.session] = r
}

// forgetOldLocked keeps the memory of sessions small.
func (s *Server) forgetOldLocked(now time.Time) {
	for session, r := range s.past {
		if len(s.past) >= maxRecords || now.Sub(r.until) > maxWait {
			delete(s.past, session)
		}
	}
}

// noteWell remembers that a program is up.
func (s *Server) noteWell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = nil
}

// forget makes room for the next program of the session.
func (s *Server) forget(c *child) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.children, c.session)
}
