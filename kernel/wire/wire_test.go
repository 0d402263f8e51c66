package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"astrid/kernel/fault"
)

// oneWrite fails the test when a frame takes more than one Write.
type oneWrite struct {
	bytes.Buffer
	calls int
}

func (w *oneWrite) Write(p []byte) (int, error) { w.calls++; return w.Buffer.Write(p) }

func TestFrameRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 4, 4096, eager, eager + 1, 3 << 20} {
		payload := bytes.Repeat([]byte("x"), size)
		var w oneWrite
		if err := WriteFrame(&w, payload); err != nil {
			t.Fatal(err)
		}
		if w.calls != 1 {
			t.Errorf("%d bytes took %d writes", size, w.calls)
		}
		got, err := ReadFrame(iotest.HalfReader(&w), size)
		if err != nil || !bytes.Equal(got, payload) || got == nil {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
	}
}

func TestFrameLimits(t *testing.T) {
	var w bytes.Buffer
	if err := WriteFrame(&w, make([]byte, MaxHandshake)); err != nil {
		t.Fatal(err)
	}
	frame := w.Bytes()
	if _, err := ReadFrame(bytes.NewReader(frame), MaxHandshake); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := ReadFrame(bytes.NewReader(frame), MaxHandshake-1); !fault.Is(err, fault.Limit) {
		t.Errorf("one past the limit: %v", err)
	}
	w.Reset()
	if err := WriteFrame(&w, make([]byte, MaxReply+1)); !fault.Is(err, fault.Limit) || w.Len() != 0 {
		t.Errorf("an oversized frame: %v, %d bytes written", err, w.Len())
	}
}

func TestFrameEnds(t *testing.T) {
	whole := []byte{0, 0, 0, 3, 'a', 'b', 'c'}
	for n := range whole {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := ReadFrame(bytes.NewReader(whole[:n]), 10); !errors.Is(err, want) {
			t.Errorf("ended after %d bytes: %v, want %v", n, err, want)
		}
	}
}

// A header that promises 4 GiB costs nothing, and one that promises a legal
// amount and then stalls costs no more than what arrives.
func TestFrameAllocatesWhatArrives(t *testing.T) {
	var header [4]byte
	binary.BigEndian.PutUint32(header[:], MaxReply)
	body := append(header[:], make([]byte, 100)...)
	allocs := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ReadFrame(bytes.NewReader(body), MaxReply); err == nil {
				b.Fatal("a short body was accepted")
			}
		}
	})
	if per := allocs.AllocedBytesPerOp(); per > 4*eager {
		t.Errorf("%d bytes allocated for a body of 100", per)
	}
}

func TestDecodeIsStrict(t *testing.T) {
	bad := map[string]string{
		"duplicate name":   `{"session":"a","session":"b"}`,
		"wrong type":       `{"session":1}`,
		"trailing data":    `{"session":"a"} {}`,
		"truncated":        `{"session":"a"`,
		"empty":            ``,
		"invalid UTF-8":    "{\"session\":\"\xff\"}",
		"unknown and dup":  `{"x":{"y":1,"y":2}}`,
		"lone surrogate":   `{"session":"\ud800"}`,
		"bare word":        `session`,
		"deeply nested":    strings.Repeat("[", 100_000),
		"number too large": `{"session":"a","force":1e999}`,
	}
	for name, text := range bad {
		var r RemoveRequest
		if err := Decode([]byte(text), &r); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var r RemoveRequest
	if err := Decode([]byte(` {"session":"a","later":{"x":[1]},"Session":"b"} `), &r); err != nil || r.Session != "a" {
		t.Errorf("unknown names must be ignored: %+v, %v", r, err)
	}
}

func TestMessageHasAllFiveKeys(t *testing.T) {
	m := Message{Topic: "a.b", Payload: Raw(`{"type":"connect"}`), SourceID: NilSource,
		Timestamp: Stamp(time.Date(2026, 3, 15, 14, 0, 0, 123456789, time.FixedZone("x", 3600)))}
	got, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"topic":"a.b","payload":{"type":"connect"},"signature":null,` +
		`"source_id":"00000000-0000-0000-0000-000000000000","timestamp":"2026-03-15T13:00:00.123456Z"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	m.Signature = Numbers{0, 7, 255}
	got, _ = Encode(m)
	if !strings.Contains(string(got), `"signature":[0,7,255]`) {
		t.Errorf("signature: %s", got)
	}
	var back Message
	if err := Decode(got, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, back); diff != "" {
		t.Error(diff)
	}
	if err := Decode([]byte(`{"signature":[256]}`), &back); err == nil {
		t.Error("256 is no byte")
	}
}

func TestParseMessageNeedsTopicAndPayloadOnly(t *testing.T) {
	good := `{"topic":"t","payload":{"type":"x"},"timestamp":17,"source_id":null,"signature":"?"}`
	if m, err := ParseMessage([]byte(good)); err != nil || m.Topic != "t" || PayloadType(m.Payload) != "x" {
		t.Errorf("%+v, %v", m, err)
	}
	for name, text := range map[string]string{
		"no topic": `{"payload":{}}`, "no payload": `{"topic":"t"}`, "topic is a number": `{"topic":1,"payload":{}}`,
		"long topic": fmt.Sprintf(`{"topic":%q,"payload":{}}`, strings.Repeat("t", MaxTopic+1)), "not an object": `[]`,
	} {
		if _, err := ParseMessage([]byte(text)); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	longest := fmt.Sprintf(`{"topic":%q,"payload":{}}`, strings.Repeat("t", MaxTopic))
	if _, err := ParseMessage([]byte(longest)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func TestRawJSON(t *testing.T) {
	for name, c := range map[string]struct {
		in   any
		want string
	}{
		"members lie beside the tag": {Request{Method: "M"}, `{"type":"raw_json","method":"M"}`},
		"an empty object":            {None{}, `{"type":"raw_json"}`},
	} {
		got, err := RawJSON(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for name, in := range map[string]any{"an array": []int{1}, "a string": "x", "a second type": map[string]int{"type": 1}} {
		if got, err := RawJSON(in); err == nil {
			t.Errorf("%s became %s", name, got)
		}
	}
}

func TestForLiesFlat(t *testing.T) {
	in := For[CommitRequest]{Session: "s", Request: CommitRequest{Paths: Paths{"a"}, If: "d"}}
	got, err := Encode(in)
	if want := `{"session":"s","paths":["a"],"if":"d"}`; err != nil || string(got) != want {
		t.Fatalf("got %s, %v", got, err)
	}
	var back For[CommitRequest]
	if err := Decode(got, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, back); diff != "" {
		t.Error(diff)
	}
	if got, err := Encode(For[None]{Session: "s"}); err != nil || string(got) != `{"session":"s"}` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestPathsSurviveByteForByte(t *testing.T) {
	in := ChangesRequest{Paths: Paths{"plain", "naïve\n", "\xff\xfe", "", "{\"b64\":1}", "\u2028<&>"}}
	data, err := EncodeExact(in)
	if err != nil {
		t.Fatal(err)
	}
	var back ChangesRequest
	if err := Decode(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, back); diff != "" {
		t.Error(diff)
	}
	for _, raw := range in.Paths {
		var c Change
		c.Path, c.PathB64 = SplitPath(raw)
		if c.Name() != raw {
			t.Errorf("%q became %q", raw, c.Name())
		}
	}
	for _, bad := range []string{`{"paths":[1]}`, `{"paths":{}}`, `{"paths":[{"b64":"%"}]}`} {
		if err := Decode([]byte(bad), &back); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := EncodeExact(Up{Dir: "\xff"}); !fault.Is(err, fault.Usage) {
		t.Errorf("a directory that JSON cannot carry: %v", err)
	}
}

func TestErrorsCrossTheWireWithTheirKind(t *testing.T) {
	for _, k := range fault.All() {
		err := fault.New(k, "about \xff %s", "x")
		if got := ErrorOf(err).Err(); fault.KindOf(got) != k || got.Error() != err.Error() {
			t.Errorf("Error: %v of kind %v", got, fault.KindOf(got))
		}
		data, e := Encode(ErrorResponse(err))
		if e != nil {
			t.Fatal(e)
		}
		var r Response
		if e := Decode(data, &r); e != nil {
			t.Fatal(e)
		}
		if got := r.Err(); fault.KindOf(got) != k || !strings.HasPrefix(got.Error(), "about ") {
			t.Errorf("Response: %v of kind %v", got, fault.KindOf(got))
		}
	}
	if ErrorOf(nil) != nil || (*Error)(nil).Err() != nil || (Response{Status: StatusSuccess}).Err() != nil {
		t.Error("no error became one")
	}
	if ErrorOf(syscall.ENOSPC).Code != "no_space" {
		t.Error("an errno lost its kind")
	}
}

func TestResponseTopic(t *testing.T) {
	for in, want := range map[string]string{
		"astrid.v1.request.x":   "astrid.v1.response.x",
		"astrid.v1.request.a.b": "astrid.v1.response.a.b",
		"astrid.v1.request.":    "astrid.v1.response.",
		"other":                 "other",
	} {
		if got := ResponseTopic(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, '{', '}'})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		payload, err := ReadFrame(r, MaxHandshake)
		if err != nil {
			return
		}
		again, err := AppendFrame(nil, payload)
		if err != nil || !bytes.Equal(again, in[:len(in)-r.Len()]) {
			t.Fatalf("%x was read from %x", payload, in)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"topic":"astrid.v1.request.a","payload":{"type":"raw_json","method":"status","params":{"session":"x"}}}`))
	f.Add([]byte(`{"topic":"t","payload":null,"signature":[1,2],"source_id":"","timestamp":"now"}`))
	f.Add([]byte(`{"topic":"t","payload":{"type":"raw_json","paths":[{"b64":"/w=="}]}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := ParseMessage(in)
		if err != nil {
			return
		}
		data, err := Encode(m)
		if err != nil {
			t.Fatalf("%q cannot be written again: %v", in, err)
		}
		back, err := ParseMessage(data)
		if err != nil || back.Topic != m.Topic {
			t.Fatalf("%q became %q: %v", in, data, err)
		}
		_ = PayloadType(m.Payload)
		var r Request
		_ = Decode(m.Payload, &r)
		var c For[CommitRequest]
		_ = Decode(r.Params, &c)
	})
}
