package text_test

import (
	"testing"

	"astrid/ctl/text"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

func TestParseBrake(t *testing.T) {
	req, ok, err := text.ParseBrake(" off deleted=10 bytes=2g ops-per-second=1k changed=0\n")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	got, sound := req.Apply(wire.BrakeLimits{Changed: 7, BytesPerSecond: 9})
	if want := (wire.BrakeLimits{Deleted: 10, Bytes: 2 << 30, OpsPerSecond: 1 << 10}); got != want || !sound {
		t.Errorf("got %+v", got)
	}
	if req, ok, err := text.ParseBrake(`{"reset":true,"changed":5}`); err != nil || !ok || !req.Reset || *req.Changed != 5 {
		t.Errorf("%+v %v %v", req, ok, err)
	}
	if _, ok, err := text.ParseBrake(" \n"); ok || err != nil {
		t.Errorf("an empty line: %v %v", ok, err)
	}
	for _, line := range []string{"deleted", "deleted=-1", "deleted=x", "bytes=9999999999T", "frob=1", "bytes=K", `{"frob":1}`, "'"} {
		if _, ok, err := text.ParseBrake(line); ok || !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v %v", line, ok, err)
		}
	}
}
