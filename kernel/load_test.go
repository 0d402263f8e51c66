package kernel_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// What a kernel is loaded with. ASTRID_LOAD multiplies how often it is killed.
const (
	crowd     = 1000 // clients at once, of which
	deafOnes  = 100  // never read,
	babblers  = 10   // send garbage,
	ears      = 20   // listen to a session,
	writers   = 16   // set values, and the others look at what is running.
	betweenKO = 200  // values set between two kills

	// maxMemory bounds the kernel under this load, raceMemory one that is built
	// with the race detector.
	maxMemory  = 512 << 20
	raceMemory = 3 * maxMemory
)

// load is the crowd around one kernel.
type load struct {
	h       home.Home
	ctx     context.Context
	running sync.WaitGroup
	acked   sync.Map // key → the KVSet that was acknowledged last
	count   atomic.Int64
	heard   atomic.Int64
	online  atomic.Int64
	wrong   chan error
}

// complain keeps the first things that went wrong.
func (l *load) complain(err error) {
	select {
	case l.wrong <- err:
	default:
	}
}

// connect dials until there is a kernel or the test ends.
func (l *load) connect(token, session string) (net.Conn, error) {
	for {
		c, err := l.try(token, session)
		if err == nil || l.ctx.Err() != nil {
			return c, errors.Join(err, l.ctx.Err())
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-l.ctx.Done():
		}
	}
}

func (l *load) try(token, session string) (net.Conn, error) {
	c, err := net.Dial("unix", l.h.Socket())
	if err != nil {
		return nil, err
	}
	if token == "" {
		data, _ := os.ReadFile(l.h.Token())
		token = string(data)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	_ = wire.WriteFrame(c, []byte(`{"token":"`+token+`","protocol_version":1,"client_version":"load","session":"`+session+`"}`))
	frame, err := wire.ReadFrame(c, wire.MaxHandshake)
	if err == nil && !strings.Contains(string(frame), `"ok"`) {
		err = errors.New(string(frame))
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, c.SetDeadline(time.Time{})
}

// stay plays a role on one connection after another.
func (l *load) stay(token, session string, role func(net.Conn)) {
	l.running.Go(func() {
		for l.ctx.Err() == nil {
			c, err := l.connect(token, session)
			if err != nil {
				return
			}
			l.online.Add(1)
			hangUp := context.AfterFunc(l.ctx, func() { _ = c.Close() })
			role(c)
			hangUp()
			_ = c.Close()
			l.online.Add(-1)
		}
	})
}

// deaf never reads, and asks for more than it is sent anyway.
func (l *load) deaf(c net.Conn) {
	_ = wire.WriteFrame(c, []byte(`{"topic":"astrid.v1.request.1","payload":{"type":"raw_json","method":"events","params":{"follow":true}}}`))
	<-l.ctx.Done()
}

func babble(c net.Conn) {
	for _, frame := range []string{"not json", "[]", `{"topic":"session.v1.request..","payload":{}}`, strings.Repeat("[", 20_000), `{"topic":"astrid.v1.request.1","payload":{"type":"raw_json","method":7}}`} {
		_ = wire.WriteFrame(c, []byte(frame))
	}
	_, _ = c.Write([]byte{0xff, 0xff, 0xff, 0xff, 'x'})
	_, _ = io.Copy(io.Discard, c) // until it is cut
}

// listen hears a session, and nothing of another.
func (l *load) listen(session string) func(net.Conn) {
	return func(c net.Conn) {
		for {
			frame, err := wire.ReadFrame(c, wire.MaxReply)
			if err != nil {
				return
			}
			if strings.Contains(string(frame), `"agent.v1.response"`) {
				l.heard.Add(1)
				if !strings.Contains(string(frame), `"for `+session+` `) {
					l.complain(fmt.Errorf("who may hear %s heard %.300s", session, frame))
				}
			}
		}
	}
}

// look asks now and then what is running.
func (l *load) look(c net.Conn) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		_ = wire.WriteFrame(c, []byte(`{"topic":"astrid.v1.request.1","payload":{"type":"raw_json","method":"version"}}`))
		for {
			frame, err := wire.ReadFrame(c, wire.MaxReply)
			if err != nil {
				return
			}
			if strings.Contains(string(frame), `"astrid.v1.response.1"`) {
				break
			}
		}
		select {
		case <-tick.C:
		case <-l.ctx.Done():
			return
		}
	}
}

// write sets one value after another and remembers what was acknowledged.
func (l *load) write(n int) {
	l.running.Go(func() {
		for i := 0; l.ctx.Err() == nil; {
			c, err := client.Dial(l.ctx, l.h)
			for err == nil && l.ctx.Err() == nil {
				set := wire.KVSet{KVKey: wire.KVKey{Namespace: "load", Key: fmt.Sprintf("%d.%d", n, i)}, KVValue: wire.NewKVValue(fmt.Appendf(nil, "value %d", i))}
				i++
				if err = c.Call(l.ctx, op.KVSet, set, nil); err == nil {
					l.acked.Store(set.Key, set)
					l.count.Add(1)
				}
			}
			if c != nil {
				_ = c.Close()
			}
			if err != nil && l.ctx.Err() == nil && !fault.Is(err, fault.NotRunning) && !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Denied) {
				l.complain(fmt.Errorf("writer %d: %w", n, err)) // denied: a token of the kernel before
			}
		}
	})
}

// speak publishes about two sessions, more than deaf clients can be kept.
func (l *load) speak() {
	text := strings.Repeat("x", 8<<10)
	l.running.Go(func() {
		for i := 0; l.ctx.Err() == nil; {
			c, err := client.Dial(l.ctx, l.h)
			for err == nil && l.ctx.Err() == nil {
				session := []string{"one", "two"}[i%2]
				i++
				err = c.Call(l.ctx, op.Publish, wire.PublishRequest{Topic: "agent.v1.response", Session: session,
					Payload: wire.Raw(fmt.Sprintf(`{"type":"agent_response","text":"for %s %s","is_final":true,"session_id":"default"}`, session, text))}, nil)
			}
			if c != nil {
				_ = c.Close()
			}
		}
	})
}

func TestACrowdAndAKernelThatIsKilledUnderIt(t *testing.T) {
	kills := 1
	if n, err := strconv.Atoi(os.Getenv("ASTRID_LOAD")); err == nil && n > 0 {
		kills *= n
	}
	h := scratch(t, "h")
	pid := begin(t, h)
	owner := dial(t, h)
	a := newcomer(t, owner, "a", "astrid://one/session:read")
	b := newcomer(t, owner, "b", "astrid://two/session:read")
	idle := descriptors(t, pid)
	_ = owner.Close()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := &load{h: h, ctx: ctx, wrong: make(chan error, 8)}
	for range deafOnes {
		l.stay("", "", l.deaf)
	}
	for range babblers {
		l.stay(b.token, "", babble)
	}
	for range ears / 4 {
		l.stay(a.token, "", l.listen("one"))
		l.stay(b.token, "", l.listen("two"))
		l.stay("", "one", l.listen("one"))
		l.stay(b.token, "two", l.listen("two"))
	}
	for range crowd - deafOnes - babblers - ears - writers - 1 {
		l.stay(a.token, "one", l.look)
	}
	for n := range writers {
		l.write(n)
	}
	l.speak()

	for range kills {
		want := l.count.Load() + betweenKO
		eventually(t, "the crowd is there and values are set", func() bool {
			return l.count.Load() >= want && l.online.Load() >= crowd*9/10 || len(l.wrong) > 0
		})
		if got := memory(t, pid); got > maxMemory && !raceEnabled || got > raceMemory {
			t.Errorf("the kernel takes %d MiB", got>>20)
		}
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		awaitDeath(t, pid)
		pid = begin(t, h)
	}
	want, heard := l.count.Load()+betweenKO, l.heard.Load()
	eventually(t, "all goes on", func() bool { return l.count.Load() >= want && l.heard.Load() > heard || len(l.wrong) > 0 })
	peak := memory(t, pid)
	cancel()
	l.running.Wait()
	close(l.wrong)
	for err := range l.wrong {
		t.Error(err)
	}
	t.Logf("%d values acknowledged, %d messages heard, %d MiB, after %d kills", l.count.Load(), l.heard.Load(), peak>>20, kills)
	l.check(t)
	eventually(t, "the descriptors of the crowd are closed", func() bool { return descriptors(t, pid) <= idle+8 })
}

// check demands everything that was acknowledged of the store and of the audit log.
func (l *load) check(t *testing.T) {
	t.Helper()
	c := dial(t, l.h)
	var report wire.AuditReport
	must(t, c.Call(t.Context(), op.AuditVerify, nil, &report))
	if report.Bad != 0 || report.Records == 0 {
		t.Errorf("the audit log: %+v", report)
	}
	recorded := map[string]bool{}
	for _, r := range auditLog(t, c) {
		if r.Outcome["status"] == "success" {
			recorded[r.Action["params_digest"]] = true
		}
	}
	lost := 0
	l.acked.Range(func(key, value any) bool {
		set := value.(wire.KVSet)
		var got wire.KVValue
		err := c.Call(t.Context(), op.KVGet, set.KVKey, &got)
		if err != nil || string(got.Value()) != string(set.Value()) {
			t.Errorf("%s was acknowledged and is %q, %v", key, got.Value(), err)
			lost++
		}
		params, _ := wire.Encode(set)
		if sum := sha256.Sum256(params); !recorded[hex.EncodeToString(sum[:])] {
			t.Errorf("%s was acknowledged and is not in the audit log", key)
			lost++
		}
		return lost < 10
	})
}

// memory is the resident memory of a process in bytes.
func memory(t *testing.T, pid int) int64 {
	t.Helper()
	for line := range strings.Lines(read(t, filepath.Join("/proc", itoa(pid), "status"))) {
		if fields := strings.Fields(line); fields[0] == "VmRSS:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			must(t, err)
			return kib << 10
		}
	}
	t.Fatal("it has no memory")
	return 0
}

// descriptors is how many files a process has open.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(filepath.Join("/proc", itoa(pid), "fd"))
	must(t, err)
	return len(list)
}

// However many clients come, descriptors are left for everything else.
func TestClientsLeaveDescriptorsToTheStores(t *testing.T) {
	h := scratch(t, "h")
	exe, _ := os.Executable()
	limited := filepath.Join(t.TempDir(), "limited")
	must(t, os.WriteFile(limited, []byte("#!/bin/sh\nulimit -n 128\nexec "+exe+" \"$@\"\n"), 0o755))
	must(t, client.Start(t.Context(), limited, h, environ()))
	first := enter(t, h, "")
	for range 200 {
		knock(t, h)
	}
	first.ask("x", op.KVSet, `{"namespace":"x","key":"k","text":"v"}`)
	if r := first.answer("x"); r.Status != wire.StatusSuccess {
		t.Errorf("a client that was there: %+v", r)
	}
	if n := descriptors(t, lockedBy(h)); n >= 128 {
		t.Errorf("it has %d descriptors", n)
	}
}

// When there are none left all the same, clients wait until there are.
func TestAcceptSurvivesWithoutDescriptors(t *testing.T) {
	h := scratch(t, "h")
	pid := begin(t, h)
	var limit unix.Rlimit
	must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit))
	limit.Cur = uint64(descriptors(t, pid)) + 20
	must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil))
	first := enter(t, h, "")
	var all []frontend
	for range 60 {
		all = append(all, knock(t, h))
	}
	eventually(t, "it has run out of them", func() bool { return strings.Contains(read(t, h.KernelLog()), "too many open files") })
	first.ask("x", "version", "{}")
	if r := first.answer("x"); r.Status != wire.StatusSuccess {
		t.Errorf("a client that was there: %+v", r)
	}
	for _, f := range all {
		_ = f.Close()
	}
	must(t, dial(t, h).Call(t.Context(), op.Version, nil, nil))
}

// A store that finds no descriptor to begin a file with ends the kernel, which
// says why; the next one has everything.
func TestAStoreThatFailsEndsTheKernelAndLosesNothing(t *testing.T) {
	h := scratch(t, "h")
	pid := begin(t, h)
	c := dial(t, h)
	none := unix.Rlimit{Cur: 0, Max: 4096}
	must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &none, nil))
	value := wire.NewKVValue(bytes.Repeat([]byte("v"), 64<<10))
	set := func(n int) error {
		return c.Call(t.Context(), op.KVSet, wire.KVSet{KVKey: wire.KVKey{Namespace: "x", Key: itoa(n)}, KVValue: value}, nil)
	}
	acked := 0
	for ; acked < 2000 && set(acked) == nil; acked++ {
	}
	awaitDeath(t, pid)
	if log := read(t, h.KernelLog()); acked == 0 || !strings.Contains(log, "a store failed, and has all that was acknowledged") {
		t.Errorf("after %d writes it did not say why it ended", acked)
	}
	begin(t, h)
	c = dial(t, h)
	for n := range acked {
		var got wire.KVValue
		if err := c.Call(t.Context(), op.KVGet, wire.KVKey{Namespace: "x", Key: itoa(n)}, &got); err != nil {
			t.Fatalf("%d of %d was acknowledged: %v", n, acked, err)
		}
	}
	must(t, set(acked))
	var r wire.AuditReport
	must(t, c.Call(t.Context(), op.AuditVerify, wire.VerifyAudit{}, &r))
	if r.Why != "" || r.Records < uint64(acked) {
		t.Errorf("%+v", r)
	}
}
