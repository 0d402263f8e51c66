package mcp

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"astrid/kernel/fault"
)

// TestAServerOfOthersWorksInTheWorkspace runs the reference server for files,
// which learns from its root where it may work.
func TestAServerOfOthersWorksInTheWorkspace(t *testing.T) {
	program, err := exec.LookPath("mcp-server-filesystem")
	if err != nil {
		t.Skip("needs mcp-server-filesystem on PATH: npm install --global @modelcontextprotocol/server-filesystem")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := launching(t, "", Config{Root: func(string) (string, error) { return dir, nil }}, func(string) []string { return []string{program} })
	tools, err := w.Tools(t.Context(), "s")
	if err != nil || !slices.ContainsFunc(tools, func(t Tool) bool { return t.Name == "write_file" }) {
		t.Fatalf("%v, %v", tools, err)
	}
	w.log.await(t.Context(), "allowed directories from MCP roots")
	w.call("s", "write_file", `{"path":"`+dir+`/hello.txt","content":"good day"}`)
	if data, err := os.ReadFile(filepath.Join(dir, "hello.txt")); err != nil || string(data) != "good day" {
		t.Errorf("%q, %v", data, err)
	}
	if got := w.call("s", "read_text_file", `{"path":"`+dir+`/hello.txt"}`); !strings.Contains(got, "good day") {
		t.Error(got)
	}
	_, err = w.Call(t.Context(), "s", "read_text_file", []byte(`{"path":"/etc/passwd"}`))
	w.isFault(err, fault.Usage, "outside allowed directories")
}
