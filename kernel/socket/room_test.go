package socket_test

import (
	"runtime"
	"strings"
	"testing"

	"astrid/kernel/bus"
	"astrid/kernel/op/optest"
	"astrid/kernel/socket"
	"astrid/kernel/wire"
)

// An operation that lasts does not keep the room that its request took.
func TestALargeRequestIsDoneWithOnceItIsUnderstood(t *testing.T) {
	s := &optest.Sessions{Gate: make(chan struct{})}
	s.Add("x")
	f := startWith(t, s, socket.Config{MaxReceive: 100 << 10})
	waiting, other := f.client(t), f.client(t)
	pad := strings.Repeat("x", 60<<10)
	for _, id := range []string{"1", "2", "3"} {
		send(t, waiting, request(id, "status", `{"session":"x","pad":"`+pad+`"}`))
	}
	send(t, other, request("big", "version", `{"pad":"`+pad+`"}`))
	if id, r := answer(t, other); id != "big" || r.Status != wire.StatusSuccess {
		t.Errorf("got %s: %+v", id, r)
	}
	close(s.Gate)
	for range 3 {
		if id, r := answer(t, waiting); r.Status != wire.StatusSuccess {
			t.Errorf("got %s: %+v", id, r)
		}
	}
}

// Clients that do not read keep little of what is sent to them, however large
// the messages are.
func TestWhatWaitsForAClientIsBoundedInBytes(t *testing.T) {
	f := start(t, &optest.Sessions{})
	for range 16 {
		f.client(t)
	}
	reader := f.client(t)
	text := strings.Repeat("x", 1<<20)
	for range 40 {
		if _, err := f.bus.Publish(bus.Message{Topic: "agent.v1.response", Payload: wire.Raw(`{"type":"custom","data":"` + text + `"}`)}); err != nil {
			t.Fatal(err)
		}
		if _, err := wire.ReadFrame(reader, wire.MaxReply); err != nil {
			t.Fatal(err)
		}
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 200<<20 { // 16 clients would keep 40 MiB each
		t.Errorf("%d MiB wait for nobody", m.HeapAlloc>>20)
	}
}
