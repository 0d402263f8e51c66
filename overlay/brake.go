package overlay

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"astrid/overlay/meta"
)

// Limits say how much may be changed through the view before it stops taking
// changes. 0: no limit.
type Limits struct {
	Deleted int64 // names removed, of files and directories
	Changed int64 // objects made, moved, or changed for the first time
	Bytes   int64 // written
	// Operations that change something, and bytes written, in one second.
	OpsPerSecond, BytesPerSecond int64
}

// Used is what was used of Limits since they began to be counted.
type Used struct{ Deleted, Changed, Bytes int64 }

// Brake is the state of the limits. Why is not empty when they have stopped
// everything: a sentence.
type Brake struct {
	Limits
	Used
	Why string
}

// brake counts changes that come through the view, each before it is made (an attempt
// counts, whatever comes of it), and refuses all from the first on that would be too
// many: a program that runs wild is stopped whatever it does next. It sits here and not before the overlay, because
// only here is it known, without a walk or a second look, what a request changes for
// the first time; and after the entries of requests, so that commit, undo, discard
// and everything else that is not a request of a program never meets it.
type brake struct {
	limits Limits
	tell   func(why string)

	deleted, changed, bytes atomic.Int64
	why                     atomic.Pointer[string] // nil: nothing has been stopped

	mu          sync.Mutex
	second      int64 // since 1970
	ops, volume int64 // in it
}

// SetBrake makes these the limits and lets the view take changes again until one is
// passed. What was used so far goes on counting, from used on. tell hears once, in a
// sentence, when one was passed; it must not block. Without limits nothing is counted.
func (o *Overlay) SetBrake(l Limits, used Used, tell func(why string)) {
	if l == (Limits{}) {
		o.brake.Store(nil)
		return
	}
	b := &brake{limits: l, tell: tell}
	b.deleted.Store(used.Deleted)
	b.changed.Store(used.Changed)
	b.bytes.Store(used.Bytes)
	o.brake.Store(b)
}

// Brake returns the limits and what was used of them.
func (o *Overlay) Brake() Brake {
	b := o.brake.Load()
	if b == nil {
		return Brake{}
	}
	out := Brake{Limits: b.limits, Used: Used{b.deleted.Load(), b.changed.Load(), b.bytes.Load()}}
	if why := b.why.Load(); why != nil {
		out.Why = *why
	}
	return out
}

// allow counts a change that is about to be made: EDQUOT when it is too much.
func (o *Overlay) allow(u Used) error {
	b := o.brake.Load()
	if b == nil || o.restoring.Load() > 0 {
		return nil
	}
	return b.take(u)
}

// allowTo is allow for a change of an object, which may be the first one.
func (o *Overlay) allowTo(ino uint64, bytes int64) error {
	b := o.brake.Load()
	if b == nil || o.restoring.Load() > 0 {
		return nil
	}
	u := Used{Bytes: bytes}
	const all = meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs | meta.OwnContent
	o.mu.RLock()
	if _, x := o.rec(ino); x == nil || x.Own&all == 0 {
		u.Changed = 1
	}
	o.mu.RUnlock()
	return b.take(u)
}

func (b *brake) take(u Used) error {
	if b.why.Load() != nil {
		return unix.EDQUOT
	}
	if why := b.rate(u.Bytes, time.Now()); why != "" {
		return b.stop(why)
	}
	for _, x := range []struct {
		n     *atomic.Int64
		add   int64
		limit int64
		what  string
	}{
		{&b.deleted, u.Deleted, b.limits.Deleted, "names deleted"},
		{&b.changed, u.Changed, b.limits.Changed, "files changed"},
		{&b.bytes, u.Bytes, b.limits.Bytes, "bytes written"},
	} {
		if now := x.n.Add(x.add); x.limit > 0 && x.add > 0 && now > x.limit {
			x.n.Add(-x.add)
			return b.stop(fmt.Sprintf("the limit of %d %s is reached", x.limit, x.what))
		}
	}
	return nil
}

// rate tells why there is too much in this second, "" if there is not.
func (b *brake) rate(bytes int64, now time.Time) string {
	if b.limits.OpsPerSecond == 0 && b.limits.BytesPerSecond == 0 {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := now.Unix(); s != b.second {
		b.second, b.ops, b.volume = s, 0, 0
	}
	b.ops++
	b.volume += bytes
	switch l := b.limits; {
	case l.OpsPerSecond > 0 && b.ops > l.OpsPerSecond:
		return fmt.Sprintf("more than %d changes came in one second", l.OpsPerSecond)
	case l.BytesPerSecond > 0 && b.volume > l.BytesPerSecond:
		return fmt.Sprintf("more than %d bytes were written in one second", l.BytesPerSecond)
	}
	return ""
}

// stop stops everything; the first one who does it says why.
func (b *brake) stop(why string) error {
	if b.why.CompareAndSwap(nil, &why) && b.tell != nil {
		b.tell(why)
	}
	return unix.EDQUOT
}
