package op_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/op/optest"
	"astrid/kernel/wire"
)

// granted are the rights of the user "u": pairs of session and capability.
type granted map[[2]string]bool

func (g granted) Allowed(user string, need op.Capability, session string) (func() error, error) {
	if user == "u" && g[[2]string{session, need.String()}] {
		return nil, nil
	}
	return nil, errors.New("not granted")
}

// once is a right that is good for one operation.
type once struct{ spent bool }

func (o *once) Allowed(string, op.Capability, string) (func() error, error) {
	if o.spent {
		return nil, errors.New("spent")
	}
	return func() error { o.spent = true; return nil }, nil
}

func TestARightForOneOperationIsSpentByItAlone(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x", "a")
	services, _ := optest.Of(s)
	table := op.New(op.Config{Services: services, Rights: &once{}})
	user := op.Caller{Principal: "u", User: "u"}
	if !table.Sees(user, "x") || !table.Sees(user, "x") {
		t.Error("looking spends it")
	}
	if _, err := table.Do(as(user), op.Commit, wire.Raw(`{"session":1}`), nil); !fault.Is(err, fault.Usage) {
		t.Error(err)
	}
	if _, err := table.Do(as(user), op.Commit, wire.Raw(`{"session":"x"}`), nil); err != nil {
		t.Error(err)
	}
	if _, err := table.Do(as(user), op.Commit, wire.Raw(`{"session":"x"}`), nil); !fault.Is(err, fault.Denied) {
		t.Errorf("a second operation: %v", err)
	}
}

func as(c op.Caller) context.Context { return op.WithCaller(context.Background(), c) }

func twoSessions(t *testing.T, g granted) *op.Table {
	t.Helper()
	s := &optest.Sessions{}
	s.Add("x", "a")
	s.Add("y", "a")
	services, _ := optest.Of(s)
	return op.New(op.Config{Services: services, Rights: g})
}

func TestAUserMayWhatWasGrantedAndNothingElse(t *testing.T) {
	table := twoSessions(t, granted{{"x", "session:read"}: true, {"", "session:list"}: true})
	user := as(op.Caller{Principal: "u", User: "u"})
	for _, e := range table.Entries() {
		for session, allowed := range map[string]bool{"x": e.Need == op.SessionRead, "y": false} {
			if e.Need == op.SessionList {
				allowed = true
			}
			_, err := table.Do(user, e.Method, wire.Raw(`{"session":"`+session+`","dir":"/d"}`), &bytes.Buffer{})
			if denied := fault.Is(err, fault.Denied); denied == allowed && e.Method != op.ApproveCapability {
				t.Errorf("%s of %s: %v", e.Method, session, err)
			}
		}
	}
	list, err := op.Run[wire.None, []wire.Session](user, table, op.List, wire.None{}, nil)
	if err != nil || len(list) != 1 || list[0].Name != "x" {
		t.Errorf("a user who may read x sees %+v, %v", list, err)
	}
}

func TestAnAnswerNeedsTheRightOnTheSessionThatAsked(t *testing.T) {
	for session, want := range map[string]bool{"x": true, "y": false, "": false} {
		table := twoSessions(t, granted{{session, "capability:approve"}: true})
		_, err := table.Do(as(op.Caller{Principal: "u", User: "u"}), op.Approve, wire.Raw(`{"request_id":"1","decision":"approve"}`), nil)
		if (err == nil) != want {
			t.Errorf("approving on %q answers for x: %v", session, err)
		}
	}
}

func TestAConnectionForOneSessionReachesNoOther(t *testing.T) {
	table := twoSessions(t, nil)
	narrow := op.Caller{Principal: op.Owner, User: "u", Session: "x"}
	for _, row := range []struct {
		method, params string
		want           bool
	}{
		{op.Status, `{"session":"x"}`, true}, {op.Status, `{"session":"y"}`, false}, {op.Commit, `{"session":"x"}`, true},
		{op.Version, `{}`, true}, {op.Shutdown, `{}`, false}, {op.Users, `{}`, false}, {op.KVGet, `{}`, false},
		{op.Approve, `{"request_id":"1","decision":"deny"}`, true}, {op.Publish, `{"topic":"a","payload":1}`, false},
		{op.Publish, `{"topic":"a","payload":1,"session":"x"}`, true}, {op.Up, `{"dir":"/d"}`, false},
	} {
		if _, err := table.Do(as(narrow), row.method, wire.Raw(row.params), nil); fault.Is(err, fault.Denied) == row.want {
			t.Errorf("%s %s: %v", row.method, row.params, err)
		}
	}
	list, err := op.Run[wire.None, []wire.Session](as(narrow), table, op.List, wire.None{}, nil)
	if err != nil || len(list) != 1 || list[0].Name != "x" {
		t.Errorf("it sees %+v, %v", list, err)
	}
}

func TestWhatCannotBeRecordedIsNotDone(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x", "a")
	services, _ := optest.Of(s)
	full := errors.New("the log is full")
	table := op.New(op.Config{Services: services, Writable: func() error { return full }})
	if _, err := table.Do(owner(), op.Commit, wire.Raw(`{"session":"x"}`), nil); !errors.Is(err, full) {
		t.Errorf("a commit that cannot be recorded: %v", err)
	}
	if _, err := table.Do(owner(), op.Status, wire.Raw(`{"session":"x"}`), nil); err != nil {
		t.Errorf("a read: %v", err)
	}
	if calls := s.Calls(); len(calls) != 1 {
		t.Errorf("called: %v", calls)
	}
	table = op.New(op.Config{Services: services, Record: func(context.Context, op.Record) error { return full }})
	if _, err := table.Do(owner(), op.Commit, wire.Raw(`{"session":"x"}`), nil); !errors.Is(err, full) {
		t.Errorf("a commit that was done and not recorded: %v", err)
	}
}

func TestADenialIsRecorded(t *testing.T) {
	services, _ := optest.Of(&optest.Sessions{})
	var got []op.Record
	table := op.New(op.Config{Services: services, Record: func(_ context.Context, r op.Record) error { got = append(got, r); return nil }})
	_, _ = table.Do(as(op.Caller{Principal: "v", User: "v"}), op.Version, nil, nil)
	_, _ = table.Do(owner(), op.Version, nil, nil)
	if len(got) != 1 || !fault.Is(got[0].Err, fault.Denied) || got[0].Caller.User != "v" {
		t.Errorf("recorded: %+v", got)
	}
}
