package router

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a router with capsules whose answers the test gives.
type room struct {
	t     *testing.T
	root  string
	bus   *bus.Bus
	heard *bus.Subscription
	all   *capsule.Registry
	r     *Router
	hooks map[string]func(ctx context.Context, payload []byte) ([]byte, error) // by capsule and action

	mu     sync.Mutex
	events []string
	denied []string
}

type unit struct {
	room *room
	id   capsule.ID
}

func (r *room) Start(_ context.Context, f capsule.Found) (capsule.Unit, error) {
	return &unit{r, f.Package.Name}, nil
}

func (u *unit) Ready() <-chan struct{}      { c := make(chan struct{}); close(c); return c }
func (u *unit) Alive() error                { return nil }
func (u *unit) Close(context.Context) error { return nil }
func (u *unit) CancelCalls(ids []string)    { u.room.say("cancel %s %v", u.id, ids) }

func (u *unit) Hook(ctx context.Context, action string, payload []byte) ([]byte, error) {
	u.room.say("%s.%s %s", u.id, action, payload)
	if f := u.room.hooks[string(u.id)+"."+action]; f != nil {
		return f(ctx, payload)
	}
	return nil, nil
}

func (u *unit) Tool(ctx context.Context, name string, arguments []byte) ([]byte, error) {
	u.room.say("%s!%s %s for %s", u.id, name, arguments, host.CallerOf(ctx).Principal)
	switch name {
	case "fail":
		return nil, errors.New("it fails")
	case "wait":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return []byte("done"), nil
}

func (u *unit) Command(_ context.Context, name string, payload []byte) ([]byte, error) {
	return []byte("/" + name + " by " + string(u.id)), nil
}

func (r *room) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *room) said() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// start runs a router over capsules, given by name and the rest of the manifest.
func start(t *testing.T, capsules ...string) *room {
	t.Helper()
	r := &room{t: t, root: t.TempDir(), bus: bus.New(bus.Config{}), hooks: map[string]func(context.Context, []byte) ([]byte, error){}}
	for i := 0; i < len(capsules); i += 2 {
		dir := filepath.Join(r.root, capsules[i])
		text := "[package]\nname = \"" + capsules[i] + "\"\nversion = \"1.0.0\"\n" + capsules[i+1]
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, capsule.ManifestName), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	r.all = capsule.NewRegistry(capsule.Config{Roots: []string{r.root}, Engine: r})
	if _, err := r.all.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := r.all.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	r.r = New(Config{Bus: r.bus, Capsules: r.all, Denied: func(by capsule.ID, c host.Caller, reason string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.denied = append(r.denied, fmt.Sprintf("%s denies %s: %s", by, c.Topic, reason))
	}})
	patterns, err := bus.ParsePatterns([]string{"tool.v1.execute.*", "agent.v1.response", "astrid.v1.event_bus.lagged"})
	if err != nil {
		t.Fatal(err)
	}
	r.heard, err = r.bus.Subscribe(bus.Options{Patterns: patterns, Filter: func(m *bus.Message) bool {
		return strings.HasSuffix(string(m.Topic), ".result") || !strings.HasPrefix(string(m.Topic), "tool.")
	}})
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan error, 1)
	go func() { running <- r.r.Run(context.Background()) }()
	for len(r.bus.Stats().Subscribers) < 2 {
		time.Sleep(time.Millisecond)
	}
	t.Cleanup(func() {
		r.bus.Close()
		if err := <-running; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *room) publish(topic bus.Topic, payload string) {
	r.t.Helper()
	if _, err := r.bus.Publish(bus.Message{Topic: topic, Payload: wire.Raw(payload), Session: "s", Principal: "p"}); err != nil {
		r.t.Fatal(err)
	}
}

// hear waits for what the router publishes.
func (r *room) hear(want string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	m, _, err := r.heard.Next(ctx)
	if got := string(m.Topic) + " " + string(m.Payload); err != nil || got != want || m.Session != "s" || m.Principal != "p" {
		r.t.Errorf("heard %s for %s/%s, %v\nwant  %s", got, m.Session, m.Principal, err, want)
	}
}

// await waits until the capsules were called as told.
func (r *room) await(want ...string) {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if len(r.said()) >= len(want) {
			break
		}
	}
	if got := r.said(); !slices.Equal(got, want) {
		r.t.Errorf("called %q\nwant   %q", got, want)
	}
}

func interceptor(event, action, more string) string {
	return "[[interceptor]]\nevent = \"" + event + "\"\naction = \"" + action + "\"\n" + more
}

const readTool = "[[tool]]\nname = \"read\"\ndescription = \"reads\"\ninput_schema = {}\n"

func request(tool, arguments string) string {
	return `{"type":"tool_execute_request","call_id":"c1","tool_name":"` + tool + `","arguments":` + arguments + `}`
}

func result(tool, content string, failed bool) string {
	return fmt.Sprintf(`tool.v1.execute.%s.result {"type":"tool_execute_result","call_id":"c1","result":{"call_id":"c1","content":%q,"is_error":%t}}`, tool, content, failed)
}

func TestAToolIsCalledAndItsResultPublished(t *testing.T) {
	r := start(t, "a", readTool+"[[tool]]\nname = \"fail\"\ndescription = \"fails\"\ninput_schema = {}\n")
	r.publish("tool.v1.execute.read", request("read", `{"x":1}`))
	r.hear(result("read", "done", false))
	r.publish("tool.v1.execute.fail", request("fail", `{}`))
	r.hear(result("fail", "it fails", true))
	r.publish("tool.v1.execute.none", request("none", `{}`))
	r.hear(result("none", "no capsule that is loaded has the tool none", true))
	r.await(`a!read {"x":1} for p`, `a!fail {} for p`)
}

// Who only looks on does not keep the caller of a tool that is not there waiting.
func TestAToolThatNobodyHasIsAnsweredAfterInterceptors(t *testing.T) {
	r := start(t, "a", interceptor("tool.v1.*", "hear", ""))
	r.publish("tool.v1.execute.none", request("none", `{}`))
	r.hear(result("none", "no capsule that is loaded has the tool none", true))
}

func TestInterceptorsRunByPriorityAndRewrite(t *testing.T) {
	r := start(t,
		"a", readTool,
		"b", interceptor("tool.v1.execute.*", "late", "priority = 200\n")+interceptor("tool.v1.execute.read", "first", "priority = 1\n"),
		"c", interceptor("tool.v1.*", "middle", ""))
	r.hooks["b.first"] = func(context.Context, []byte) ([]byte, error) {
		return []byte("\x00" + request("read", `{"x":2}`)), nil
	}
	r.hooks["c.middle"] = func(context.Context, []byte) ([]byte, error) { return nil, errors.New("broken") }
	r.hooks["b.late"] = func(context.Context, []byte) ([]byte, error) { return []byte(`{"answer":"of 0.2"}`), nil }
	r.publish("tool.v1.execute.read", request("read", `{"x":1}`))
	r.hear(result("read", "done", false))
	one, two := request("read", `{"x":1}`), request("read", `{"x":2}`)
	events := slices.DeleteFunc(r.said(), func(s string) bool { return strings.Contains(s, "tool_execute_result") })
	want := []string{"b.first " + one, "c.middle " + two, "b.late " + two, `a!read {"x":2} for p`}
	if !slices.Equal(events, want) {
		t.Errorf("called %q", events)
	}
}

func TestADenialIsTheEndAndIsTold(t *testing.T) {
	r := start(t, "a", readTool, "b", interceptor("tool.v1.execute.read", "guard", ""), "c", interceptor("tool.v1.execute.read", "after", "priority = 200\n"))
	r.hooks["b.guard"] = func(context.Context, []byte) ([]byte, error) { return []byte("\x02not today"), nil }
	r.publish("tool.v1.execute.read", request("read", `{}`))
	r.hear(result("read", "denied by the capsule b: not today", true))
	r.await("b.guard " + request("read", `{}`))
	if want := []string{"b denies tool.v1.execute.read: not today"}; !slices.Equal(r.denied, want) {
		t.Errorf("recorded %q", r.denied)
	}
}

func TestFinalIsTheEndWithoutADenial(t *testing.T) {
	r := start(t, "a", interceptor("x.y", "one", "priority = 1\n"), "b", interceptor("x.y", "two", "")+interceptor("x.z", "end", ""))
	r.hooks["a.one"] = func(context.Context, []byte) ([]byte, error) { return []byte{1}, nil }
	r.publish("x.y", `{"type":"custom","data":{"q":1}}`)
	r.await(`a.one {"q":1}`)
	r.publish("x.z", `{"type":"custom","data":1}`)
	r.await(`a.one {"q":1}`, `b.end 1`)
}

// A capsule that answers its tool's topic itself, as 0.2 capsules had to, is not
// called twice.
func TestACapsuleWithItsOwnInterceptorIsNotBridged(t *testing.T) {
	r := start(t, "a", readTool+interceptor("tool.v1.execute.read", "mine", ""))
	r.publish("tool.v1.execute.read", request("read", `{}`))
	r.publish("x.end", `{"type":"connect"}`)
	r.await("a.mine " + request("read", `{}`))
}

// Who guards all tools keeps its own.
func TestACapsuleThatInterceptsAPatternIsStillCalled(t *testing.T) {
	r := start(t, "a", readTool+interceptor("tool.v1.execute.*", "guard", ""))
	r.publish("tool.v1.execute.read", request("read", `{}`))
	r.hear(result("read", "done", false))
}

func TestACommandAnswersTheUser(t *testing.T) {
	r := start(t, "a", "[[command]]\nname = \"greet\"\n")
	r.publish("cli.v1.command.execute", `{"type":"user_input","text":"/greet all","session_id":"chat"}`)
	r.hear(`agent.v1.response {"type":"agent_response","text":"/greet by a","is_final":true,"session_id":"chat"}`)
}

func TestACancelledCallEnds(t *testing.T) {
	r := start(t, "a", "[[tool]]\nname = \"wait\"\ndescription = \"waits\"\ninput_schema = {}\n")
	r.publish("tool.v1.execute.wait", request("wait", `{}`))
	r.await("a!wait {} for p")
	r.publish("tool.v1.request.cancel", `{"type":"tool_cancel_request","call_ids":["c1"]}`)
	r.hear(result("wait", "context canceled", true))
}

// D4: messages of one topic reach a capsule in the order of the bus.
func TestOrderIsKept(t *testing.T) {
	r := start(t, "a", interceptor("s.v1.delta", "hear", ""))
	var want []string
	for i := range 200 {
		r.publish("s.v1.delta", fmt.Sprintf(`{"type":"custom","data":%d}`, i))
		want = append(want, fmt.Sprintf("a.hear %d", i))
	}
	r.await(want...)
}

func TestASlowCapsuleHoldsUpNobodyAndItsLossIsTold(t *testing.T) {
	r := start(t, "a", interceptor("s.v1.*", "slow", ""), "b", interceptor("s.v1.end", "quick", ""))
	gate := make(chan struct{})
	r.hooks["a.slow"] = func(context.Context, []byte) ([]byte, error) { <-gate; return nil, nil }
	for range QueueLength + 50 {
		r.publish("s.v1.x", `{"type":"connect"}`)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if m, _, err := r.heard.Next(ctx); err != nil || m.Topic != "astrid.v1.event_bus.lagged" {
		t.Errorf("heard %s, %v", m.Topic, err)
	}
	for r.r.Lost() < 49 {
		time.Sleep(time.Millisecond)
	}
	close(gate)
}

func TestATriggerAsksAllOthers(t *testing.T) {
	r := start(t, "a", interceptor("h.v1", "one", ""), "b", interceptor("h.v1", "two", ""), "c", interceptor("h.v1", "three", "priority = 1\n"))
	r.hooks["a.one"] = func(context.Context, []byte) ([]byte, error) { return []byte(`{"self":true}`), nil }
	r.hooks["b.two"] = func(_ context.Context, p []byte) ([]byte, error) { return p, nil }
	r.hooks["c.three"] = func(context.Context, []byte) ([]byte, error) { return []byte("no JSON"), nil }
	got := r.r.Trigger(t.Context(), "a", "h.v1", wire.Raw(`{"q":1}`))
	if len(got) != 1 || string(got[0]) != `{"q":1}` {
		t.Errorf("got %s", got)
	}
}

// say02 is what a capsule publishes on the topic of a tool's results.
func (r *room) say02(by, tool, id, content string) error {
	r.t.Helper()
	source := ""
	for _, s := range r.all.List() {
		if string(s.Package.Name) == by {
			source = s.Source
		}
	}
	payload := fmt.Sprintf(`{"type":"tool_execute_result","call_id":%q,"result":{"call_id":%q,"content":%q,"is_error":false}}`, id, id, content)
	return r.r.Result(bus.Message{Topic: bus.Topic("tool.v1.execute." + tool + ".result"), Payload: wire.Raw(payload), Source: source})
}

func (r *room) call(tool string) (wire.ToolResult, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	return r.r.Call(ctx, bus.Message{Session: "s", Principal: "p"}, tool, wire.Raw(`{}`))
}

func TestACallGetsItsResult(t *testing.T) {
	r := start(t, "a", readTool)
	if got, err := r.call("read"); err != nil || got != (wire.ToolResult{Content: "done"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, name := range []string{"result", "read.result"} {
		if _, err := r.call(name); !fault.Is(err, fault.Usage) {
			t.Errorf("the tool %s: %v", name, err)
		}
	}
	if got, err := r.call("none"); err != nil || !got.IsError || !strings.Contains(got.Content, "no capsule that is loaded has the tool none") {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Whoever hears of a call cannot answer it, nor have it answered in another way.
func TestAResultCannotBeForged(t *testing.T) {
	r := start(t, "a", readTool+interceptor("tool.v1.execute.own", "serve", ""), "b", interceptor("tool.v1.execute.read", "spy", ""), "c", interceptor("x.end", "seen", ""))
	taken := make(chan struct{}, 2)
	r.hooks["c.seen"] = func(context.Context, []byte) ([]byte, error) { taken <- struct{}{}; return nil, nil }
	r.hooks["b.spy"] = func(ctx context.Context, _ []byte) ([]byte, error) {
		id := host.CallerOf(ctx).CallID
		if err := r.say02("b", "read", id, "forged"); !fault.Is(err, fault.Denied) {
			t.Errorf("a forged result: %v", err)
		}
		r.publish("tool.v1.execute.read", strings.Replace(request("read", `{"evil":true}`), "c1", id, 1))
		r.publish("x.end", `{"type":"connect"}`)
		<-taken // the call before it is, too
		return nil, nil
	}
	r.hooks["a.serve"] = func(ctx context.Context, _ []byte) ([]byte, error) {
		id := host.CallerOf(ctx).CallID
		if err := r.say02("b", "own", id, "forged"); !fault.Is(err, fault.Denied) {
			t.Errorf("a forged result: %v", err)
		}
		return []byte{1}, errors.Join(r.say02("a", "own", "other", "stray"), r.say02("a", "own", id, "served"), r.say02("a", "own", id, "twice"))
	}
	for tool, want := range map[string]string{"read": "done", "own": "served"} {
		if got, err := r.call(tool); err != nil || got != (wire.ToolResult{Content: want}) {
			t.Errorf("%s: got %+v, %v", tool, got, err)
		}
	}
	if slices.ContainsFunc(r.said(), func(s string) bool { return strings.Contains(s, "a!read") && strings.Contains(s, "evil") }) {
		t.Errorf("a call with the id of another was made: %q", r.said())
	}
}

// What an interceptor makes of a result is what everybody gets.
func TestAResultIsChangedOrRefusedForEverybody(t *testing.T) {
	r := start(t, "a", readTool, "b", interceptor("tool.v1.execute.read.result", "guard", ""), "c", interceptor("tool.v1.execute.*", "after", "priority = 200\n"))
	answers := []struct{ hook, content, heard string }{
		{"\x00" + `{"call_id":"x","result":{"content":"changed"}}`, "changed", "changed"},
		{"\x01", "done", "done"},
		{"\x02secret", "denied by the capsule b: secret", ""},
		{"\x00" + `{"no":"result"}`, "an interceptor made of the result what is none", ""},
	}
	for _, a := range answers {
		r.hooks["b.guard"] = func(context.Context, []byte) ([]byte, error) { return []byte(a.hook), nil }
		got, err := r.call("read")
		if err != nil || got.Content != a.content || got.IsError != (a.heard == "") {
			t.Errorf("%q: got %+v, %v", a.hook, got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		m, _, err := r.heard.Next(ctx)
		cancel()
		if !strings.Contains(string(m.Payload), fmt.Sprintf("%q", a.content)) {
			t.Errorf("%q: heard %s, %v", a.hook, m.Payload, err)
		}
	}
}

func TestACallThatAnInterceptorEndsIsAnswered(t *testing.T) {
	r := start(t, "a", readTool, "b", interceptor("tool.v1.execute.*", "stop", ""))
	r.hooks["b.stop"] = func(ctx context.Context, _ []byte) ([]byte, error) { return []byte{1}, nil }
	if got, err := r.call("read"); err != nil || got.Content != "the capsule b has let the call go no further" || !got.IsError {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWhoGoesAwayCancelsItsCall(t *testing.T) {
	r := start(t, "a", "[[tool]]\nname = \"wait\"\ndescription = \"waits\"\ninput_schema = {}\n")
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := r.r.Call(ctx, bus.Message{Session: "s", Principal: "p"}, "wait", wire.Raw(`{}`))
		failed <- err
	}()
	r.await("a!wait {} for p")
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the call: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if m, _, err := r.heard.Next(ctx); err != nil || !strings.Contains(string(m.Payload), "context canceled") {
		t.Errorf("heard %s, %v", m.Payload, err)
	}
}

// Calls that nobody answers are bounded, and a capsule that does not keep up keeps
// no caller waiting.
func TestCallsWithoutAResultAreBounded(t *testing.T) {
	r := start(t, "a", interceptor("tool.v1.execute.own", "take", ""))
	r.hooks["a.take"] = func(context.Context, []byte) ([]byte, error) { return []byte{1}, nil }
	full := func() bool {
		r.r.mu.Lock()
		defer r.r.mu.Unlock()
		return len(r.r.calls) >= MaxCalls
	}
	for i := 0; !full(); i++ {
		r.publish("tool.v1.execute.own", strings.Replace(request("own", "{}"), "c1", fmt.Sprint("c", i), 1))
		for len(r.said()) <= i && !full() {
			time.Sleep(10 * time.Microsecond)
		}
	}
	if got, err := r.call("own"); err != nil || !got.IsError || !strings.Contains(got.Content, "too many tool calls wait") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAFullQueueIsAnswered(t *testing.T) {
	r := start(t, "a", readTool+interceptor("s.v1", "slow", ""))
	gate := make(chan struct{})
	r.hooks["a.slow"] = func(context.Context, []byte) ([]byte, error) { <-gate; return nil, nil }
	r.publish("s.v1", `{"type":"connect"}`)
	for len(r.said()) == 0 { // it has taken that
		time.Sleep(time.Millisecond)
	}
	for range QueueLength {
		r.publish("s.v1", `{"type":"connect"}`)
	}
	if got, err := r.call("read"); err != nil || got.Content != "the capsule a does not keep up with its messages" {
		t.Errorf("got %+v, %v", got, err)
	}
	close(gate)
}
