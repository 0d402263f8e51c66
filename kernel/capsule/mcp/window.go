package mcp

import "time"

// window bounds what happens within a minute. It is not safe for concurrent use.
type window struct {
	max   int
	used  int
	until time.Time
}

// take tells whether n more are within bounds, and counts them if so.
func (w *window) take(now time.Time, n int) bool {
	if !now.Before(w.until) {
		w.used, w.until = 0, now.Add(time.Minute)
	}
	if n > w.max-w.used {
		return false
	}
	w.used += n
	return true
}
