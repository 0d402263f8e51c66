package op_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/op/optest"
	"astrid/kernel/wire"
)

func owner() context.Context {
	return op.WithCaller(context.Background(), op.Caller{Principal: op.Owner, Door: op.DoorSocket})
}

func TestEveryEntryIsComplete(t *testing.T) {
	table, _ := optest.New(&optest.Sessions{})
	if len(table.Entries()) < 50 {
		t.Errorf("only %d entries", len(table.Entries()))
	}
	for _, e := range table.Entries() {
		if e.Need == op.Deny || e.Need.String() == "deny" {
			t.Errorf("%s needs no capability", e.Method)
		}
		if e.Doc == "" || e.Status == "" {
			t.Errorf("%s is not described: %+v", e.Method, e)
		}
		if _, has := jsonSession(e.Params); has && !must(e) && !may(e) {
			t.Errorf("%s: the session in %v is never checked", e.Method, e.Params)
		}
	}
}

// must tells whether the params must name a session; may, whether they can.
func must(e *op.Entry) bool {
	_, ok := reflect.Zero(e.Params).Interface().(interface{ SessionName() string })
	return ok
}

func may(e *op.Entry) bool {
	_, ok := reflect.Zero(e.Params).Interface().(interface{ SessionIfAny() string })
	return ok
}

func jsonSession(params reflect.Type) (reflect.StructField, bool) {
	return params.FieldByNameFunc(func(n string) bool { return n == "Session" })
}

func TestCapabilityNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range op.AllCapabilities() {
		if seen[c.String()] {
			t.Errorf("%s twice", c)
		}
		seen[c.String()] = true
	}
	if seen["deny"] || seen[""] || len(seen) < 20 {
		t.Errorf("%v", seen)
	}
}

func TestNobodyIsDeniedEverything(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x")
	table, _ := optest.New(s)
	stranger := op.WithCaller(context.Background(), op.Caller{Principal: "somebody", Door: op.DoorSocket})
	for name, ctx := range map[string]context.Context{"no caller": context.Background(), "a stranger": stranger} {
		for _, e := range table.Entries() {
			if _, err := table.Do(ctx, e.Method, wire.Raw(`{"session":"x"}`), &bytes.Buffer{}); !fault.Is(err, fault.Denied) {
				t.Errorf("%s: %s answers %v", name, e.Method, err)
			}
		}
	}
	if calls := s.Calls(); len(calls) != 0 {
		t.Errorf("handlers ran: %v", calls)
	}
}

func TestEverySessionNameIsChecked(t *testing.T) {
	s := &optest.Sessions{}
	table, _ := optest.New(s)
	for _, e := range table.Entries() {
		if _, has := jsonSession(e.Params); !has {
			continue
		}
		for _, bad := range []string{"../x", "system.sock", "ctl", "A", strings.Repeat("x", 33), "a/b"} {
			params := fmt.Sprintf(`{"session":%q,"dir":"/d"}`, bad)
			if _, err := table.Do(owner(), e.Method, wire.Raw(params), &bytes.Buffer{}); !fault.Is(err, fault.Usage) {
				t.Errorf("%s of %q: %v", e.Method, bad, err)
			}
		}
		if may(e) {
			continue
		}
		if _, err := table.Do(owner(), e.Method, nil, &bytes.Buffer{}); !fault.Is(err, fault.Usage) {
			t.Errorf("%s without a session: %v", e.Method, err)
		}
	}
	if calls := s.Calls(); len(calls) != 0 {
		t.Errorf("handlers ran: %v", calls)
	}
}

func TestOperationsReachTheSessions(t *testing.T) {
	s := &optest.Sessions{PatchText: []byte("a patch")}
	s.Add("x", "a", "b")
	table, k := optest.New(s)
	var out bytes.Buffer
	for _, c := range []struct{ method, params string }{
		{op.Up, `{"dir":"/d/Proj"}`}, {op.Status, `{"session":"x"}`}, {op.Changes, `{"session":"x","paths":["a"]}`},
		{op.Patch, `{"session":"x"}`}, {op.Commit, `{"session":"x","paths":["a"],"if":"d0"}`}, {op.Discard, `{"session":"x"}`},
		{op.Recover, `{"session":"x"}`}, {op.Down, `{"session":"x"}`}, {op.Remove, `{"session":"x"}`}, {op.List, `{}`}, {op.List, ``},
	} {
		var params wire.Raw
		if c.params != "" {
			params = wire.Raw(c.params)
		}
		if _, err := table.Do(owner(), c.method, params, &out); err != nil {
			t.Errorf("%s: %v", c.method, err)
		}
	}
	want := "[up proj status x changes x patch x commit x discard x recover x down x rm x]"
	if got := fmt.Sprint(s.Calls()); got != want || out.String() != "a patch" {
		t.Errorf("got %s, patch %q", got, out.String())
	}
	if _, err := op.Run[wire.ShutdownRequest, wire.ShutdownReply](owner(), table, op.Shutdown, wire.ShutdownRequest{Reason: "test"}, nil); err != nil {
		t.Error(err)
	}
	if got := <-k.Stop; got != "test" {
		t.Errorf("stopped because %q", got)
	}
	if done, failed := table.Counts(); done != 12 || failed != 0 {
		t.Errorf("counted %d and %d", done, failed)
	}
}

func TestRunIsTyped(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x")
	table, _ := optest.New(s)
	status, err := op.Run[wire.For[wire.None], wire.Status](owner(), table, op.Status, wire.For[wire.None]{Session: "x"}, nil)
	if err != nil || status.Name != "x" {
		t.Errorf("%+v, %v", status, err)
	}
	if _, err := op.Run[wire.None, wire.Status](owner(), table, op.Status, wire.None{}, nil); !fault.Is(err, fault.Internal) {
		t.Errorf("wrong params: %v", err)
	}
	if _, err := op.Run[wire.For[wire.None], wire.None](owner(), table, op.Status, wire.For[wire.None]{Session: "x"}, nil); !fault.Is(err, fault.Internal) {
		t.Errorf("wrong reply: %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x")
	table, _ := optest.New(s)
	for name, c := range map[string]struct {
		method, params string
		want           fault.Kind
	}{
		"an unknown method":         {"frobnicate", `{}`, fault.Unsupported},
		"names are case-exact":      {"Status", `{"session":"x"}`, fault.Unsupported},
		"params of a wrong shape":   {op.Status, `[]`, fault.Usage},
		"a wrong type":              {op.Commit, `{"session":"x","paths":1}`, fault.Usage},
		"a duplicate name":          {op.Commit, `{"session":"x","session":"x"}`, fault.Usage},
		"a bad git word":            {op.Commit, `{"session":"x","git":"maybe"}`, fault.Usage},
		"a relative workspace":      {op.Up, `{"dir":"d"}`, fault.Usage},
		"no workspace":              {op.Up, `{}`, fault.Usage},
		"a mangled workspace":       {op.Up, `{"dir":"/\ufffd"}`, fault.Usage},
		"no such session":           {op.Status, `{"session":"y"}`, fault.NotFound},
		"a stream without a sink":   {op.Patch, `{"session":"x"}`, fault.Internal},
		"approve what nobody asked": {op.ApproveCapability, `{"request_id":"r","signature":"s"}`, fault.NotFound},
	} {
		if _, err := table.Do(owner(), c.method, wire.Raw(c.params), nil); !fault.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRateIsASlidingMinute(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var records []op.Record
	services, _ := optest.Of(&optest.Sessions{})
	table := op.New(op.Config{
		Services: services, Now: func() time.Time { return now },
		Record: func(_ context.Context, r op.Record) error { records = append(records, r); return nil },
	})
	reload := func() error { _, err := table.Do(owner(), op.ReloadCapsules, nil, nil); return err }
	for i := range 5 {
		if err := reload(); err != nil {
			t.Fatalf("reload %d: %v", i, err)
		}
		now = now.Add(10 * time.Second)
	}
	err := reload()
	if !fault.Is(err, fault.Limit) || err.Error() != "Rate limited: max 5 ReloadCapsules requests per minute" {
		t.Errorf("the sixth: %v", err)
	}
	now = now.Add(10 * time.Second) // a minute after the first
	if err := reload(); err != nil {
		t.Errorf("after the window has moved: %v", err)
	}
	if err := reload(); !fault.Is(err, fault.Limit) {
		t.Errorf("only one had left the window: %v", err)
	}
	if len(records) != 8 || records[5].Err == nil || records[0].Method != op.ReloadCapsules || records[0].Caller.Door != op.DoorSocket {
		t.Errorf("audited: %+v", records)
	}
}

type panicking struct{ op.Sessions }

func (panicking) Status(context.Context, string) (wire.Status, error) { panic("a defect") }

func TestAPanicIsAnError(t *testing.T) {
	ended := 0
	services, _ := optest.Of(panicking{})
	table := op.New(op.Config{Services: services, Ended: func(string, error) { ended++ }})
	for range 2 {
		if _, err := table.Do(owner(), op.Status, wire.Raw(`{"session":"x"}`), nil); !fault.Is(err, fault.Internal) {
			t.Errorf("got %v", err)
		}
	}
	if ended != 2 {
		t.Errorf("%d operations ended", ended)
	}
}

func TestClosing(t *testing.T) {
	s := &optest.Sessions{Gate: make(chan struct{})}
	s.Add("x")
	table, _ := optest.New(s)
	seen := table.Started()
	result := make(chan error)
	go func() {
		_, err := table.Do(owner(), op.Status, wire.Raw(`{"session":"x"}`), nil)
		result <- err
	}()
	s.Gate <- struct{}{}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if table.CloseIfIdle(seen, "idle") {
		t.Error("closed although an operation had begun")
	}
	if !table.CloseIfIdle(table.Started(), "nothing to do") || table.Closed() != "nothing to do" {
		t.Error("not closed")
	}
	table.Close("later")
	if _, err := table.Do(owner(), op.Version, nil, nil); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "nothing to do") {
		t.Errorf("a closed table answers %v", err)
	}
}
