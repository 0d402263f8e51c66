package question

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a Desk with what it tells.
type room struct {
	*Desk
	asked chan Question

	mu   sync.Mutex
	said []string
	full error
}

func fresh(t *testing.T) *room {
	t.Helper()
	r := &room{asked: make(chan Question, MaxWaiting+1)}
	r.Desk = New(Config{
		Announce: func(q Question, end End) {
			if end == "" {
				r.asked <- q
			}
		},
		Record: func(_ context.Context, q Question, end End, by string) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.full == nil {
				r.said = append(r.said, fmt.Sprintf("%s %s %s", q.Message, end, by))
			}
			return r.full
		},
	})
	t.Cleanup(func() { r.Close("the test is over") })
	return r
}

func form(t *testing.T, schema string) Form {
	t.Helper()
	f, err := ParseForm(json.RawMessage(schema))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const person = `{"type":"object","required":["name","age"],"properties":{
	"age":{"type":"integer","minimum":0},"name":{"type":"string","maxLength":5,"title":"Your\u001b[2J name"},
	"pin":{"type":"string","format":"password","default":"1234"},"likes":{"type":"array","items":{"enum":["a","b"]}},
	"size":{"oneOf":[{"const":"s","title":"small"},{"const":"l"}]}}}`

// ask asks and returns the question as it was announced, and what comes of it.
func (r *room) ask(t *testing.T, ctx context.Context, schema string) (Question, chan error, *Answer) {
	t.Helper()
	done, a := make(chan error, 1), new(Answer)
	f := form(t, schema)
	go func() {
		var err error
		*a, err = r.Ask(ctx, Question{Message: "who", Form: f, Session: "s"})
		done <- err
	}()
	return <-r.asked, done, a
}

func TestAFormIsItsSchema(t *testing.T) {
	fields := form(t, person).Fields
	var got []string
	for _, f := range fields {
		got = append(got, fmt.Sprintf("%s %s %q %v %v %q", f.Name, f.Type, f.Title, f.Options, f.Required, f.Default))
	}
	want := []string{`name string "Your[2J name" [] true ""`, `age integer "" [] true ""`, `likes array "" [a b] false ""`, `pin secret "" [] false ""`, `size  "" [s l] false ""`}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, bad := range []string{`{`, `[]`, `{"type":"string"}`, `{"type":"object","properties":{"a":null}}`, `{"type":"object","properties":{"a":{"pattern":"("}}}`, `{"type":"object","$ref":"http://x/y"}`, strings.Repeat(" ", MaxSchema+1)} {
		if _, err := ParseForm(json.RawMessage(bad)); err == nil {
			t.Errorf("%.60s is taken", bad)
		}
	}
}

func TestAnAnswerFitsAndGoesToWhoAsked(t *testing.T) {
	r := fresh(t)
	q, done, a := r.ask(t, t.Context(), person)
	for what, bad := range map[string]wire.AnswerQuestion{
		"lacks age":       {Values: map[string][]string{"name": {"me"}}},
		"asked for \"x\"": {Values: map[string][]string{"name": {"me"}, "age": {"1"}, "x": {"y"}}},
		"look at name":    {Values: map[string][]string{"name": {"a secret"}, "age": {"1"}}},
		"look at age":     {Content: wire.Raw(`{"name":"me","age":-1}`)},
		"look at likes":   {Content: wire.Raw(`{"name":"me","age":1,"likes":["c"]}`)},
		"type integer":    {Values: map[string][]string{"name": {"me"}, "age": {"a secret"}}},
		"no JSON object":  {Content: wire.Raw(`[1]`)},
		"given 2 times":   {Values: map[string][]string{"name": {"a", "b"}, "age": {"1"}}},
		"bytes":           {Values: map[string][]string{"name": {strings.Repeat("x", MaxAnswer+1)}, "age": {"1"}}},
	} {
		bad.ID = q.ID
		err := r.Answer(t.Context(), bad, "u")
		if err == nil || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", what, err)
		}
	}
	good := wire.AnswerQuestion{ID: q.ID, Values: map[string][]string{"name": {"me"}, "age": {"7"}, "likes": {"a", "b"}}}
	if err := r.Answer(t.Context(), good, "u"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || a.End != Accepted || fmt.Sprint(a.Content) != "map[age:7 likes:[a b] name:me]" {
		t.Errorf("%+v, %v", a, err)
	}
	if err := r.Answer(t.Context(), good, "u"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a second answer: %v", err)
	}
	if want := []string{"who  ", "who accept u"}; !slices.Equal(r.said, want) {
		t.Errorf("recorded %q", r.said)
	}
}

func TestWhoDoesNotAnswerDeclines(t *testing.T) {
	r := fresh(t)
	q, done, a := r.ask(t, t.Context(), person)
	if err := r.Answer(t.Context(), wire.AnswerQuestion{ID: q.ID, Decline: true}, "u"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || a.End != Declined || a.Content != nil {
		t.Errorf("declined: %+v, %v", a, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, done, a = r.ask(t, ctx, person)
	cancel()
	if err := <-done; !fault.Is(err, fault.Interrupted) || a.End != Withdrawn {
		t.Errorf("given up: %+v, %v", a, err)
	}
	q, done, a = r.ask(t, t.Context(), person)
	if len(r.Pending()) != 1 || r.SessionOf(q.ID) != "s" || r.SessionOf("x") != "" {
		t.Errorf("waiting: %+v", r.Pending())
	}
	r.Close("a test")
	if err := <-done; err != nil || a.End != Withdrawn {
		t.Errorf("closed: %+v, %v", a, err)
	}
	if _, err := r.Ask(t.Context(), Question{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after the end: %v", err)
	}
}

func TestQuestionsAreBoundedAndRecorded(t *testing.T) {
	r := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	var all []chan error
	for range MaxWaiting {
		_, done, _ := r.ask(t, ctx, "")
		all = append(all, done)
	}
	if _, err := r.Ask(ctx, Question{}); !fault.Is(err, fault.Limit) {
		t.Errorf("one more: %v", err)
	}
	cancel()
	for _, done := range all {
		<-done
	}
	r.mu.Lock()
	r.full = errors.New("the log is full")
	r.mu.Unlock()
	if _, err := r.Ask(t.Context(), Question{}); !errors.Is(err, r.full) || len(r.Pending()) != 0 {
		t.Errorf("what cannot be recorded: %v", err)
	}
}
