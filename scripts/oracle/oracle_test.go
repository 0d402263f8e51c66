package oracle

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// answers are what the host says, in both engines.
func answers(name string, args []string) string {
	switch name {
	case "astrid_fs_exists":
		if strings.Contains(args[0], "none") {
			return ""
		}
		return "true"
	case "astrid_read_file":
		return "one\ntwo of " + args[0] + "\n"
	case "astrid_fs_readdir":
		return `["b","a","dir"]`
	case "astrid_fs_stat":
		return fmt.Sprintf(`{"size":%d,"isDir":%t,"mtime":7}`, len(args[0]), strings.HasSuffix(args[0], "dir"))
	case "astrid_get_config":
		return `".git \u00e9 secrets"`
	case "astrid_get_caller":
		return `{"principal":"p","session":"s","topic":"tool.v1.execute.x"}`
	case "astrid_kv_list_keys":
		return `["count/a","count/b"]`
	case "astrid_kv_get":
		return "[49,255,0]"
	case "astrid_spawn_host":
		return `{"stdout":"out\n","stderr":"","exit_code":0}`
	case "astrid_request_approval":
		return `{"approved":true,"decision":"approve"}`
	case "astrid_ipc_subscribe":
		return "1"
	}
	return ""
}

// call is one call of a guest.
type call struct{ export, input string }

func tool(name, arguments string) call { return envelope("astrid_tool_call", name, arguments) }
func hook(name, payload string) call   { return envelope("astrid_hook_trigger", name, payload) }

// envelope is what a capsule is called with: its bytes as numbers.
func envelope(export, name, payload string) call {
	numbers := make([]int, len(payload))
	for i := range payload {
		numbers[i] = int(payload[i])
	}
	data, _ := json.Marshal(map[string]any{"name": name, "arguments": numbers})
	return call{export, string(data)}
}

// TestCapsules are those to copy from, made with our SDK.
func TestCapsules(t *testing.T) {
	astrid := filepath.Join(t.TempDir(), "astrid")
	build(t, "go", "build", "-C", "../..", "-o", astrid, "./cmd/astrid")
	long := strings.Repeat("é", 100_000)
	for template, calls := range map[string][]call{
		"tool": {tool("count_lines", `{"path":"a"}`), tool("count_lines", `{"path":"none"}`), tool("other", `{}`), tool("count_lines", `[`), {"astrid_tool_call", "no call"}},
		"files": {
			tool("read_file", `{"path":"a"}`), tool("read_file", `{"path":"none"}`), tool("list_files", `{}`), tool("write_file", `{"path":"a/b/c","content":"`+long+`"}`),
			tool("search_files", `{"text":"x","path":"/a"}`), {"astrid_install", ""}, {"astrid_upgrade", `{"prev_version":"1"}`},
		},
		"git":         {tool("git_status", `{}`), tool("git_diff", `{"path":"é"}`), tool("git_log", `{"count":3}`)},
		"careful":     {tool("remove_file", `{"path":"a"}`), tool("remove_file", `{"path":"none"}`)},
		"guard":       {hook("judge", `{"tool_name":"write_file","arguments":{"path":"x/../.git/a"}}`), hook("judge", `{"tool_name":"read_file","arguments":{}}`), hook("judge", `{`)},
		"interceptor": {hook("guard", `.env`), hook("guard", `a`), hook("guard", "")},
		"daemon":      {tool("file_counts", `{}`), envelope("astrid_cron_trigger", "none", "")},
		"uplink":      {hook("prompt", `{"text":"\n x {","session_id":"s"}`), envelope("astrid_command_run", "none", "")},
	} {
		t.Run(template, func(t *testing.T) {
			dir := t.TempDir()
			build(t, "sh", "-c", `cd "$1" && "$0" capsule new guest --template "$2" && "$0" capsule build guest`, astrid, dir, template)
			compare(t, filepath.Join(dir, "guest", "guest.wasm"), calls)
		})
	}
}

// TestAnExtismGuest is one that was not made for Astrid.
func TestAnExtismGuest(t *testing.T) {
	code := filepath.Join(t.TempDir(), "guest.wasm")
	build(t, "env", "GOOS=wasip1", "GOARCH=wasm", "go", "build", "-buildmode=c-shared", "-o", code, "./guest")
	compare(t, code, []call{
		{"echo", ""}, {"echo", "héllo"}, {"echo", strings.Repeat("x", 1<<20+3)}, {"nothing", "x"}, {"upper", "abc"}, {"fail", "why"}, {"echo", "after"},
		{"count", "a"}, {"count", "b"}, {"forget", ""}, {"count", "c"}, {"blocks", ""}, {"settings", ""}, {"crash", "x"},
	})
}

// compare makes the calls in both engines, one after the other.
func compare(t *testing.T, file string, calls []call) {
	t.Helper()
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var log [2]record
	a, err := Ours(t.Context(), t.TempDir(), code, log[0].stub)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, a)
	b, err := Theirs(t.Context(), nil, code, log[1].stub)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, b)
	for _, c := range calls {
		ours, ourErr := a.Call(t.Context(), c.export, []byte(c.input))
		theirs, theirErr := b.Call(t.Context(), c.export, []byte(c.input))
		name := fmt.Sprintf("%s(%.200s)", c.export, c.input)
		switch {
		case (ourErr == nil) != (theirErr == nil):
			t.Errorf("%s: ours says %v, theirs %v", name, ourErr, theirErr)
		case ourErr == nil && string(ours) != string(theirs):
			t.Errorf("%s: ours returns %.200q, theirs %.200q", name, ours, theirs)
		case ourErr != nil && c.export != "crash" && ourErr.Error() != strings.TrimSpace(theirErr.Error()):
			t.Errorf("%s: ours fails with %q, theirs with %q", name, ourErr, theirErr)
		}
		if got, want := log[0].take(), log[1].take(); !slices.Equal(got, want) {
			t.Errorf("%s: under ours it asked the host for\n%.2000q\nand under theirs for\n%.2000q", name, got, want)
		}
	}
}

// record is what a guest asked the host for.
type record struct {
	mu   sync.Mutex
	said []string
}

func (r *record) stub(name string, args []string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, name+" "+strings.Join(args, " | "))
	return answers(name, args)
}

func (r *record) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := r.said
	r.said = nil
	return said
}

func closed(t *testing.T, g Guest) {
	t.Helper()
	if err := g.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func build(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
