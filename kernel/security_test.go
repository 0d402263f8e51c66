package kernel_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel"
	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// knockAs is what a client gets back that runs as another user of the machine.
// Its thread, which alone becomes that user, ends with it.
func knockAs(t *testing.T, uid int, h home.Home, hello string) (frame []byte, err error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread dies
		for _, id := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			if _, _, errno := unix.RawSyscall(id, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
				err = errno
				return
			}
		}
		var c net.Conn
		if c, err = net.Dial("unix", h.Socket()); err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		_ = wire.WriteFrame(c, []byte(hello))
		frame, err = wire.ReadFrame(c, wire.MaxHandshake)
	}()
	<-done
	return frame, err
}

func TestAnotherUserOfTheMachineGetsNoWord(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	h, k := served(t)
	hello := `{"token":"` + read(t, h.Token()) + `","protocol_version":1,"client_version":"x"}`
	if _, err := knockAs(t, 65534, h, hello); !errors.Is(err, syscall.EACCES) {
		t.Errorf("a home that is closed: %v", err)
	}
	for path, mode := range map[string]os.FileMode{filepath.Dir(h.String()): 0o711, h.String(): 0o711, h.Sessions(): 0o711, h.Socket(): 0o666} {
		must(t, os.Chmod(path, mode))
	}
	if frame, err := knockAs(t, 65534, h, hello); err == nil {
		t.Errorf("with the right token, and every door open: %s", frame)
	}
	must(t, os.Chmod(h.Sessions(), 0o700))
	if _, refused, _ := k.Socket.Stats(); refused != 1 {
		t.Errorf("%d were refused", refused)
	}
	recorded(t, dial(t, h), "the refusal", func(r wire.AuditRecord) bool {
		return r.Action["type"] == "connection_refused" && r.Action["uid"] == "65534"
	})
}

// recorded waits until the audit log, read by its operation, has a record.
func recorded(t *testing.T, owner *client.Client, what string, is func(wire.AuditRecord) bool) {
	t.Helper()
	eventually(t, what+" is in the audit log", func() bool { return slices.ContainsFunc(auditLog(t, owner), is) })
}

func auditLog(t *testing.T, owner *client.Client) (all []wire.AuditRecord) {
	t.Helper()
	for {
		var page wire.AuditPage
		req := wire.ReadAudit{Since: uint64(len(all))}
		must(t, owner.Call(t.Context(), op.AuditRead, req, &page))
		if all = append(all, page.Records...); len(page.Records) == 0 {
			return all
		}
	}
}

func TestOnlyAGoodTokenGetsIn(t *testing.T) {
	h, k := served(t)
	owner := dial(t, h)
	p := newcomer(t, owner, "p", "astrid://one/session:read")
	revoked := mint(t, owner, wire.MintToken{User: "p"})
	must(t, owner.Call(t.Context(), op.RevokeToken, wire.ByID{ID: revoked.ID}, nil))
	expired := mint(t, owner, wire.MintToken{User: "p", TTL: 0.001})
	bound := mint(t, owner, wire.MintToken{User: "p", Session: "one"})
	good := strings.TrimSpace(read(t, h.Token()))
	eventually(t, "it is over", func() bool { return time.Now().After(expired.Expires) })
	for name, o := range map[string]client.Options{
		"a wrong one":                     {Token: strings.Repeat("0", 64)},
		"one bit off":                     {Token: flipped(good)},
		"half of it":                      {Token: good[:32]},
		"too much":                        {Token: good + "00"},
		"a revoked one":                   {Token: revoked.Token},
		"an expired one":                  {Token: expired.Token},
		"the id of a good one":            {Token: strings.ReplaceAll(bound.ID, "-", "") + strings.ReplaceAll(bound.ID, "-", "")},
		"one for another session":         {Token: bound.Token, Session: "two"},
		"a session that climbs":           {Token: good, Session: "../one"},
		"the id of a user":                {Token: p.id},
		"the name of a user, as hex text": {Token: fmt.Sprintf("%064x", "root")},
	} {
		if c, err := client.DialAs(t.Context(), h, o); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				_ = c.Close()
			}
		}
	}
	c := dialAs(t, h, person{token: bound.Token}, "")
	denied(t, "its user's session beside the token's", c.Call(t.Context(), op.Status, wire.For[wire.None]{Session: "two"}, nil))
	eventually(t, "all were refused", func() bool { // who is refused is told first, and counted then
		_, refused, _ := k.Socket.Stats()
		return refused == 11
	})
	refusals := func() (n int) {
		for _, r := range auditLog(t, owner) {
			if r.Action["type"] == "connection_refused" {
				n++
			}
		}
		return n
	}
	eventually(t, "each refusal is recorded", func() bool { return refusals() == 11 })
}

func flipped(token string) string {
	last := "0"
	if strings.HasSuffix(token, "0") {
		last = "1"
	}
	return token[:63] + last
}

// Frames recorded on one connection do nothing on another, nor before its
// handshake; an answer that is sent again answers nothing.
func TestReplayedFrames(t *testing.T) {
	h, k := served(t)
	request := `{"topic":"astrid.v1.request.1","payload":{"type":"raw_json","method":"shutdown","params":{}}}`
	f := knock(t, h)
	f.send(request)
	if frame := string(f.frame()); !strings.Contains(frame, `"status":"error"`) {
		t.Errorf("before the handshake it is answered %s", frame)
	}
	if _, err := wire.ReadFrame(f, wire.MaxReply); err == nil {
		t.Error("and goes on")
	}
	f = enter(t, h, "")
	f.send(`{"token":"` + strings.Repeat("0", 64) + `","protocol_version":1,"client_version":"x"}`) // a second Hello is no message
	var r wire.AskReply
	c := dial(t, h)
	must(t, c.Call(t.Context(), op.Ask, wire.AskApproval{Action: "a", Resource: "r", Defer: true}, &r))
	yes := `{"topic":"astrid.v1.approval.response.` + r.ID + `","payload":{"type":"approval_response","request_id":"` + r.ID + `","decision":"approve"}}`
	f.send(yes)
	f.ask("x", "version", "{}")
	f.answer("x")
	if got := remembers(t, c, "", "a"); got != "deferred" { // "a now" is another request
		t.Error(got)
	}
	ask := wire.AskApproval{Action: "a", Resource: "r", Defer: true}
	must(t, c.Call(t.Context(), op.Ask, ask, &r))
	if r.Decision != "allowance" {
		t.Errorf("the answer was lost: %+v", r)
	}
	for range 3 {
		f.send(yes)
	}
	f.ask("y", "version", "{}")
	f.answer("y")
	must(t, c.Call(t.Context(), op.Ask, ask, &r))
	if r.Decision != "deferred" {
		t.Errorf("an answer was good twice: %+v", r)
	}
	if k.Ops.Closed() != "" {
		t.Error("it stops")
	}
}

// Whatever JSON comes, its sender is answered, and nothing falls.
func TestHostileJSON(t *testing.T) {
	h, k := served(t)
	f := enter(t, h, "")
	deep := func(open, inner, shut string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	for name, params := range map[string]string{
		"deep arrays":      deep("[", "", "]", 100_000),
		"deep objects":     deep(`{"a":`, "1", "}", 100_000),
		"deep and unended": strings.Repeat("[", 1<<20),
		"a megabyte key":   `{"` + strings.Repeat("k", 1<<20) + `":1}`,
		"many members":     "{" + manyMembers(50_000) + `"z":1}`,
		"a duplicate":      `{"namespace":"x","namespace":"y","key":"k"}`,
		"a huge number":    `{"namespace":"x","key":"k","ttl_seconds":1` + strings.Repeat("0", 100_000) + `}`,
		"no UTF-8":         "{\"namespace\":\"\xff\",\"key\":\"k\"}",
		"a NUL":            `{"namespace":"a\u0000b","key":"k","text":"v"}`,
		"lone surrogates":  `{"namespace":"\ud800","key":"k","text":"v"}`,
		"a deep value":     `{"namespace":"x","key":"k","text":"v","old":` + deep("[", "", "]", 100_000) + `}`,
	} {
		id := strings.ReplaceAll(name, " ", "-")
		f.ask(id, op.KVSet, params)
		if r := f.answer(id); r.Code != fault.Usage.Code() {
			t.Errorf("%s: %.200s", name, r.Data)
		}
	}
	for _, frame := range []string{strings.Repeat("[", 4000), `{"token":` + deep("[", "", "]", 1900) + `}`} {
		bad := knock(t, h)
		bad.send(frame)
		if _, err := wire.ReadFrame(bad, wire.MaxHandshake); err == nil {
			t.Error("a handshake of brackets was answered")
		}
	}
	for _, header := range [][]byte{{0, 0, 0x10, 1}, {0xff, 0xff, 0xff, 0xff}} { // one past 4 KiB, 4 GiB
		bad := knock(t, h)
		_, _ = bad.Write(header)
		if _, err := wire.ReadFrame(bad, wire.MaxHandshake); err == nil {
			t.Error("it was answered")
		}
	}
	if keys, err := k.State.Space("x", store.SpaceOptions{}); err != nil {
		t.Error(err)
	} else if list, _ := keys.List(""); len(list) > 0 {
		t.Errorf("set: %q", list)
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d":1,`, i)
	}
	return b.String()
}

// What lies in the way when a kernel boots is removed or refused, and never
// followed.
func TestPathsThatWerePreparedBySomebody(t *testing.T) {
	h := scratch(t, "h")
	must(t, h.Ensure())
	victim := filepath.Join(filepath.Dir(h.String()), "victim")
	write(t, victim, "precious")
	for _, path := range []string{h.Socket(), h.Token(), h.Ready(), filepath.Join(h.Sessions(), fmt.Sprintf("system.%d.tmp", os.Getpid()))} {
		must(t, os.Symlink(victim, path))
	}
	k, _ := boot(t, h)
	for _, path := range []string{h.Socket(), h.Token(), h.Ready()} {
		if st, err := os.Lstat(path); err != nil || st.Mode()&os.ModeSymlink != 0 || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, st, err)
		}
	}
	must(t, k.Stop("test"))
	if got := read(t, victim); got != "precious" {
		t.Errorf("the link was followed: %q", got)
	}
	must(t, os.Remove(h.Lock()))
	must(t, os.Symlink(victim, h.Lock()))
	if k, err := kernel.New(t.Context(), kernel.Config{Home: h}); err == nil {
		t.Error("it locked a link")
		_ = k.Stop("test")
	}
	must(t, os.Remove(h.Lock()))
	if got := read(t, victim); got != "precious" {
		t.Errorf("the lock wrote %q", got)
	}
	for name, prepare := range map[string]func() error{
		"a key that others may read":    func() error { return os.Chmod(h.RuntimeKey(), 0o644) },
		"a link in place of the key":    func() error { return relink(h.RuntimeKey()) },
		"a link in place of sessions":   func() error { return relink(h.Sessions()) },
		"sessions that all may write":   func() error { return os.Chmod(h.Sessions(), 0o777) },
		"a home that the group changes": func() error { return os.Chmod(h.String(), 0o770) },
	} {
		must(t, prepare())
		k, err := kernel.New(t.Context(), kernel.Config{Home: h})
		if err == nil {
			t.Errorf("%s: it booted", name)
			_ = k.Stop("test")
		}
		gone(t, h.Socket(), h.Token())
		mend(t, h)
	}
	_ = os.Remove(h.Lock())
}

// relink puts a link to a path in its place.
func relink(path string) error {
	return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
}

// mend undoes what the test above prepared.
func mend(t *testing.T, h home.Home) {
	t.Helper()
	must(t, os.Chmod(h.String(), 0o700))
	for _, path := range []string{h.Sessions(), h.RuntimeKey()} {
		if _, err := os.Lstat(path + ".real"); err == nil {
			must(t, errors.Join(os.Remove(path), os.Rename(path+".real", path)))
		}
	}
	must(t, errors.Join(os.Chmod(h.Sessions(), 0o700), os.Chmod(h.RuntimeKey(), 0o600)))
}

func TestAHomeThatOthersMayReadIsClosedAndAForeignOneRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes homes of others")
	}
	h := scratch(t, "h")
	must(t, h.Ensure())
	must(t, os.Chmod(h.String(), 0o755))
	k, _ := boot(t, h)
	if st, err := os.Stat(h.String()); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st, err)
	}
	must(t, k.Stop("test"))
	for _, path := range []string{h.Sessions(), h.Keys(), h.String()} {
		must(t, os.Chown(path, 65534, 65534))
		if k, err := kernel.New(t.Context(), kernel.Config{Home: h}); !fault.Is(err, fault.Denied) {
			t.Errorf("%s of another: %v", path, err)
			if err == nil {
				_ = k.Stop("test")
			}
		}
		must(t, os.Chown(path, 0, 0))
	}
	_ = os.Remove(h.Lock())
}

// Whoever looks at the token while kernels come and go sees none or a whole one,
// closed to others at every moment, and only the running kernel's gets in.
func TestTheTokenFileIsNeverHalfThere(t *testing.T) {
	h := scratch(t, "h")
	must(t, h.Ensure())
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			data, err := home.ReadPrivate(h.Token(), 100) // refuses what others may read
			if err == nil && len(data) != 64 {
				err = fmt.Errorf("a token of %d bytes", len(data))
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				done <- err
				return
			}
		}
	}()
	seen := map[string]bool{}
	for range 5 {
		k, _ := boot(t, h)
		token := read(t, h.Token())
		for old := range seen {
			if c, err := client.DialAs(t.Context(), h, client.Options{Token: old}); err == nil {
				t.Error("the token of an earlier kernel is good")
				_ = c.Close()
			}
		}
		if seen[token] {
			t.Error("the same token twice")
		}
		seen[token] = true
		must(t, dial(t, h).Call(t.Context(), op.Version, nil, nil))
		must(t, k.Stop("test"))
		gone(t, h.Token())
	}
	close(stop)
	must(t, <-done)
	if left, _ := filepath.Glob(filepath.Join(h.Sessions(), "*.tmp")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	_ = os.Remove(h.Lock())
}

// Who asks again and again for what it does not get fills no log with it, and
// nothing of it is lost.
func TestAFloodOfDenialsIsCounted(t *testing.T) {
	h := scratch(t, "h")
	k, _ := boot(t, h)
	owner := dial(t, h)
	p := newcomer(t, owner, "p")
	c := dialAs(t, h, p, "")
	const asked = 1500
	for i := range asked {
		method, params := op.Users, any(nil) // not audited
		if i%2 == 0 {
			method, params = op.KVSet, wire.KVSet{KVKey: wire.KVKey{Namespace: "capsule:c", Key: "k"}} // audited
		}
		denied(t, "one of many", c.Call(t.Context(), method, params, nil))
	}
	must(t, k.Stop("test"))
	k, _ = boot(t, h)
	records, told := 0, 0
	for _, r := range auditLog(t, dial(t, h)) {
		if r.Action["type"] != "denial" || r.Principal != p.id {
			continue
		}
		records++
		n := 1
		if count := r.Action["count"]; count != "" {
			n, _ = strconv.Atoi(count)
		}
		told += n
	}
	if told != asked || records > asked/2 {
		t.Errorf("%d of %d are told, in %d records", told, asked, records)
	}
	must(t, k.Stop("test"))
	_ = os.Remove(h.Lock())
}
