package kernel

import (
	"strconv"
	"testing"
	"time"

	"astrid/kernel/audit"
)

func TestDenialsAreCountedByPrincipalAndMinute(t *testing.T) {
	var d denials
	now := time.Unix(1_800_000_000, 0)
	r := func(n int) audit.Record {
		return audit.Record{Action: audit.Action{Type: audit.Denial, Fields: audit.Fields{"what": strconv.Itoa(n)}}}
	}
	for n := range maxDenials + 7 {
		write, ended := d.admit("a", r(n), now.Add(time.Duration(n)*time.Millisecond))
		if write != (n < maxDenials) || len(ended) > 0 {
			t.Errorf("%d: %v, %v", n, write, ended)
		}
	}
	if write, _ := d.admit("b", r(0), now); !write {
		t.Error("another principal is not told of")
	}
	if sums := d.end(now.Add(denialsWindow-1), false); len(sums) > 0 {
		t.Errorf("within the minute: %v", sums)
	}
	write, ended := d.admit("a", r(1), now.Add(denialsWindow))
	for n := range fewDenials - 1 {
		if write, _ := d.admit("a", r(n), now.Add(denialsWindow)); !write {
			t.Errorf("%d of the few are not written", n)
		}
	}
	if write, _ := d.admit("a", r(1), now.Add(denialsWindow)); write {
		t.Error("who floods may go on")
	}
	if !write || len(ended) != 1 || ended[0].Action.Fields["count"] != "7" || ended[0].Action.Fields["what"] != strconv.Itoa(maxDenials+6) {
		t.Errorf("%v, %v", write, ended)
	}
	if sums := d.end(now.Add(2*denialsWindow), false); len(sums) != 1 || len(d.of) != 1 {
		t.Errorf("the second minute: %v, %v", sums, d.of)
	}
	if sums := d.end(now.Add(3*denialsWindow), false); len(sums) > 0 || len(d.of) > 0 {
		t.Errorf("a quiet minute: %v, %v", sums, d.of)
	}
	for n := range maxDenials + 1 {
		d.admit("c", r(n), now)
	}
	if sums := d.end(now, true); len(sums) != 1 || sums[0].Action.Fields["count"] != "1" {
		t.Errorf("at the end: %v", sums)
	}
}
