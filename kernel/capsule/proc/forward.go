package proc

import (
	"context"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// heedTime is how long a program may take to end after SIGTERM.
	heedTime = 5 * time.Second
	// stuckTime is how long a sandbox may outlive its program while its first
	// process is stopped.
	stuckTime = time.Second
	// look is how often that is looked at.
	look = 250 * time.Millisecond
	// hurry is the time within which interrupts that a program took from its
	// terminal count as one wish: an interpreter at a prompt is interrupted often.
	hurry = 2 * time.Second
	// insist is how many of those end the sandbox.
	insist = 3
)

// warden hands signals on to the program of one sandbox, and ends the sandbox
// when they are not heeded or when nothing in it can end any more.
type warden struct {
	maker *os.Process
	st    *status
	typed bool // the terminal itself sends its signals to the program

	handed bool             // a signal was handed on already
	keys   []time.Time      // when the terminal sent signals, within hurry
	kill   <-chan time.Time // when SIGTERM has not been heeded; nil before
	stuck  time.Time        // since when the sandbox is stuck; zero when it is not
}

func (s *Sandbox) newWarden(maker *os.Process, st *status) *warden {
	typed := foreground() && !newSession(s.Stdin, s.Stdout, s.Stderr)
	return &warden{maker: maker, st: st, typed: typed}
}

// watch returns when stop is closed.
func (w *warden) watch(ctx context.Context, signals <-chan os.Signal, stop <-chan struct{}) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case sig := <-signals:
			if n, ok := sig.(syscall.Signal); ok {
				w.signal(n)
			}
		case <-w.kill:
			w.end()
		case now := <-tick.C:
			if w.isStuck(now) {
				w.end()
			}
		case <-ctx.Done():
			w.end()
			<-stop
			return
		case <-stop:
			return
		}
	}
}

// signal hands on the first signal; the second ends the sandbox.
func (w *warden) signal(sig syscall.Signal) {
	if w.typed && (sig == syscall.SIGINT || sig == syscall.SIGQUIT) {
		w.key(time.Now())
		return
	}
	if w.handed || !w.st.signal(sig) {
		w.end()
		return
	}
	w.handed = true
	if sig == syscall.SIGTERM {
		w.kill = time.After(heedTime)
	}
}

// key notes a signal that the program has from the terminal.
func (w *warden) key(now time.Time) {
	recent := w.keys[:0]
	for _, at := range w.keys {
		if now.Sub(at) < hurry {
			recent = append(recent, at)
		}
	}
	if w.keys = append(recent, now); len(w.keys) >= insist {
		w.end()
	}
}

// isStuck tells whether the program has ended and the sandbox does not see it,
// because its first process is stopped: any program inside can do that to it.
func (w *warden) isStuck(now time.Time) bool {
	if !w.st.stuck() {
		w.stuck = time.Time{}
		return false
	}
	if w.stuck.IsZero() {
		w.stuck = now
	}
	return now.Sub(w.stuck) >= stuckTime
}

// end kills the sandbox with everything in it: nothing in a process namespace
// outlives its first process.
func (w *warden) end() {
	w.st.kill()
	_ = w.maker.Kill()
}

// foreground tells whether the terminal sends its signals to this process and
// to what it starts.
func foreground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
