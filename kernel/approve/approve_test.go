package approve_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"astrid/kernel/approve"
	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a Desk with everything around it.
type room struct {
	*approve.Desk
	asked  chan approve.Request // announced
	full   error                // what recording answers
	timing time.Duration

	mu      sync.Mutex
	allowed map[string]string // decision by action
	records []string
}

func open(t *testing.T, s *store.Store) *room {
	t.Helper()
	r := &room{asked: make(chan approve.Request, 1000), allowed: map[string]string{}, timing: time.Hour}
	d, err := approve.New(approve.Config{
		Store: s, Memory: r, Timeout: func(string) time.Duration { return r.timing },
		Announce: func(q approve.Request, a *approve.Answer) {
			if a == nil {
				r.asked <- q
			}
		},
		Record: func(_ context.Context, q approve.Request, a *approve.Answer) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			line := "asked " + q.Action
			if a != nil {
				line = fmt.Sprintf("%s %s by %q", a.Decision, q.Action, a.By)
			}
			r.records = append(r.records, line)
			return r.full
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Desk = d
	return r
}

func (r *room) Allowed(q approve.Request) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	decision := r.allowed[q.Action]
	if decision == approve.Once {
		delete(r.allowed, q.Action)
	}
	return decision != "", nil
}

func (r *room) Allow(q approve.Request, decision string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allowed[q.Action] = decision
	return nil
}

func fresh(t *testing.T) *room { return open(t, storetest.Open(t, t.TempDir(), nil)) }

// ask asks in the background and returns the announced request.
func (r *room) ask(t *testing.T, action string) (approve.Request, chan approve.Answer) {
	t.Helper()
	done := make(chan approve.Answer, 1)
	go func() {
		a, err := r.Ask(t.Context(), approve.Request{Action: action, Resource: "res", Capsule: "c", Session: "s", Principal: "p"}, 0)
		if err != nil {
			t.Error(err)
		}
		done <- a
	}()
	return <-r.asked, done
}

func TestAnAnswerReachesTheAskerAndTheRecord(t *testing.T) {
	for decision, approved := range map[string]bool{"approve": true, "approve_session": true, "approve_always": true, "deny": false, "whatever": false} {
		r := fresh(t)
		q, done := r.ask(t, "act")
		if q.Reason != "Capsule 'c' requests approval" || q.Risk != "medium" || r.SessionOf(q.ID) != "s" {
			t.Errorf("announced %+v", q)
		}
		if _, err := r.Answer(t.Context(), q.ID, decision, "", "u"); err != nil {
			t.Fatal(err)
		}
		if a := <-done; a.Approved != approved || a.Decision != decision || a.By != "u" {
			t.Errorf("%s: %+v", decision, a)
		}
		if _, err := r.Answer(t.Context(), q.ID, "approve", "", "v"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a second answer: %v", err)
		}
		if want := []string{"asked act", decision + ` act by "u"`}; !slices.Equal(r.records, want) {
			t.Errorf("recorded %q", r.records)
		}
		_, remembered := r.allowed["act"]
		if remembered != (decision == "approve_session" || decision == "approve_always") {
			t.Errorf("%s: remembered %v", decision, r.allowed)
		}
	}
}

func TestWhatWasAllowedIsNotAskedAgain(t *testing.T) {
	r := fresh(t)
	q, done := r.ask(t, "act")
	if _, err := r.Answer(t.Context(), q.ID, approve.Always, "", "u"); err != nil {
		t.Fatal(err)
	}
	<-done
	a, err := r.Ask(t.Context(), approve.Request{Action: "act"}, 0)
	if err != nil || !a.Approved || a.Decision != approve.Allowance || len(r.asked) != 0 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestNobodyAnswersInTimeAndALateAnswerAllowsTheNext(t *testing.T) {
	dir := t.TempDir()
	s := storetest.Open(t, dir, nil)
	r := open(t, s)
	r.timing = time.Nanosecond
	a, err := r.Ask(t.Context(), approve.Request{Action: "act", Session: "s"}, 0)
	if err != nil || a.Approved || a.Decision != approve.Deny || a.By != "" {
		t.Fatalf("%+v, %v", a, err)
	}
	storetest.Close(t, s) // it survives a restart
	r = open(t, storetest.Open(t, dir, nil))
	list, err := r.Pending()
	if err != nil || len(list) != 1 || !list[0].Deferred || list[0].ID != a.ID || r.SessionOf(a.ID) != "s" {
		t.Fatalf("kept: %+v, %v", list, err)
	}
	if _, err := r.Answer(t.Context(), a.ID, approve.Once, "", "u"); err != nil {
		t.Fatal(err)
	}
	if list, _ := r.Pending(); len(list) != 0 {
		t.Errorf("still kept: %+v", list)
	}
	if a, err := r.Ask(t.Context(), approve.Request{Action: "act"}, 0); err != nil || a.Decision != approve.Allowance {
		t.Errorf("the next: %+v, %v", a, err)
	}
}

func TestADeferredRequestDoesNotWait(t *testing.T) {
	r := fresh(t)
	a, err := r.Defer(t.Context(), approve.Request{Action: "act"})
	if err != nil || a.Approved || a.Decision != approve.Deferred {
		t.Fatalf("%+v, %v", a, err)
	}
	if a, err = r.Answer(t.Context(), a.ID, approve.Deny, "no", "u"); err != nil || a.Approved {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAnAskerWhoIsGoneIsNotWaitedFor(t *testing.T) {
	r := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := r.Ask(ctx, approve.Request{Action: "act"}, 0)
		done <- err
	}()
	q := <-r.asked
	cancel()
	if err := <-done; !fault.Is(err, fault.Interrupted) {
		t.Errorf("got %v", err)
	}
	if _, err := r.Answer(t.Context(), q.ID, approve.Once, "", "u"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an answer to what was withdrawn: %v", err)
	}
}

func TestAtAStopNobodyIsWaitedForAnyMore(t *testing.T) {
	r := fresh(t)
	kept, err := r.Defer(t.Context(), approve.Request{Action: "kept"})
	if err != nil {
		t.Fatal(err)
	}
	<-r.asked
	done := make(chan error, 1)
	go func() {
		_, err := r.Ask(t.Context(), approve.Request{Action: "act"}, 0)
		done <- err
	}()
	q := <-r.asked
	r.Close("test")
	r.Close("again")
	_, late := r.Ask(t.Context(), approve.Request{Action: "other"}, 0)
	for name, err := range map[string]error{"who waits": <-done, "who comes late": late} {
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "the kernel is stopping (test)") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Answer(t.Context(), q.ID, approve.Once, "", "u"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an answer to what was withdrawn: %v", err)
	}
	if list, err := r.Pending(); err != nil || len(list) != 1 || list[0].ID != kept.ID {
		t.Errorf("kept: %+v, %v", list, err)
	}
	if want := []string{"asked kept", "asked act", `deny act by ""`}; !slices.Equal(r.records, want) {
		t.Errorf("recorded %q", r.records)
	}
}

func TestWhatCannotBeRecordedIsDenied(t *testing.T) {
	r := fresh(t)
	q, done := r.ask(t, "act")
	r.mu.Lock()
	r.full = errors.New("the log is full")
	r.mu.Unlock()
	if _, err := r.Answer(t.Context(), q.ID, approve.Always, "", "u"); !errors.Is(err, r.full) {
		t.Errorf("the answer: %v", err)
	}
	if a := <-done; a.Approved {
		t.Errorf("approved without a record: %+v", a)
	}
	if _, err := r.Ask(t.Context(), approve.Request{Action: "other"}, 0); !errors.Is(err, r.full) {
		t.Errorf("a request that cannot be recorded: %v", err)
	}
	if len(r.allowed) != 0 {
		t.Errorf("remembered %v", r.allowed)
	}
}

func TestTextsAreBoundedAndCannotDraw(t *testing.T) {
	r := fresh(t)
	long := strings.Repeat("é", 2000)
	go func() {
		_, _ = r.Ask(t.Context(), approve.Request{Action: " do\x1b[2J\u202e it\n", Resource: long, Risk: long}, 0)
	}()
	q := <-r.asked
	if q.Action != "do[2J it" || len([]rune(q.Resource)) != approve.MaxResource || len([]rune(q.Risk)) != approve.MaxRisk {
		t.Errorf("announced %q, %d, %d", q.Action, len(q.Resource), len(q.Risk))
	}
	if _, err := r.Answer(t.Context(), q.ID, approve.Deny, "", "u"); err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"", " \n", strings.Repeat("x", approve.MaxAction+1)} {
		if _, err := r.Ask(t.Context(), approve.Request{Action: action}, 0); !fault.Is(err, fault.Usage) {
			t.Errorf("%.10q: %v", action, err)
		}
	}
}

func TestRequestsAreBoundedInNumber(t *testing.T) {
	r := fresh(t)
	var all sync.WaitGroup
	var ids []string
	for i := range approve.MaxWaiting {
		all.Go(func() { _, _ = r.Ask(t.Context(), approve.Request{Action: fmt.Sprint(i)}, 0) })
		ids = append(ids, (<-r.asked).ID)
	}
	if _, err := r.Ask(t.Context(), approve.Request{Action: "one more"}, 0); !fault.Is(err, fault.Limit) {
		t.Errorf("one more: %v", err)
	}
	for _, id := range ids {
		if _, err := r.Answer(t.Context(), id, approve.Deny, "", "u"); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
}
