package host

import (
	"context"
	"slices"
	"strings"
	"testing"

	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/question"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

func TestADraftCountsOnceItIsKept(t *testing.T) {
	s := storetest.Open(t, t.TempDir(), nil)
	base := storetest.Space(t, s, store.Capsule("demo"), store.SpaceOptions{})
	for _, key := range []string{"a", "b", "c/1", "c/2"} {
		if err := base.Set(key, []byte("old "+key)); err != nil {
			t.Fatal(err)
		}
	}
	d := NewDraft(base)
	if err := d.Set("a", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := d.Set("d", nil); err != nil {
		t.Fatal(err)
	}
	if there, err := d.Delete("b"); !there || err != nil {
		t.Errorf("delete: %v, %v", there, err)
	}
	if there, err := d.Delete("b"); there || err != nil {
		t.Errorf("delete again: %v, %v", there, err)
	}
	if n, err := d.Clear("c/"); n != 2 || err != nil {
		t.Errorf("clear: %d, %v", n, err)
	}
	if _, err := d.Get("b"); !fault.Is(err, fault.NotFound) {
		t.Errorf("what is deleted: %v", err)
	}
	for key, want := range map[string]bool{"a": true, "b": false, "c/1": false, "d": true, "e": false} {
		if there, err := d.Exists(key); there != want || err != nil {
			t.Errorf("%s is there: %v, %v", key, there, err)
		}
	}
	if got, err := d.List(""); !slices.Equal(got, []string{"a", "d"}) || err != nil {
		t.Errorf("the draft has %v, %v", got, err)
	}
	if got, err := base.List(""); len(got) != 4 || err != nil {
		t.Errorf("the store has %v, %v before it is kept", got, err)
	}
	if err := Keep(d, NewDraft(base)); err != nil {
		t.Fatal(err)
	}
	if got, err := base.List(""); !slices.Equal(got, []string{"a", "d"}) || err != nil {
		t.Errorf("the store has %v, %v", got, err)
	}
	if v, err := base.Get("a"); string(v) != "new" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

func TestADraftIsBounded(t *testing.T) {
	d := NewDraft(storetest.Space(t, storetest.Open(t, t.TempDir(), nil), store.Capsule("demo"), store.SpaceOptions{}))
	if err := d.Set("a", make([]byte, maxDraft)); !fault.Is(err, fault.Limit) {
		t.Errorf("a large value: %v", err)
	}
	if err := d.Set("", nil); err == nil {
		t.Error("no key is one")
	}
}

func TestAHookAsks(t *testing.T) {
	b := newBench(t, capsule.Capabilities{})
	if _, err := b.call("astrid_elicit", `{"type":"text","key":"a"}`); !fault.Is(err, fault.Denied) {
		t.Errorf("a capsule that runs: %v", err)
	}
	end, value := question.Accepted, any("x")
	b.Elicit = func(_ context.Context, q question.Question) (question.Answer, error) {
		if b.paused != 1 {
			t.Error("the clock runs while a person thinks")
		}
		return question.Answer{End: end, Content: map[string]any{q.Form.Fields[0].Name: value}}, nil
	}
	for request, want := range map[string]string{
		`{"type":"text","key":"a","description":"d"}`:      `{"value":"x"}`,
		`{"type":"secret","key":"token","default":"none"}`: `{"ok":true}`,
		`{"type":"select","key":"a","options":["x","y"]}`:  `{"value":"x"}`,
		`{"type":"array","key":"a"}`:                       `{"values":"x"}`,
	} {
		if got, err := b.call("astrid_elicit", request); got != want || err != nil {
			t.Errorf("%s: %s, %v", request, got, err)
		}
	}
	if got, err := b.call("astrid_has_secret", `{"key":"token"}`); got != `{"exists":true}` || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{`{"type":"text","key":""}`, `{"type":"text","key":"a:b"}`, `{"type":"odd","key":"a"}`, `{"type":"select","key":"a"}`, `{"type":"text","key":"` + strings.Repeat("x", 300) + `"}`, `[]`} {
		if _, err := b.call("astrid_elicit", bad); !fault.Is(err, fault.Usage) {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
	end = question.Declined
	if _, err := b.call("astrid_elicit", `{"type":"text","key":"a"}`); err == nil || !strings.Contains(err.Error(), "user cancelled elicit request") {
		t.Errorf("declined: %v", err)
	}
	end = question.TimedOut
	if _, err := b.call("astrid_elicit", `{"type":"text","key":"a"}`); err == nil || !strings.Contains(err.Error(), "timed out") {
		t.Errorf("nobody answers: %v", err)
	}
}
