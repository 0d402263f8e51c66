package session

import (
	"context"
	"errors"
	"time"

	"astrid/kernel/fault"
)

// How a view server that crashes is started again.
const (
	firstDelay  = 100 * time.Millisecond
	longDelay   = 10 * time.Second
	maxCrashes  = 5
	crashWindow = time.Minute
)

// backoff says how long to wait before the next start.
type backoff struct {
	crashes []time.Time // within the window
	delay   time.Duration
}

// next records a crash at now; false when there were too many.
func (b *backoff) next(now time.Time) (time.Duration, bool) {
	kept := b.crashes[:0]
	for _, at := range b.crashes {
		if now.Sub(at) < crashWindow {
			kept = append(kept, at)
		}
	}
	b.crashes = append(kept, now)
	if len(b.crashes) > maxCrashes {
		return 0, false
	}
	if len(b.crashes) == 1 {
		b.delay = firstDelay
	} else {
		b.delay = min(2*b.delay, longDelay)
	}
	return b.delay, true
}

// start lets a supervisor care for the session. The caller holds life, or is New.
func (e *entry) start() {
	ctx, cancel := context.WithCancel(e.t.ctx)
	halted := make(chan struct{})
	e.mu.Lock()
	e.halt, e.halted = cancel, halted
	e.ending, e.foreign, e.crashes, e.proc = false, "", 0, nil
	e.setLocked(starting, "")
	e.mu.Unlock()
	e.t.running.Go(func() {
		defer close(halted)
		defer cancel()
		e.supervise(ctx)
	})
}

// supervise keeps a view server running until the session is to be down, fails
// for good, or ctx ends (which leaves the view as it is).
func (e *entry) supervise(ctx context.Context) {
	var crashes backoff
	for {
		proc, err := e.obtain()
		if err != nil {
			e.set(failed, err.Error())
			return
		}
		e.serve(ctx, proc)
		if ctx.Err() != nil {
			return
		}
		delay, again := e.buried(proc, &crashes)
		if !again {
			return
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
	}
}

// serve sees one view server through to its death, or to the end of ctx.
func (e *entry) serve(ctx context.Context, proc *process) {
	e.t.running.Go(proc.watch)
	e.mu.Lock()
	e.proc = proc
	e.mu.Unlock()
	stop := context.AfterFunc(ctx, proc.release)
	defer stop()
	defer proc.release()
	if err := e.awaitReady(ctx, proc); errors.Is(err, errStranger) {
		return
	} else if err == nil {
		e.setUp()
		e.follow(ctx, proc)
	}
	<-proc.gone
}

// setUp makes a view that answers available, unless its end was asked for.
func (e *entry) setUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ending {
		return
	}
	e.setLocked(running, e.foreign)
}

// buried decides what follows the death of a view server.
func (e *entry) buried(proc *process, crashes *backoff) (delay time.Duration, again bool) {
	log := e.t.cfg.Log.With("session", e.name, "pid", proc.pid)
	exit := readExit(e.t.cfg.Home, e.name)
	if exit != nil && exit.PID != proc.pid {
		exit = nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.proc, e.foreign = nil, ""
	switch {
	case exit != nil && exit.Error != nil:
		log.Error("view failed", "err", exit.Error.Text)
		e.setLocked(failed, exit.Error.Text)
		return 0, false
	case e.ending || exit != nil:
		why := ""
		if exit != nil {
			why = exit.Why
		}
		log.Info("view ended", "why", why)
		e.setLocked(stopped, keptBy(exit))
		return 0, false
	}
	if e.pardoned {
		*crashes, e.pardoned = backoff{}, false
	}
	e.crashes++
	delay, again = crashes.next(time.Now())
	if !again {
		log.Error("view crashed too often", "crashes", maxCrashes)
		e.setLocked(failed, "its view server crashed again and again; "+e.t.cfg.Home.ViewLog(e.name)+" says how; astrid up tries again")
		return 0, false
	}
	log.Warn("view crashed; it is started again", "after", delay)
	e.setLocked(restarting, "its view server ended unexpectedly and is started again")
	return delay, true
}

// awaitReady asks the view server until it answers that the view is mounted.
// Its death ends the asking.
func (e *entry) awaitReady(ctx context.Context, proc *process) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := e.ready(ctx, proc)
		switch {
		case errors.Is(err, errStranger):
			return err
		case err == nil:
			return nil
		case fault.Is(err, fault.Unsupported):
			e.mu.Lock()
			e.foreign = err.Error()
			e.mu.Unlock()
			return nil
		}
		select {
		case <-tick.C:
		case <-proc.dead:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
