package kernel

import (
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"astrid/kernel/audit"
	"astrid/kernel/bus"
)

// Of what one principal is denied, the first maxDenials of a minute are records of
// the audit log and messages of the bus, each for itself. The rest is counted and
// told by one record once the minute has ended, and of the minutes that follow only
// fewDenials are written, until one stays below that: so nobody fills log and disk
// by asking for what it does not get. A kernel that is killed meanwhile loses the
// count of a minute, and no more.
const (
	maxDenials    = 400
	fewDenials    = 10
	denialsWindow = time.Minute
)

// denials counts what was denied. The zero denials is ready.
type denials struct {
	mu sync.Mutex
	of map[string]*share // by principal; guarded by mu
}

// share is what one principal was denied in one window.
type share struct {
	began time.Time
	left  int          // how many may be written
	more  uint64       // not written
	last  audit.Record // of those
}

// admit tells whether r, by a principal, is to be written; otherwise it is
// counted. ended is the sum of the window before, if there is one to be told.
func (d *denials) admit(by string, r audit.Record, now time.Time) (write bool, ended []audit.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of = map[string]*share{}
	}
	t := d.of[by]
	if t != nil && now.Sub(t.began) >= denialsWindow {
		ended = t.sum()
		t = t.next(now)
	}
	if t == nil {
		t = &share{began: now, left: maxDenials}
	}
	d.of[by] = t
	if t.left > 0 {
		t.left--
		return true, ended
	}
	t.more++
	t.last = r
	return false, ended
}

// end returns the sums of the windows that have ended, of all when they are to
// end now.
func (d *denials) end(now time.Time, all bool) (sums []audit.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for by, t := range d.of {
		if !all && now.Sub(t.began) < denialsWindow {
			continue
		}
		sums = append(sums, t.sum()...)
		if d.of[by] = t.next(now); d.of[by] == nil {
			delete(d.of, by)
		}
	}
	return sums
}

// next is the window after t, nil when it is like a first one.
func (t *share) next(now time.Time) *share {
	if t.more == 0 {
		return nil
	}
	return &share{began: now, left: fewDenials}
}

// sum is the record of what was not written: the last of it, and how many.
func (t *share) sum() []audit.Record {
	if t.more == 0 {
		return nil
	}
	r := t.last
	r.Action.Fields = maps.Clone(r.Action.Fields)
	r.Action.Fields["count"] = strconv.FormatUint(t.more, 10)
	return []audit.Record{r}
}

// admitDenial tells whether a denial is to be written and told by itself.
func (k *Kernel) admitDenial(by string, r audit.Record) bool {
	write, ended := k.denials.admit(by, r, time.Now())
	k.sumDenials(ended)
	return write
}

// sumDenials writes what was counted instead.
func (k *Kernel) sumDenials(sums []audit.Record) {
	for _, r := range sums {
		k.config.Log.Warn("denials were counted and not recorded one by one", "principal", r.Principal, "pid", r.PID, "count", r.Action.Fields["count"])
		k.Audit.Note(r)
		if r.Action.Type == audit.Denial {
			k.tellDenial(r, r.Action.Fields["count"])
		}
	}
}

// tellDenial tells who may know of it. count is empty for a single one.
func (k *Kernel) tellDenial(r audit.Record, count string) {
	about := bus.Message{Session: r.Session, Principal: r.Principal}
	if about.Principal == "" {
		about.Principal = k.Identity.Root()
	}
	reason := r.Action.Fields["reason"]
	if count != "" { // the protocol's event has no member for it
		reason = strings.TrimSpace(reason + " (" + count + " of them)")
	}
	k.lifecycle("authorization_denied", about, map[string]any{"resource": r.Session, "action": r.Action.Fields["what"], "reason": reason})
}
