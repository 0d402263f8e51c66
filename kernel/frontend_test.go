package kernel_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"astrid/kernel"
	"astrid/kernel/bus"
	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// served is a kernel in this process, which ends with the test.
func served(t *testing.T) (home.Home, *kernel.Kernel) {
	t.Helper()
	h := scratch(t, "h")
	k, _ := boot(t, h)
	t.Cleanup(func() {
		if err := k.Stop("end of the test"); err != nil {
			t.Error(err)
		}
		_ = os.Remove(h.Lock()) // nothing is left to end
	})
	return h, k
}

// frontend is a connection without a client library.
type frontend struct {
	*net.UnixConn
	t *testing.T
}

// knock connects and says nothing.
func knock(t *testing.T, h home.Home) frontend {
	t.Helper()
	c, err := net.Dial("unix", h.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return frontend{c.(*net.UnixConn), t}
}

// enter connects as 0.2 does: with the token of a home, or another one.
func enter(t *testing.T, h home.Home, token string) frontend {
	t.Helper()
	f := knock(t, h)
	if token == "" {
		token = read(t, h.Token())
	}
	f.send(`{"token":"` + token + `","protocol_version":1,"client_version":"0.2.0"}`)
	if got := string(f.frame()); !strings.Contains(got, `"status":"ok"`) {
		t.Fatal(got)
	}
	return f
}

func (f frontend) send(frame string) {
	f.t.Helper()
	if err := wire.WriteFrame(f, []byte(frame)); err != nil {
		f.t.Fatal(err)
	}
}

// ask sends a request.
func (f frontend) ask(id, method, params string) {
	f.t.Helper()
	f.send(fmt.Sprintf(`{"topic":"astrid.v1.request.%s","payload":{"type":"raw_json","method":%q,"params":%s}}`, id, method, params))
}

func (f frontend) frame() []byte {
	f.t.Helper()
	frame, err := wire.ReadFrame(f, wire.MaxReply)
	if err != nil {
		f.t.Fatal(err)
	}
	return frame
}

func (f frontend) message() wire.Message {
	f.t.Helper()
	m, err := wire.ParseMessage(f.frame())
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// answer reads until the answer to a request comes.
func (f frontend) answer(id string) (r wire.Response) {
	f.t.Helper()
	for {
		if m := f.message(); m.Topic == wire.ResponsePrefix+id {
			if err := wire.Decode(m.Payload, &r); err != nil {
				f.t.Fatal(err)
			}
			return r
		}
	}
}

// person is a user with a token.
type person struct{ id, token string }

// newcomer makes a user and grants it capabilities: resources such as
// "astrid://x/session:read".
func newcomer(t *testing.T, owner *client.Client, name string, resources ...string) person {
	t.Helper()
	var u wire.User
	must(t, owner.Call(t.Context(), op.CreateUser, wire.CreateUser{Name: name}, &u))
	for _, r := range resources {
		grant(t, owner, name, r)
	}
	return person{u.ID, mint(t, owner, wire.MintToken{User: name}).Token}
}

func grant(t *testing.T, owner *client.Client, user, resource string) wire.Capability {
	t.Helper()
	var c wire.Capability
	must(t, owner.Call(t.Context(), op.GrantCap, wire.GrantCapability{User: user, Resource: resource, Permissions: []string{"invoke"}}, &c))
	return c
}

func mint(t *testing.T, owner *client.Client, req wire.MintToken) (m wire.MintedToken) {
	t.Helper()
	must(t, owner.Call(t.Context(), op.MintToken, req, &m))
	return m
}

// dialAs connects as a person, narrowed to a session if one is named.
func dialAs(t *testing.T, h home.Home, p person, session string) *client.Client {
	t.Helper()
	c, err := client.DialAs(t.Context(), h, client.Options{Token: p.token, Session: session})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func denied(t *testing.T, what string, err error) {
	t.Helper()
	if !fault.Is(err, fault.Denied) {
		t.Errorf("%s: %v, and it was to be denied", what, err)
	}
}

// eventually waits for what the kernel does in its own time.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

func publish(t *testing.T, c *client.Client, topic, session, payload string) {
	t.Helper()
	must(t, c.Call(t.Context(), op.Publish, wire.PublishRequest{Topic: topic, Session: session, Payload: wire.Raw(payload)}, nil))
}

// events are what a caller sees of what the bus remembers.
func events(t *testing.T, c *client.Client, patterns ...string) (list []wire.Event) {
	t.Helper()
	var out bytes.Buffer
	must(t, c.CallStream(t.Context(), op.Events, wire.EventsRequest{Patterns: patterns}, nil, &out))
	for line := range strings.Lines(out.String()) {
		var e wire.Event
		must(t, wire.Decode([]byte(line), &e))
		list = append(list, e)
	}
	return list
}

func topics(list []wire.Event) (all []string) {
	for _, e := range list {
		all = append(all, e.Topic)
	}
	return all
}

// live subscribes to a pattern and returns what is heard until then.
func live(t *testing.T, k *kernel.Kernel, pattern string) (heard func() []string) {
	t.Helper()
	p, err := bus.ParsePattern(pattern)
	must(t, err)
	sub, err := k.Bus.Subscribe(bus.Options{Patterns: []bus.Pattern{p}, Ordered: true})
	must(t, err)
	t.Cleanup(sub.Close)
	return func() (all []string) {
		for m, _, _ := sub.TryNext(); m != nil; m, _, _ = sub.TryNext() {
			all = append(all, string(m.Topic))
		}
		return all
	}
}

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// The audit log of a home that allows it little goes on in archives.
func TestALargeAuditLogIsArchived(t *testing.T) {
	h := scratch(t, "h")
	must(t, h.Ensure())
	must(t, os.WriteFile(h.Config(), []byte("[audit]\nmax_size_mb = 1\n"), 0o600))
	k, _ := boot(t, h)
	c := dial(t, h)
	archives := func() []os.DirEntry {
		list, err := os.ReadDir(h.AuditArchives())
		must(t, err)
		return list
	}
	for n := 0; n < 20_000 && len(archives()) == 0; n++ {
		must(t, c.Call(t.Context(), op.KVSet, wire.KVSet{KVKey: wire.KVKey{Namespace: "x", Key: "k"}}, nil))
	}
	verify := func(from uint64) (r wire.AuditReport) {
		must(t, dial(t, h).Call(t.Context(), op.AuditVerify, wire.VerifyAudit{From: from}, &r))
		return r
	}
	eventually(t, "it begins after the archive", func() bool { return verify(0).Archived > 0 })
	must(t, k.Stop("test"))
	k, _ = boot(t, h)
	r := verify(0)
	if r.Why != "" || r.Records != r.Head {
		t.Errorf("%+v", r)
	}
	archive := archives()[0].Name()
	must(t, os.Remove(filepath.Join(h.AuditArchives(), archive)))
	if bad := verify(0); bad.Archive != archive || bad.Bad != 1 || bad.Why == "" {
		t.Errorf("an archive is gone: %+v", bad)
	}
	if live := verify(r.Live); live.Why != "" || live.Records == 0 {
		t.Errorf("the rest: %+v", live)
	}
	must(t, k.Stop("test"))
	_ = os.Remove(h.Lock())
}
