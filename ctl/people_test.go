package ctl_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"astrid/kernel/op/optest"
)

func TestPeopleAndTheirRights(t *testing.T) {
	f := mount(t, &optest.Sessions{})
	for name, want := range map[string]string{
		"identity/root":   "name: root\n",
		"approvals/1":     "risk-level: low\n",
		"questions/1":     "message: how many\n",
		"capabilities/c":  "permissions: [\"invoke\"]\n",
		"metrics":         "astrid_up 1\n",
		"log":             "msg=test\n",
		"audit/log":       "\"seq\":1",
		"audit/verify":    "records: 1\n",
		"bus/status":      "published: 1\n",
		"events":          "{\"seq\":1,\"topic\":\"a\"}\n",
		"identity/tokens": "[]\n",
	} {
		if got := f.read(t, name); !strings.Contains(got, want) {
			t.Errorf("%s is %q", name, got)
		}
	}
	for name, row := range map[string]struct{ line, want string }{
		"identity/create":     {"'Ann O.'", "name: Ann O.\n"},
		"identity/link":       {"discord 42 root", "platform: discord\n"},
		"identity/unlink":     {"discord 42", "removed: true\n"},
		"identity/revoke":     {"t", "removed: true\n"},
		"capabilities/grant":  {"u astrid://x/session:read invoke read", "permissions: [\"invoke\",\"read\"]\n"},
		"capabilities/revoke": {`{"user":"u"}`, "revoked: 1\n"},
		"allowances/revoke":   {"a", "removed: true\n"},
		"approvals/1":         {"approve because I say so", "risk-level: low\n"},
		"ask":                 {"rm /x", "approved: true\n"},
		"bus/publish":         {`a.b {"type":"custom","data": 1}`, "seq: 2\n"},
		"call":                {`{"method":"kv.get","params":{"namespace":"n","key":"k"}}`, "{\"text\":\"v\"}\n"},
	} {
		if err := f.echo(name, row.line+"\n"); err != nil {
			t.Errorf("%s: %v: %s", name, err, f.read(t, "last-error"))
			continue
		}
		if got := f.read(t, name); !strings.Contains(got, row.want) {
			t.Errorf("%s shows %q", name, got)
		}
	}
}

func TestBadLinesDoNothing(t *testing.T) {
	f := mount(t, &optest.Sessions{})
	for name, line := range map[string]string{
		"identity/create":    "two words",
		"identity/link":      "discord 42",
		"capabilities/grant": "u r",
		"allowances/revoke":  `{"idd":"a"}`,
		"bus/publish":        "a.b nonsense",
		"call":               `{"method":"kv.get","params":{"namespace":"n","kay":"k"}}`,
		"ask":                "'",
	} {
		if err := f.echo(name, line+"\n"); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.echo("call", "{\"method\":\"frobnicate\"}\n"); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("an unknown method: %v", err)
	}
	if _, err := os.ReadFile(f.path("approvals/2")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such request: %v", err)
	}
}

func TestFollowersReadWhatComesAndEndWithTheTree(t *testing.T) {
	f := mount(t, &optest.Sessions{})
	follower, err := os.Open(f.path("events.follow"))
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	line, err := bufio.NewReader(follower).ReadString('\n')
	if err != nil || line != "{\"seq\":1,\"topic\":\"a\"}\n" {
		t.Errorf("got %q, %v", line, err)
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "events.follow" {
			t.Error("it is listed, and holds whoever reads everything")
		}
	}
	if got := f.read(t, "version"); got == "" {
		t.Error("a follower that waits holds up others")
	}
}
