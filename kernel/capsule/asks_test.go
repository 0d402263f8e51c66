package capsule

import (
	"reflect"
	"slices"
	"testing"
)

// full asks for everything that there is to ask for.
const full = `
[capabilities]
uplink = true
net = ["a.org", "b.org"]
kv = ["*"]
fs_read = ["*"]
fs_write = ["x"]
host_process = ["sh"]
net_bind = ["s"]
ipc_publish = ["a.*"]
ipc_subscribe = ["b.*"]
identity = ["link"]
allow_prompt_injection = true
[[interceptor]]
event = "a.*"
action = "x"
[[cron]]
name = "tick"
schedule = "@hourly"
action = "tick"
[[uplink]]
name = "u"
platform = "p"
profile = "chat"
`

func TestAManifestWithinARightIsWhatBothSay(t *testing.T) {
	m, _, err := Parse("m", []byte(manifest("demo", full)))
	if err != nil {
		t.Fatal(err)
	}
	got := m.Within(m.Rights())
	if !reflect.DeepEqual(got.Rights(), m.Rights()) {
		t.Errorf("what it asks for is %+v, and it may %+v", m.Rights(), got.Rights())
	}
	none := m.Within(Rights{})
	if got := none.Asks(); len(got) > 0 {
		t.Errorf("nothing was granted, and it may %q", got)
	}
	if v := reflect.ValueOf(none.Capabilities); slices.ContainsFunc(reflect.VisibleFields(v.Type()), func(f reflect.StructField) bool {
		field := v.FieldByIndex(f.Index)
		return field.Kind() == reflect.Slice && field.Len() > 0 || field.Kind() == reflect.Bool && field.Bool()
	}) {
		t.Errorf("nothing was granted, and it has %+v", none.Capabilities)
	}
	small, _, err := Parse("m", []byte(manifest("demo", "[capabilities]\nnet = [\"b.org\", \"c.org\"]\n")))
	if err != nil {
		t.Fatal(err)
	}
	both := m.Within(small.Rights())
	if got := both.Asks(); !slices.Equal(got, []string{"reach hosts: b.org"}) {
		t.Errorf("both say %q", got)
	}
	if got := small.Rights().Beyond(m.Rights()); !slices.Equal(got, []string{"reach hosts: c.org"}) {
		t.Errorf("beyond it is %q", got)
	}
}

func TestVersionsAreCompared(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     Change
	}{{"1.0.0", "1.0.1", Upgrade}, {"1.10.0", "1.9.0", Downgrade}, {"1.0.0", "1.0.0", Same}, {"1.0.0", "1.0.0-rc.1", Downgrade}} {
		if got := changeOf(c.from, c.to); got != c.want {
			t.Errorf("from %s to %s is %q", c.from, c.to, got)
		}
	}
}
