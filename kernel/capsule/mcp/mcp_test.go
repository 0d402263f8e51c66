package mcp

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"astrid/kernel/fault"
)

// world is a server whose programs are processes of the test binary.
type world struct {
	*testing.T
	*Server
	ended chan error // by Disconnected
	log   *lines

	mu               sync.Mutex
	now              time.Time
	started, stopped int
	mode             string
}

func newWorld(t *testing.T, mode string, c Config) *world {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return launching(t, mode, c, func(mode string) []string { return []string{self, asServer, mode} })
}

// launching is a world whose programs are those of argv.
func launching(t *testing.T, mode string, c Config, argv func(mode string) []string) *world {
	t.Helper()
	w := &world{T: t, mode: mode, ended: make(chan error, 100), log: &lines{}, now: time.Unix(1_800_000_000, 0)}
	c.Capsule, c.Server = "notes", "memo"
	c.Launch = func(ctx context.Context, _ string, stdin, stdout, stderr *os.File) error {
		w.mu.Lock()
		w.started++
		args := argv(w.mode)
		w.mu.Unlock()
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
		cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
		err := cmd.Run()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stopped++
		return err
	}
	c.Disconnected = func(_ string, reason error) { w.ended <- reason }
	c.Log = slog.New(slog.NewTextHandler(w.log, nil))
	c.Now = func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
	w.Server = New(c)
	t.Cleanup(w.check)
	return w
}

// check closes the server and tells whether anything is left.
func (w *world) check() {
	for range 2 {
		if err := w.Close(context.Background()); err != nil {
			w.Error(err)
		}
	}
	if _, err := w.Call(context.Background(), "s", "echo", nil); !fault.Is(err, fault.NotRunning) {
		w.Errorf("a call after the end: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started != w.stopped || len(w.children) != 0 {
		w.Errorf("%d programs were started, %d ended, %d are known", w.started, w.stopped, len(w.children))
	}
}

func (w *world) become(mode string) { w.mu.Lock(); defer w.mu.Unlock(); w.mode = mode }

func (w *world) pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

func (w *world) starts() int { w.mu.Lock(); defer w.mu.Unlock(); return w.started }

// call calls a tool that answers.
func (w *world) call(session, tool, arguments string) string {
	w.Helper()
	out, err := w.Call(w.Context(), session, tool, []byte(arguments))
	if err != nil {
		w.Fatalf("%s: %v", tool, err)
	}
	return string(out)
}

// refused calls a tool that must fail in the way that is named.
func (w *world) refused(tool string, kind fault.Kind, words ...string) {
	w.Helper()
	_, err := w.Call(w.Context(), "s", tool, nil)
	w.isFault(err, kind, words...)
}

func (w *world) isFault(err error, kind fault.Kind, words ...string) {
	w.Helper()
	if !fault.Is(err, kind) {
		w.Errorf("%v (%v), want kind %v", err, fault.KindOf(err), kind)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.Errorf("%q does not say %q", err, word)
		}
	}
	if len(err.Error()) > 2*maxErrorText {
		w.Errorf("the error has %d bytes", len(err.Error()))
	}
}

// lines is a log that can be waited for.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	news chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
	return l.text.Write(p)
}

func (l *lines) await(ctx context.Context, text string) {
	for {
		l.mu.Lock()
		if strings.Contains(l.text.String(), text) {
			l.mu.Unlock()
			return
		}
		if l.news == nil {
			l.news = make(chan struct{})
		}
		news := l.news
		l.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return
		}
	}
}

func TestToolsAreListedOverAllPagesAndCalled(t *testing.T) {
	connected := make(chan string, 1)
	w := newWorld(t, "good", Config{Connected: func(session, protocol string) { connected <- session + " " + protocol }})
	tools, err := w.Tools(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := <-connected; got != " 2025-11-25" {
		t.Errorf("connected as %q", got)
	}
	i := slices.IndexFunc(tools, func(t Tool) bool { return t.Name == "echo" })
	if len(tools) != 12 || i < 0 || tools[i].Description != "the tool echo" || string(tools[i].InputSchema) != `{"type":"object"}` {
		t.Errorf("%d tools: %+v", len(tools), tools)
	}
	for _, c := range []struct{ tool, arguments, want string }{
		{"echo", `{"a": 1.50}`, `{"a":1.50}`},
		{"echo", "", "{}"},
		{"echo", "null", "{}"},
		{"structured", "", `{"answer":42}`},
		{"picture", "", `[{"type":"image","mimeType":"image/png","data":"cG5n"}]`},
	} {
		if got := strings.ReplaceAll(w.call("", c.tool, c.arguments), " ", ""); got != c.want {
			t.Errorf("%s(%s) = %q, want %q", c.tool, c.arguments, got, c.want)
		}
	}
	if n := w.starts(); n != 1 {
		t.Errorf("%d programs were started", n)
	}
}

func TestCallsThatFailSayWhyAndTheProgramGoesOn(t *testing.T) {
	w := newWorld(t, "good", Config{})
	w.refused("fail", fault.Usage, "the tool fail failed: no such page", "…")
	w.refused("nonesuch", fault.Usage, "memo", "notes", "nonesuch")
	w.refused("big", fault.Limit, "ask for less")
	w.refused("sample", fault.Usage, "sampling")
	_, err := w.Call(t.Context(), "s", "echo", []byte(`[1]`))
	w.isFault(err, fault.Usage, "JSON object")
	_, err = w.Call(t.Context(), "s", "echo", make([]byte, MaxArguments+1))
	w.isFault(err, fault.Limit)
	w.call("s", "echo", `{"a":"`+strings.Repeat("x", MaxArguments-8)+`"}`)
	if err := w.Alive(); err != nil || w.starts() != 1 {
		t.Errorf("%v after %d starts", err, w.starts())
	}
}

func TestResourcesAndPrompts(t *testing.T) {
	w := newWorld(t, "good", Config{})
	resources, err := w.Resources(t.Context(), "s")
	if err != nil || len(resources) != 1 || resources[0] != (Resource{URI: "memo:1", Name: "memo", MIMEType: "text/plain"}) {
		t.Errorf("%+v, %v", resources, err)
	}
	if text, err := w.ReadResource(t.Context(), "s", "memo:1"); err != nil || string(text) != "milk\nbread" {
		t.Errorf("%q, %v", text, err)
	}
	prompts, err := w.Prompts(t.Context(), "s")
	if err != nil || len(prompts) != 1 || prompts[0].Name != "greet" || !slices.Equal(prompts[0].Arguments, []string{"who"}) {
		t.Errorf("%+v, %v", prompts, err)
	}
	if text, err := w.GetPrompt(t.Context(), "s", "greet", map[string]string{"who": "ann"}); err != nil || !strings.Contains(string(text), "hello ann") {
		t.Errorf("%s, %v", text, err)
	}
	_, err = w.ReadResource(t.Context(), "s", "memo:2")
	w.isFault(err, fault.Usage, "memo:2")
}

func TestASessionHasItsOwnProgramAndWorkspace(t *testing.T) {
	w := newWorld(t, "good", Config{Root: func(session string) (string, error) { return "/work of/" + session, nil }})
	if a, b, again := w.call("a", "pid", ""), w.call("b", "pid", ""), w.call("a", "pid", ""); a == b || a != again {
		t.Errorf("pids %s, %s and %s", a, b, again)
	}
	if got := w.call("a", "roots", ""); got != `[{"name":"workspace","uri":"file:///work%20of/a"}]` {
		t.Error(got)
	}
	if got := w.call("", "roots", ""); got != "[]" {
		t.Error(got)
	}
	pid := w.call("a", "pid", "")
	if err := w.EndSession(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if err := <-w.ended; err != nil {
		t.Error(err)
	}
	if w.call("a", "pid", "") == pid {
		t.Error("the program of an ended session goes on")
	}
}

func TestASessionWithoutAWorkspaceHasNoProgramAndTheServerIsNotToBlame(t *testing.T) {
	w := newWorld(t, "good", Config{Root: func(string) (string, error) { return "", fault.New(fault.NotRunning, "it is not up") }})
	for range 3 {
		w.refused("echo", fault.NotRunning, "is not started for the session s: it is not up")
	}
	if err := w.Alive(); err != nil || w.starts() != 0 {
		t.Errorf("%v after %d starts", err, w.starts())
	}
	w.call("", "echo", "")
}

func TestManyCallsAtATimeShareOneProgram(t *testing.T) {
	w := newWorld(t, "good", Config{})
	var calls sync.WaitGroup
	for range 40 {
		calls.Go(func() {
			if _, err := w.Call(t.Context(), "s", "echo", nil); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if w.starts() != 1 {
		t.Errorf("%d programs", w.starts())
	}
}

func TestTheLongestIdleProgramMakesRoomAndABusyOneDoesNot(t *testing.T) {
	w := newWorld(t, "good", Config{})
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for i := range MaxPrograms {
		session := string(rune('a' + i))
		if i == 3 {
			w.call(session, "echo", "")
			continue
		}
		calls.Go(func() {
			_, err := w.Call(ctx, session, "slow", nil)
			w.isFault(err, fault.Interrupted)
		})
	}
	for i := range MaxPrograms {
		if i != 3 {
			w.log.await(t.Context(), "session="+string(rune('a'+i))+" line=\"slow began\"")
		}
	}
	calls.Go(func() {
		_, err := w.Call(ctx, "z", "slow", nil)
		w.isFault(err, fault.Interrupted)
	})
	w.log.await(t.Context(), "session=z line=\"slow began\"")
	if err := <-w.ended; err != nil || w.starts() != MaxPrograms+1 {
		t.Errorf("%v, %d programs", err, w.starts())
	}
	_, err := w.Call(t.Context(), "d", "echo", nil)
	w.isFault(err, fault.Limit, "busy")
	cancel()
	calls.Wait()
}

func TestACallThatIsGivenUpIsCancelledAtTheProgram(t *testing.T) {
	w := newWorld(t, "good", Config{})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := w.Call(ctx, "s", "slow", nil)
		failed <- err
	}()
	w.log.await(t.Context(), "slow began")
	cancel()
	w.isFault(<-failed, fault.Interrupted, "slow")
	w.log.await(t.Context(), "slow was cancelled")
	w.call("s", "echo", "")
	if w.starts() != 1 {
		t.Error("the program was started anew")
	}
}

func TestACallThatTakesTooLongFailsAndIsCancelled(t *testing.T) {
	w := newWorld(t, "good", Config{CallTimeout: 100 * time.Millisecond})
	w.refused("slow", fault.Unavailable, "did not answer within 100ms")
	w.log.await(t.Context(), "slow was cancelled")
}

func TestAnIdleProgramIsEndedAndStartedAgain(t *testing.T) {
	w := newWorld(t, "good", Config{Idle: 10 * time.Millisecond})
	pid := w.call("s", "pid", "")
	if err := <-w.ended; err != nil || w.Alive() != nil {
		t.Error(err, w.Alive())
	}
	if w.call("s", "pid", "") == pid {
		t.Error("the same program answers")
	}
}

func TestChangedListsAreToldAndReadAgain(t *testing.T) {
	changed := make(chan struct{}, 10)
	w := newWorld(t, "good", Config{Changed: func() { changed <- struct{}{} }})
	w.call("s", "grow", "")
	<-changed
	tools, err := w.Tools(t.Context(), "s")
	if err != nil || !slices.ContainsFunc(tools, func(t Tool) bool { return t.Name == "grown" }) {
		t.Errorf("%v, %v", tools, err)
	}
}
