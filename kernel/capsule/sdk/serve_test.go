package sdk

import (
	"errors"
	"testing"
)

func TestACallReachesItsHandler(t *testing.T) {
	h := newHandlers()
	h.tools["greet"] = func(c Call) ([]byte, error) {
		var in struct{ Name string }
		if err := c.Decode(&in); err != nil {
			return nil, err
		}
		return []byte("hello " + in.Name), nil
	}
	out, err := serve(h.tools, []byte(`{"name":"greet","arguments":[123,34,110,97,109,101,34,58,34,97,34,125]}`))
	if err != nil || string(out) != "hello a" {
		t.Errorf("%s, %v", out, err)
	}
	if _, err := serve(h.tools, []byte(`{"name":"none","arguments":[]}`)); !errors.Is(err, errNone) {
		t.Errorf("an unknown tool: %v", err)
	}
	if _, err := serve(h.tools, []byte(`{`)); err == nil {
		t.Error("what is no call was served")
	}
}

func TestVerdictsHaveTheirByte(t *testing.T) {
	for want, v := range map[string]Verdict{"": Continue(), "\x00{}": Rewrite([]byte("{}")), "\x01": Final(), "\x02no": Deny("no")} {
		if string(v.answer) != want {
			t.Errorf("%q, want %q", v.answer, want)
		}
	}
}
