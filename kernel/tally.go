package kernel

import (
	"sync"
	"time"
)

// tally lets the first few events of a kind through within a while, and counts
// the rest, so that who does a thing a thousand times does not fill a log with it.
type tally struct {
	few   int
	while time.Duration

	mu     sync.Mutex
	kinds  map[string]*count
	closed bool
}

// count is how often something happened since the first time of a while.
type count struct {
	n     int
	timer *time.Timer
	rest  func(n int)
}

// maxKinds bounds what is told apart; kinds beyond it are one.
const maxKinds = 1024

func newTally(few int, while time.Duration) *tally {
	return &tally{few: few, while: while, kinds: map[string]*count{}}
}

// admit tells whether an event is one of the few. rest hears, when the while is
// over, how many were not.
func (t *tally) admit(kind string, rest func(n int)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return true
	}
	c := t.kinds[kind]
	if c == nil && len(t.kinds) >= maxKinds {
		kind = ""
		c = t.kinds[kind]
	}
	if c == nil {
		c = &count{}
		t.kinds[kind] = c
	}
	if c.n++; c.n <= t.few {
		return true
	}
	if c.rest = rest; c.timer == nil {
		c.timer = time.AfterFunc(t.while, func() { t.tell(kind) })
	}
	return false
}

// tell says how many events of a kind were only counted, and begins anew.
func (t *tally) tell(kind string) {
	t.mu.Lock()
	c := t.kinds[kind]
	delete(t.kinds, kind)
	var rest func(int)
	over := 0
	if c != nil {
		rest, over = c.rest, c.n-t.few
	}
	t.mu.Unlock()
	if over > 0 {
		rest(over)
	}
}

// close tells of everything that was only counted.
func (t *tally) close() {
	t.mu.Lock()
	t.closed = true
	var kinds []string
	for kind, c := range t.kinds {
		if kinds = append(kinds, kind); c.timer != nil {
			c.timer.Stop()
		}
	}
	t.mu.Unlock()
	for _, kind := range kinds {
		t.tell(kind)
	}
}
