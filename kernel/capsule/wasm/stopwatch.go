package wasm

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stopwatch calls end once when so much of a clock has passed while it ran. Its
// clock is not faster than real time.
type stopwatch struct {
	now func() time.Duration
	end func()

	mu     sync.Mutex
	timer  *time.Timer
	left   time.Duration
	since  time.Duration // reading of the clock; valid while it runs
	paused int
	over   bool
}

// startWatch starts one. stop must follow.
func startWatch(left time.Duration, now func() time.Duration, end func()) *stopwatch {
	w := &stopwatch{now: now, end: end, left: left}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = now()
	w.timer = time.AfterFunc(left, w.ring)
	return w
}

// pause halts the clock until each pause has had its resume.
func (w *stopwatch) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paused++; w.paused == 1 && !w.over {
		w.timer.Stop()
		w.left -= w.now() - w.since
	}
}

func (w *stopwatch) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paused--; w.paused == 0 && !w.over {
		w.since = w.now()
		w.timer.Reset(max(w.left, 0))
	}
}

// stop ends it: end is not called any more when stop has returned.
func (w *stopwatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
}

// minLook is the least time between two looks at a clock that is slower than
// real time.
const minLook = time.Millisecond

func (w *stopwatch) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.paused > 0 {
		return
	}
	if left := w.left - (w.now() - w.since); left > 0 {
		w.timer.Reset(max(left, minLook))
		return
	}
	w.over = true
	w.end()
}

// wallClock reads real time.
func wallClock() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

// threadClock binds the goroutine to its thread until release, and reads the
// processor's time that the thread has used, from any goroutine.
func threadClock() (now func() time.Duration, release func()) {
	runtime.LockOSThread()
	clock := int32(^unix.Gettid()<<3 | 6) // clock of a thread, time on a processor
	return func() time.Duration {
		var at unix.Timespec
		if err := unix.ClockGettime(clock, &at); err != nil {
			panic("the clock of a thread cannot be read, though the thread is ours: " + err.Error())
		}
		return time.Duration(at.Nano())
	}, runtime.UnlockOSThread
}
