package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

func (b *bench) read(since uint64, limit int, f Filter) []Entry {
	b.t.Helper()
	entries, err := b.log.Read(context.Background(), since, limit, f)
	if err != nil {
		b.t.Fatal(err)
	}
	return entries
}

func TestWhatIsAppendedIsRead(t *testing.T) {
	b := newBench(t)
	failed := example(2)
	failed.Session, failed.Outcome = "other", Of(fault.New(fault.Conflict, "the base moved"))
	failed.Time = at(1_800_000_000)
	for _, r := range []Record{example(1), failed} {
		if err := b.log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	got := b.read(0, 0, Filter{})
	if len(got) != 2 || got[0].Seq != 1 || got[1].Seq != 2 || got[1].Previous != got[0].Hash || got[0].Previous != [32]byte{} || got[0].ID == got[1].ID {
		t.Fatalf("%+v", got)
	}
	second := got[1].Record
	second.Seq, second.ID, second.KeyID, second.Previous = 0, [16]byte{}, [8]byte{}, [32]byte{}
	if diff := cmp.Diff(failed, second); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		since  uint64
		filter Filter
		want   int
	}{
		"after the first":    {1, Filter{}, 1},
		"after the last":     {2, Filter{}, 0},
		"of a session":       {0, Filter{Session: "hello"}, 1},
		"of a principal":     {0, Filter{Principal: "owner"}, 2},
		"of nobody":          {0, Filter{Principal: "x"}, 0},
		"of a type":          {0, Filter{Types: []Type{Commit, Op}}, 2},
		"of another type":    {0, Filter{Types: []Type{Commit}}, 0},
		"failures":           {0, Filter{Failures: true}, 1},
		"failures elsewhere": {0, Filter{Failures: true, Session: "hello"}, 0},
	} {
		if got := b.read(c.since, 0, c.filter); len(got) != c.want {
			t.Errorf("%s: %d records", name, len(got))
		}
	}
	if got := b.read(0, 1, Filter{}); len(got) != 1 {
		t.Errorf("a limit of 1 gives %d", len(got))
	}
	if h := b.log.Head(); h.Seq != 2 || h.Hash != got[1].Hash {
		t.Errorf("the head is %+v", h)
	}
}

func TestALogGoesOnAfterItWasClosed(t *testing.T) {
	b := newBench(t)
	for round := range 3 {
		b.append(round*10, round*10+10)
		b.close()
		b.open()
	}
	r := wantWhole(t, b.log)
	if r.To != 33 || r.Checkpoints != 3 {
		t.Errorf("%+v", r)
	}
	b.close() // nothing new: no checkpoint
	b.open()
	if h := b.log.Head(); h.Seq != 33 || h.Checkpoint != 33 {
		t.Errorf("%+v", h)
	}
}

func TestAClosedLogRefuses(t *testing.T) {
	b := newBench(t)
	if err := errors.Join(b.log.Close(t.Context()), b.log.Close(t.Context())); err != nil {
		t.Error(err)
	}
	wantKind(t, b.log.Append(t.Context(), example(1)), fault.Unavailable, "closed")
	b.log.Note(example(2))
	if got := b.read(0, 0, Filter{}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestCloseWaitsNoLongerThanItsContext(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.log.Close(ctx); err != nil {
		wantKind(t, err, fault.Interrupted, "close the audit log")
	}
}

func TestRecordsKeepToTheVocabulary(t *testing.T) {
	b := newBench(t)
	for name, change := range map[string]func(*Record){
		"no action":                func(r *Record) { r.Action = Action{} },
		"an unknown action":        func(r *Record) { r.Action.Type = "sabotage" },
		"an unknown field":         func(r *Record) { r.Action.Fields = Fields{"colour": "red"} },
		"part of a field":          func(r *Record) { r.Action.Fields = Fields{"params": "x"} },
		"two fields at once":       func(r *Record) { r.Action.Fields = Fields{"method session": "x"} },
		"a field without name":     func(r *Record) { r.Action.Fields = Fields{"": "x"} },
		"no authorization":         func(r *Record) { r.Authorization = Authorization{} },
		"an unknown authorization": func(r *Record) { r.Authorization.Type = "because" },
		"a field of another one":   func(r *Record) { r.Authorization.Fields = Fields{"token_id": "x"} },
	} {
		r := example(1)
		change(&r)
		if err := b.log.Append(t.Context(), r); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %v", name, err)
		}
		b.log.Note(r)
	}
	if b.log.Head().Seq != 0 {
		t.Error("something was written")
	}
}

func TestEveryActionOf02IsKnown(t *testing.T) {
	n := 0
	for _, kind := range strings.Fields(`mcp_tool_call capsule_tool_call mcp_resource_read mcp_prompt_get mcp_elicitation
		mcp_url_elicitation mcp_sampling file_read file_delete file_write capability_created capability_revoked
		approval_requested approval_granted approval_denied session_started session_ended context_summarized llm_request
		server_started server_stopped elicitation_sent elicitation_received security_violation sub_agent_spawned config_reloaded
		boot shutdown connection_opened connection_closed connection_refused op commit denial capability_used
		allowance_created allowance_used allowance_revoked checkpoint archived notes_lost log_broken`) {
		names, known := Type(kind).fields()
		if !known || len(strings.Fields(names)) > maxFields {
			t.Errorf("%s: %q", kind, names)
		}
		n++
	}
	if n != 42 {
		t.Errorf("%d actions", n)
	}
}

func TestTextsAreCutAndMadeValid(t *testing.T) {
	b := newBench(t)
	r := example(1)
	r.Door = "a\xffb"
	r.Outcome.Text = strings.Repeat("é", MaxText)
	r.Action.Fields["params_digest"] = strings.Repeat("x", MaxText)
	if err := b.log.Append(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	got := b.read(0, 0, Filter{})[0]
	if got.Door != "a\ufffdb" || len(got.Action.Fields["params_digest"]) != MaxText {
		t.Errorf("%+v", got)
	}
	if text := got.Outcome.Text; len(text) > MaxText || len(text) < MaxText-4 || !strings.HasSuffix(text, "é…") {
		t.Errorf("%d bytes: …%q", len(text), text[len(text)-8:])
	}
}

func TestANoteIsWrittenSoonAndInItsPlace(t *testing.T) {
	b := newBench(t)
	records, err := b.store.Space(store.AuditRecords, store.SpaceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	events := records.Watch(t.Context(), "")
	b.log.Note(example(1))
	if e := <-events; e.Key != recordKey(1) {
		t.Errorf("%+v", e)
	}
	for n := 2; n < 40; n += 2 {
		b.log.Note(example(n))
		b.append(n+1, n+2)
	}
	for i, e := range b.read(0, 0, Filter{}) {
		if want := fmt.Sprintf("op%d", i+1); e.Action.Fields["method"] != want {
			t.Errorf("%d is %s", i+1, e.Action.Fields["method"])
		}
	}
}

func TestLostNotesAreCounted(t *testing.T) {
	b := newBench(t)
	const n = 20_000
	for i := range n {
		b.log.Note(example(i))
	}
	if err := b.log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	notes, lost := 0, 0
	for since := uint64(0); ; {
		page := b.read(since, 0, Filter{})
		for _, e := range page {
			switch e.Action.Type {
			case Op:
				notes++
			case NotesLost:
				var k int
				if _, err := fmt.Sscan(e.Action.Fields["count"], &k); err != nil {
					t.Fatal(err)
				}
				lost += k
			}
			since = e.Seq
		}
		if len(page) < MaxRead {
			break
		}
	}
	if notes+lost != n || notes < noteLength {
		t.Errorf("%d written, %d lost", notes, lost)
	}
}

func TestAfterAFailedWriteEveryAppendFails(t *testing.T) {
	b := newBench(t)
	b.append(0, 3)
	b.closeStore()
	first := b.log.Append(t.Context(), example(3))
	wantKind(t, first, fault.Unavailable, "nothing that must be audited is done")
	b.openStore() // which does not help
	if err := b.log.Append(t.Context(), example(4)); err == nil || err.Error() != first.Error() {
		t.Errorf("%v", err)
	}
	b.log.Note(example(5))
	if err := b.log.Close(t.Context()); err == nil || err.Error() != first.Error() {
		t.Errorf("close: %v", err)
	}
	b.log = nil
	b.open()
	if r := wantWhole(t, b.log); r.To != 3 {
		t.Errorf("%+v", r)
	}
}

func TestAnAppendThatGivesUp(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for n := range 50 {
		if err := b.log.Append(ctx, example(n)); err != nil {
			wantKind(t, err, fault.Interrupted, "append to the audit log")
		}
	}
}

// Records as large as they get, from many goroutines, over a checkpoint.
func TestAppendHammer(t *testing.T) {
	b := newBench(t)
	large := strings.Repeat("x", 3900)
	const writers, each = 16, 300
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r := example(w*each + i)
				if i%3 == 0 {
					r.Outcome.Text = large
				}
				if i%2 == 0 {
					b.log.Note(r)
				}
				if err := b.log.Append(t.Context(), r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 10 {
			if r, err := b.log.Verify(t.Context(), 0); err != nil || r.Bad != nil {
				t.Errorf("while it grows: %+v, %v", r, err)
			}
		}
	})
	wg.Wait()
	if r := wantWhole(t, b.log); r.To < writers*each || r.Checkpoints == 0 {
		t.Errorf("%+v", r)
	}
	if h := b.log.Head(); h.Seq-h.Checkpoint > CheckpointEvery {
		t.Errorf("%+v", h)
	}
}

func TestAnExportCanBeVerifiedByAStranger(t *testing.T) {
	b := newBench(t)
	b.append(0, 5)
	var out bytes.Buffer
	if err := b.log.Export(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, text := range lines {
		var l struct {
			Seq             uint64            `json:"seq"`
			Action          map[string]string `json:"action"`
			Outcome         map[string]string `json:"outcome"`
			Body, Signature []byte
		}
		if err := json.Unmarshal([]byte(text), &l, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		if l.Seq != uint64(i+1) || l.Action["type"] != "op" || l.Action["method"] != fmt.Sprintf("op%d", i) || l.Outcome["status"] != "success" {
			t.Errorf("%s", text)
		}
		hash := hashOf(l.Body)
		if !ed25519.Verify(testKey(0).Public().(ed25519.PublicKey), append([]byte("astrid audit signature 1\x00"), hash[:]...), l.Signature) {
			t.Errorf("line %d does not verify", i+1)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantKind(t, b.log.Export(ctx, &out), fault.Interrupted, "export")
	_, err := b.log.Verify(ctx, 0)
	wantKind(t, err, fault.Interrupted, "verify")
}
