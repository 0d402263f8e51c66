package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"astrid/kernel/approve"
	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/identity"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
	"astrid/kernel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a Host with everything around it.
type bench struct {
	*Host
	t        *testing.T
	dir      string // the workspace
	shared   string
	asked    []approve.Request
	paused   int
	programs chan []string
}

func (b *bench) Pause() (resume func()) { b.paused++; return func() { b.paused-- } }

// Run is a program that prints its arguments, and waits for its end when it is
// called sleep.
func (b *bench) Run(ctx context.Context, _ string, argv []string, stdout, _ io.Writer) (int, error) {
	b.programs <- argv
	if argv[0] == "sleep" {
		<-ctx.Done()
		return -1, nil
	}
	if argv[0] == "flood" {
		for {
			if _, err := stdout.Write(make([]byte, 1<<20)); err != nil {
				return -1, nil
			}
		}
	}
	_, _ = io.WriteString(stdout, strings.Join(argv, " "))
	return 3, nil
}

func newBench(t *testing.T, c capsule.Capabilities) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), shared: t.TempDir(), programs: make(chan []string, 100)}
	s := storetest.Open(t, t.TempDir(), nil)
	id, err := identity.Open(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := capsule.Manifest{Package: capsule.Package{Name: "demo", Version: "1.0.0"}, Capabilities: c}
	b.Host = New(Config{
		Capsule: capsule.Found{Manifest: m, Source: "5a5a5a5a-0000-8000-8000-000000000000"},
		KV:      storetest.Space(t, s, store.Capsule("demo"), store.SpaceOptions{}), Secrets: storetest.Space(t, s, "secret:demo", store.SpaceOptions{}),
		Env: map[string]string{"NAME": "it's \"me\""}, Bus: bus.New(bus.Config{}), Identity: id, Shared: b.shared, Run: b,
		Workspace: func(session string) (string, string, error) {
			if session != "s" {
				return "", "", fault.New(fault.NotFound, "there is no session %q", session)
			}
			return b.dir, "/src", nil
		},
		Approve: func(_ context.Context, r approve.Request) (approve.Answer, error) {
			if b.paused != 1 {
				t.Error("the clock runs while a person thinks")
			}
			b.asked = append(b.asked, r)
			return approve.Answer{Approved: r.Action == "good", Decision: "approve"}, nil
		},
		Trigger: func(_ context.Context, _ capsule.ID, topic string, payload wire.Raw) []wire.Raw {
			return []wire.Raw{wire.Raw(`"` + topic + `"`), payload}
		},
		Capability: func(source, _ string) bool { return source == "trusted" },
		Schedule:   func(name, _, _ string) error { return fault.New(fault.Usage, "scheduled %s", name) },
		Cancel:     func(string) error { return nil },
	})
	t.Cleanup(b.Close)
	return b
}

// call calls a function by its name, for the session s.
func (b *bench) call(name string, args ...string) (string, error) {
	b.t.Helper()
	ctx := WithCaller(b.t.Context(), Caller{Session: "s", Principal: "p", Topic: "t.v1.x"})
	return b.callIn(ctx, name, args...)
}

func (b *bench) callIn(ctx context.Context, name string, args ...string) (string, error) {
	b.t.Helper()
	for _, f := range b.Functions() {
		if f.Name != name {
			continue
		}
		if len(args) != len(f.Args) {
			b.t.Fatalf("%s takes %d arguments", name, len(f.Args))
		}
		raw := make([][]byte, len(args))
		for i := range args {
			raw[i] = []byte(args[i])
		}
		out, err := f.Call(ctx, b, raw)
		return string(out), err
	}
	b.t.Fatalf("there is no function %s", name)
	return "", nil
}

// want calls a function and compares what it returns.
func (b *bench) want(want, name string, args ...string) {
	b.t.Helper()
	if got, err := b.call(name, args...); err != nil || got != want {
		b.t.Errorf("%s(%q): %s, %v; want %s", name, args, got, err, want)
	}
}

func (b *bench) fails(k fault.Kind, text, name string, args ...string) {
	b.t.Helper()
	if got, err := b.call(name, args...); !fault.Is(err, k) || !strings.Contains(err.Error(), text) {
		b.t.Errorf("%s(%.200q): %s, %v; want %s about %q", name, args, got, err, k, text)
	}
}

func all() capsule.Capabilities {
	return capsule.Capabilities{FSRead: []string{"*", "global://"}, FSWrite: []string{"*", "global://"}}
}

// The table of section 8.6: names, order, argument counts and results.
func TestTheTableIsThatOfTheProtocol(t *testing.T) {
	b := newBench(t, capsule.Capabilities{})
	list := b.Functions()
	if len(list) != 48 {
		t.Fatalf("%d functions", len(list))
	}
	nothing := []int{1, 4, 6, 7, 9, 15, 16, 23, 24, 25, 30, 33, 46}
	two, three, none := []int{6, 7, 11, 15, 23, 30}, []int{12, 13, 24}, []int{20, 33, 34, 35}
	for i, f := range list {
		args := 1
		switch {
		case slices.Contains(two, i):
			args = 2
		case slices.Contains(three, i):
			args = 3
		case slices.Contains(none, i):
			args = 0
		}
		if len(f.Args) != args {
			t.Errorf("%d %s takes %d arguments, and should %d", i, f.Name, len(f.Args), args)
		}
		if (f.Result == Nothing) != slices.Contains(nothing, i) || (f.Result == Integer) != (i == 27) {
			t.Errorf("%d %s returns %d", i, f.Name, f.Result)
		}
	}
	for i, name := range map[int]string{0: "astrid_fs_exists", 14: "astrid_kv_get", 23: "astrid_log", 36: "astrid_request_approval", 47: "astrid_net_poll_accept"} {
		if list[i].Name != name {
			t.Errorf("%d is %s", i, list[i].Name)
		}
	}
}

func TestFiles(t *testing.T) {
	b := newBench(t, all())
	b.want("", "astrid_fs_exists", "a")
	b.want("", "astrid_fs_mkdir", "/new/deep/er")
	b.want("", "astrid_write_file", "new/deep/f", "hello")
	b.want("hello", "astrid_read_file", "/new/./deep/../deep/f")
	b.want("", "astrid_write_file", "new/deep/f", "hi")
	b.want("hi", "astrid_read_file", "new/deep/f")
	b.want("true", "astrid_fs_exists", "new/deep/f")
	b.want(`["deep"]`, "astrid_fs_readdir", "new")
	if got, err := b.call("astrid_fs_stat", "new/deep/f"); err != nil || !strings.HasPrefix(got, `{"size":2,"isDir":false,"mtime":`) {
		t.Errorf("stat: %s, %v", got, err)
	}
	if got, err := b.call("astrid_fs_stat", "/"); err != nil || !strings.Contains(got, `"isDir":true`) {
		t.Errorf("stat of the root: %s, %v", got, err)
	}
	b.want("", "astrid_fs_unlink", "new/deep/f")
	b.want("", "astrid_fs_unlink", "new/deep/er")
	b.fails(fault.NotFound, "new/deep/f", "astrid_read_file", "new/deep/f")
	b.fails(fault.Denied, "root", "astrid_fs_unlink", "/")
	b.want("", "astrid_write_file", "global://x/../y", "shared")
	if data, err := os.ReadFile(filepath.Join(b.shared, "y")); err != nil || string(data) != "shared" {
		t.Errorf("global: %s, %v", data, err)
	}
	if _, err := b.callIn(t.Context(), "astrid_read_file", "x"); !fault.Is(err, fault.NotFound) {
		t.Errorf("without a session: %v", err)
	}
}

func TestNoPathLeavesItsRoot(t *testing.T) {
	b := newBench(t, all())
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"abs": secret, "up": "../../../../../../../.." + secret, "dir": filepath.Dir(secret), "proc": "/proc/self/root"} {
		if err := os.Symlink(target, filepath.Join(b.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"abs", "up", "dir/secret", "proc" + secret, "../x", "a/../../x", "/../x"} {
		for _, f := range []string{"astrid_read_file", "astrid_fs_readdir"} {
			if got, err := b.call(f, path); err == nil {
				t.Errorf("%s(%s) gives %q", f, path, got)
			}
		}
		if _, err := b.call("astrid_write_file", path, "pwned"); err == nil {
			t.Errorf("%s could be written", path)
		}
	}
	if data, _ := os.ReadFile(secret); string(data) != "s" {
		t.Errorf("the secret is %q", data)
	}
	b.fails(fault.Usage, "null", "astrid_read_file", "a\x00b")
}

func TestFilesAreGatedByTheManifestAfterLinks(t *testing.T) {
	b := newBench(t, capsule.Capabilities{FSRead: []string{"workspace://open", "docs/"}, FSWrite: []string{"open/out"}})
	for _, f := range []string{"open/a", "openly", "docs/d", "shut/b", "open/out/x"} {
		path := filepath.Join(b.dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../shut/b", filepath.Join(b.dir, "open/link")); err != nil {
		t.Fatal(err)
	}
	b.want("open/a", "astrid_read_file", "open/a")
	b.want("docs/d", "astrid_read_file", "docs/d")
	for _, path := range []string{"openly", "shut/b", "open/link", "open/../shut/b", "/", "global://x"} {
		b.fails(fault.Denied, "manifest", "astrid_read_file", path)
	}
	b.want("", "astrid_write_file", "open/out/new", "1")
	b.fails(fault.Denied, "manifest", "astrid_write_file", "open/a", "1")
	b.fails(fault.Denied, "manifest", "astrid_fs_unlink", "docs/d")
	b.fails(fault.Denied, "manifest", "astrid_fs_mkdir", "shut/dir")
	none := newBench(t, capsule.Capabilities{})
	none.fails(fault.Denied, "manifest", "astrid_read_file", "a")
}

func TestBigFilesAreRefused(t *testing.T) {
	b := newBench(t, all())
	if err := os.WriteFile(filepath.Join(b.dir, "big"), make([]byte, maxPayload+1), 0o644); err != nil {
		t.Fatal(err)
	}
	b.fails(fault.Limit, "larger", "astrid_read_file", "big")
	if err := os.Truncate(filepath.Join(b.dir, "big"), maxPayload); err != nil {
		t.Fatal(err)
	}
	if got, err := b.call("astrid_read_file", "big"); err != nil || len(got) != maxPayload {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestMessages(t *testing.T) {
	b := newBench(t, capsule.Capabilities{IPCPublish: []string{"demo.v1.*"}, IPCSubscribe: []string{"in.v1.*"}})
	heard, err := b.Bus.Subscribe(bus.Options{Patterns: patterns(t, "demo.*")})
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	b.want("", "astrid_ipc_publish", "demo.v1.a", `{"x":1}`)
	if m, _, _ := heard.TryNext(); m == nil || string(m.Payload) != `{"type":"custom","data":{"x":1}}` || m.Source != b.Capsule.Source || m.Session != "s" || m.Principal != "p" {
		t.Errorf("published %+v", m)
	}
	b.fails(fault.Denied, "declared ipc_publish patterns: demo.v1.*", "astrid_ipc_publish", "astrid.v1.approval.response.x", "{}")
	b.fails(fault.Usage, "empty segments", "astrid_ipc_publish", "demo.v1.", "{}")
	b.fails(fault.Usage, "maximum allowed segments (8)", "astrid_ipc_publish", "demo.v1.a.b.c.d.e.f.g", "{}")
	b.fails(fault.Usage, "not valid JSON", "astrid_ipc_publish", "demo.v1.a", "{")
	b.fails(fault.Usage, "UTF-8", "astrid_ipc_publish", "demo.v1.\xff", "{}")
	b.fails(fault.Limit, "Payload too large", "astrid_ipc_publish", "demo.v1.a", strings.Repeat(" ", maxMessage+1))

	b.want("1", "astrid_ipc_subscribe", "in.v1.*")
	b.fails(fault.Denied, "not allowed to subscribe", "astrid_ipc_subscribe", "in.*")
	b.fails(fault.Usage, "last segment", "astrid_ipc_subscribe", "in.*.x")
	b.want(`{"messages":[],"dropped":0,"lagged":0}`, "astrid_ipc_poll", "1")
	b.want(`{"messages":[],"dropped":0,"lagged":0}`, "astrid_ipc_recv", "1", "1")
	if _, err := b.Bus.Publish(bus.Message{Topic: "in.v1.x", Payload: wire.Raw(`{"type":"connect"}`)}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.call("astrid_ipc_recv", "1", "60000"); err != nil || !strings.HasPrefix(got, `{"messages":[{"topic":"in.v1.x","payload":{"type":"connect"},"signature":null,`) {
		t.Errorf("received %s, %v", got, err)
	}
	b.want("", "astrid_ipc_unsubscribe", "1")
	b.fails(fault.NotFound, "Subscription handle not found", "astrid_ipc_poll", "1")
	b.fails(fault.Usage, "no handle", "astrid_ipc_poll", "-1")
}

// D10: the message that does not fit a drain is the first of the next one.
func TestADrainLosesNothing(t *testing.T) {
	b := newBench(t, capsule.Capabilities{IPCSubscribe: []string{"in"}})
	b.want("1", "astrid_ipc_subscribe", "in")
	for i := range 3 {
		payload := fmt.Sprintf(`{"type":"custom","data":"%d%s"}`, i, strings.Repeat("x", 4<<20))
		if _, err := b.Bus.Publish(bus.Message{Topic: "in", Payload: wire.Raw(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	var got []int
	for range 2 {
		text, err := b.call("astrid_ipc_poll", "1")
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Messages []struct {
				Payload struct{ Data string }
			}
			Dropped, Lagged int
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil || e.Dropped+e.Lagged != 0 {
			t.Fatalf("%v, %d dropped", err, e.Dropped)
		}
		got = append(got, len(e.Messages))
	}
	if !slices.Equal(got, []int{2, 1}) {
		t.Errorf("drained %v", got)
	}
}

func TestSubscriptionsAreBoundedAndInterceptorsAreListed(t *testing.T) {
	b := newBench(t, capsule.Capabilities{IPCSubscribe: []string{"in.*"}})
	if _, err := b.Subscribe("tool.v1.*.x", "guard"); err != nil {
		t.Fatal(err)
	}
	b.want(`[{"handle_id":1,"action":"guard","topic":"tool.v1.*.x"}]`, "astrid_get_interceptor_handles")
	b.fails(fault.Denied, "runtime-owned", "astrid_ipc_unsubscribe", "1")
	for range maxSubscriptions - 1 {
		if _, err := b.call("astrid_ipc_subscribe", "in.x"); err != nil {
			t.Fatal(err)
		}
	}
	b.fails(fault.Limit, "128 max", "astrid_ipc_subscribe", "in.x")
}

func TestValues(t *testing.T) {
	b := newBench(t, capsule.Capabilities{})
	b.want("", "astrid_kv_get", "k")
	b.want("", "astrid_kv_set", "k", "\x00\xffA")
	b.want("[0,255,65]", "astrid_kv_get", "k")
	b.want("", "astrid_kv_set", "e", "")
	b.want("[]", "astrid_kv_get", "e")
	b.want(`["e","k"]`, "astrid_kv_list_keys", "")
	b.want("", "astrid_kv_delete", "none")
	b.want("1", "astrid_kv_clear_prefix", "k")
	b.want(`["e"]`, "astrid_kv_list_keys", "")
	b.want("[]", "astrid_kv_list_keys", "x")
	b.want(`"it's \"me\""`, "astrid_get_config", "NAME")
	b.want("", "astrid_get_config", "OTHER")
	b.fails(fault.Usage, "empty", "astrid_kv_set", "", "x")
	if err := b.Secrets.Set("token", []byte("s")); err != nil {
		t.Fatal(err)
	}
	b.want(`{"exists":true}`, "astrid_has_secret", `{"key":"token"}`)
	b.want("", "astrid_kv_get", "token")
	b.want(`{"principal":"p","session":"s","topic":"t.v1.x"}`, "astrid_get_caller")
}

func TestPeople(t *testing.T) {
	b := newBench(t, capsule.Capabilities{Identity: []string{"link"}})
	b.want(`{"approved":true,"decision":"approve"}`, "astrid_request_approval", `{"action":"good","resource":"r","risk_level":"low"}`)
	b.want(`{"approved":false,"decision":"approve"}`, "astrid_request_approval", `{"action":"bad","resource":"r","risk_level":"low"}`)
	if len(b.asked) != 2 || b.asked[0].Capsule != "demo" || b.asked[0].Principal != "p" || b.asked[0].Session != "s" {
		t.Errorf("asked %+v", b.asked)
	}
	alice, err := b.Identity.CreateUser("alice", nil)
	if err != nil {
		t.Fatal(err)
	}
	b.want(`{"found":false}`, "astrid_identity_resolve", `{"platform":"x","platform_user_id":"1"}`)
	if got, err := b.call("astrid_identity_link", `{"platform":"X","platform_user_id":"1","astrid_user_id":"`+alice.ID+`","method":"chat"}`); err != nil || !strings.Contains(got, `"ok":true`) {
		t.Errorf("%s, %v", got, err)
	}
	b.want(`{"display_name":"alice","found":true,"user_id":"`+alice.ID+`"}`, "astrid_identity_resolve", `{"platform":"x","platform_user_id":"1"}`)
	if got, _ := b.call("astrid_identity_link", `{"platform":"x","platform_user_id":"2","astrid_user_id":"`+b.Identity.Root()+`","method":"chat"}`); !strings.Contains(got, "the owner's") {
		t.Errorf("an account became the owner's: %s", got)
	}
	if got, _ := b.call("astrid_identity_create_user", `{"display_name":"eve"}`); !strings.Contains(got, `"ok":false`) {
		t.Errorf("without admin: %s", got)
	}
	b.want(`{"ok":true,"removed":true}`, "astrid_identity_unlink", `{"platform":"x","platform_user_id":"1"}`)
	none := newBench(t, capsule.Capabilities{})
	if got, _ := none.call("astrid_identity_resolve", `{"platform":"x","platform_user_id":"1"}`); !strings.Contains(got, "no identity capability resolve") {
		t.Errorf("without resolve: %s", got)
	}
}

func TestSmallFunctions(t *testing.T) {
	b := newBench(t, capsule.Capabilities{Uplink: true})
	b.want("", "astrid_log", "warn", "text\xff")
	b.want("", "astrid_signal_ready")
	b.want("", "astrid_signal_ready")
	<-b.Ready()
	b.want(`["a.b",{"x":1}]`, "astrid_trigger_hook", `{"hook":"a.b","payload":{"x":1}}`)
	b.want(`{"allowed":true}`, "astrid_check_capsule_capability", `{"source_uuid":"trusted","capability":"allow_prompt_injection"}`)
	b.want(`{"allowed":false}`, "astrid_check_capsule_capability", `{"source_uuid":"trusted","capability":"root"}`)
	b.fails(fault.Usage, "scheduled n", "astrid_cron_schedule", "n", "* * * * *", "a")
	b.want("", "astrid_net_poll_accept", "x")
	b.fails(fault.Unsupported, "accepts connections itself", "astrid_net_accept", "x")
	b.fails(fault.Denied, "installed", "astrid_elicit", "{}")
	id, err := b.call("astrid_uplink_register", "n", "discord", "human")
	if err != nil || len(id) != 36 {
		t.Errorf("%s, %v", id, err)
	}
	b.fails(fault.Exists, "registered already", "astrid_uplink_register", "n", "discord", "chat")
	b.want(`{"ok":true}`, "astrid_uplink_send", id, "42", "hello")
	b.fails(fault.NotFound, "no uplink", "astrid_uplink_send", "x", "42", "hello")
	if ms, err := b.call("astrid_clock_ms"); err != nil || len(ms) != 13 {
		t.Errorf("%s, %v", ms, err)
	}
}

func TestPrograms(t *testing.T) {
	b := newBench(t, capsule.Capabilities{HostProcess: []string{"echo", "sleep", "flood"}})
	b.want(`{"stdout":"echo a b","stderr":"","exit_code":3}`, "astrid_spawn_host", `{"cmd":"echo","args":["a","b"]}`)
	b.want(`{"stdout":"echo a b","stderr":"","exit_code":3}`, "astrid_spawn_host", `{"cmd":"echo a","args":["b"]}`)
	for _, cmd := range []string{"sh", "echoes", "", "/bin/echo"} {
		b.fails(fault.Denied, "manifest", "astrid_spawn_host", `{"cmd":"`+cmd+`","args":[]}`)
	}
	b.fails(fault.Limit, "wrote more than", "astrid_spawn_host", `{"cmd":"flood","args":[]}`)

	for range maxBackground {
		if _, err := b.call("astrid_spawn_background_host", `{"cmd":"sleep","args":[]}`); err != nil {
			t.Fatal(err)
		}
	}
	b.fails(fault.Limit, "max 8", "astrid_spawn_background_host", `{"cmd":"sleep","args":[]}`)
	b.want(`{"stdout":"","stderr":"","running":true,"exit_code":null}`, "astrid_read_process_logs_host", `{"id":1}`)
	b.want(`{"stdout":"","stderr":"","killed":true,"exit_code":null}`, "astrid_kill_process_host", `{"id":1}`)
	b.fails(fault.NotFound, "no background process 1", "astrid_kill_process_host", `{"id":1}`)
}

func TestACancelledCallEndsItsProgram(t *testing.T) {
	b := newBench(t, capsule.Capabilities{HostProcess: []string{"sleep"}})
	done := make(chan string)
	go func() {
		ctx := WithCaller(t.Context(), Caller{Session: "s", CallID: "c1"})
		out, _ := b.callIn(ctx, "astrid_spawn_host", `{"cmd":"sleep","args":[]}`)
		done <- out
	}()
	<-b.programs
	b.CancelCalls([]string{"other", ""})
	b.CancelCalls([]string{"c1"})
	if got := <-done; got != `{"stdout":"","stderr":"process cancelled","exit_code":-1}` {
		t.Errorf("got %s", got)
	}
}

func TestTheWebIsGatedAtEveryStep(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http://evil.example/", http.StatusFound)
		case "/binary":
			_, _ = w.Write([]byte{0xff})
		case "/big":
			_, _ = w.Write(bytes.Repeat([]byte("x"), maxResponse+1))
		default:
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("X-A"), body)
		}
	}))
	defer target.Close()
	b := newBench(t, capsule.Capabilities{Net: []string{"127.0.0.1", "example.org", "localhost"}})
	request := func(path string) string { return `{"url":"` + target.URL + path + `"}` }
	for _, url := range []string{target.URL, strings.Replace(target.URL, "127.0.0.1", "localhost", 1)} { // D17
		b.fails(fault.Denied, "private or local IP", "astrid_http_request", `{"url":"`+url+`"}`)
	}
	b.guard = nil // as if the address were a public one
	if got, err := b.call("astrid_http_request", `{"url":"`+target.URL+`","method":"POST","headers":{"x-a":"1"},"body":"b"}`); err != nil || !strings.Contains(got, `"body":"POST 1 b"`) || !strings.Contains(got, `"status":200`) {
		t.Errorf("%s, %v", got, err)
	}
	b.fails(fault.Denied, "evil.example", "astrid_http_request", request("/away"))
	b.fails(fault.Usage, "UTF-8", "astrid_http_request", request("/binary"))
	b.fails(fault.Limit, "larger than", "astrid_http_request", request("/big"))
	for _, url := range []string{"http://other.org", "file:///etc/passwd", "http://example.org.evil.example", "http://", "gopher://example.org"} {
		if _, err := b.call("astrid_http_request", `{"url":"`+url+`"}`); err == nil {
			t.Errorf("%s was let through", url)
		}
	}
	b.fails(fault.Usage, "method", "astrid_http_request", `{"url":"http://example.org","method":"TRACE"}`)
}

func TestPrivateAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "100.64.0.1": true, "169.254.169.254": true, "172.16.0.1": true, "192.168.1.1": true, "0.0.0.0": true,
		"255.255.255.255": true, "224.0.0.1": true, "::1": true, "::": true, "fe80::1%eth0": true, "fd00::1": true, "::ffff:127.0.0.1": true, "::127.0.0.1": true,
		"64:ff9b::7f00:1": true, "2002:7f00:1::": true, "8.8.8.8": false, "2606:4700::1": false, "::ffff:8.8.8.8": false,
	} {
		if got := private(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func patterns(t *testing.T, list ...string) []bus.Pattern {
	t.Helper()
	all, err := bus.ParsePatterns(list)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestClosingWakesWhoWaits(t *testing.T) {
	b := newBench(t, capsule.Capabilities{IPCSubscribe: []string{"in"}, HostProcess: []string{"sleep"}})
	b.want("1", "astrid_ipc_subscribe", "in")
	done := make(chan error, 2)
	go func() { _, err := b.call("astrid_ipc_recv", "1", "60000"); done <- err }()
	go func() { _, err := b.call("astrid_spawn_host", `{"cmd":"sleep","args":[]}`); done <- err }()
	<-b.programs
	b.Close()
	for range 2 {
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatal("somebody still waits")
		}
	}
}
