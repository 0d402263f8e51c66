package wasm

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"astrid/kernel/fault"
)

func TestAGuestAnswersWhatItIsAsked(t *testing.T) {
	b := compile(t, Config{}, goGuest(t))
	for _, text := range []string{"", "a", "exactly8", "nine byte", strings.Repeat("z", 10<<20)} {
		b.want(t, "echo", text, text)
	}
	b.want(t, "upper", "grow", "GROW")
	b.want(t, "freed", "kept", "kept")
	b.want(t, "answers", "", "1099511627776")
	b.want(t, "config", "", "")
	if b.idle[0].call != nil {
		t.Error("an idle instance holds the blocks of its last call")
	}
	if s := b.Stats(); s.Made != 1 || s.Lost != 0 || s.Idle != 1 {
		t.Errorf("all by one instance, but %+v", s)
	}
}

func TestExportsAreExact(t *testing.T) {
	b := compile(t, Config{}, goGuest(t))
	if all := b.Exports(); !slices.IsSorted(all) || !slices.Contains(all, "run") || !b.Has("run") || slices.Contains(all, "_initialize") {
		t.Errorf("%v", all)
	}
	w := module{types: "()→() ()→I (i)→() ()→f ()→II", bodies: []string{"", "42 07", "", "43 00000000", "42 01 42 02"}, typed: []int{0, 1, 2, 3, 4},
		exports: map[string]int{"plain": 0, "long": 1, "run": 2, "float": 3, "two": 4}}
	b = compile(t, Config{}, w.bytes())
	if all := b.Exports(); !slices.Equal(all, []string{"long", "plain"}) || b.Has("run") {
		t.Errorf("%v", all)
	}
	_, err := b.Call(t.Context(), "run", nil)
	wantKind(t, err, fault.NotFound, "exports no such function")
	wantKind(t, b.Run(t.Context()), fault.NotFound, "exports no run")
}

func TestAGuestsErrorIsItsOwnText(t *testing.T) {
	b := compile(t, Config{}, goGuest(t))
	_, err := b.Call(t.Context(), "fail", []byte("no such \xffile"))
	var guest *GuestError
	if !errors.As(err, &guest) || err.Error() != "no such \uFFFDile" || guest.Code != 7 {
		t.Errorf("%v", err)
	}
	_, err = b.Call(t.Context(), "fail_silently", nil)
	wantKind(t, err, fault.Internal, "returned 4294967295 and did not say why")
	if s := b.Stats(); s.Made != 1 || s.Lost != 0 {
		t.Errorf("an error cost an instance: %+v", s)
	}
}

func TestHostFunctionsGetBlocksAndReturnThem(t *testing.T) {
	b := compile(t, Config{}, goGuest(t))
	b.want(t, "joined", "ab cd", "abcd")
	b.want(t, "joined", " only", "only")
	b.want(t, "joined", "", "")
	b.want(t, "joined", strings.Repeat("a", 64)+" b", strings.Repeat("a", 64)+"b")
	b.wantEnded(t, "joined", strings.Repeat("a", 65)+" b", Misuse, fault.Limit, "memory allocation of 65 bytes exceeds maximum allowed limit of 64 bytes")
	b.wantEnded(t, "joined", "big x", Misuse, fault.Limit, "exceeds maximum")
}

func TestAHostFunctionsErrorEndsTheCallAndIsItsCause(t *testing.T) {
	b := compile(t, Config{}, goGuest(t))
	b.want(t, "count", "", "1")
	err := b.wantEnded(t, "joined", "fail x", Host, fault.NotFound, "call joined: join: join: the host has no such thing")
	if !errors.Is(err, errHost) {
		t.Errorf("the cause is lost: %v", err)
	}
	b.want(t, "count", "", "1") // by another instance
	b.wantEnded(t, "joined", "panic x", Host, fault.Internal, "it has a defect: a defect")
	if !strings.Contains(b.log.String(), "a host function panicked") {
		t.Errorf("nothing is logged: %s", b.log.String())
	}
}

func TestVariablesLiveAsLongAsTheInstance(t *testing.T) {
	b := compile(t, Config{}, goGuest(t))
	b.want(t, "vars", "1", "")
	b.want(t, "vars", "2", "1")
	b.want(t, "vars", "", "2")
	b.want(t, "vars", "", "")
	big := strings.Repeat("v", MaxVars-blockCost-1)
	b.want(t, "vars", big, "")
	b.want(t, "vars", big, big)
	b.wantEnded(t, "vars", big+"v", Misuse, fault.Limit, "all its variables")
}

func TestWhatAGuestSaysIsHeardByTheLine(t *testing.T) {
	b := compile(t, Config{}, goGuest(t))
	b.want(t, "says", "hello\nworld", "3")
	for _, line := range []string{"hello", "world", "half a line"} {
		if !slices.Contains(b.lines, line) {
			t.Errorf("%q is not in %q", line, b.lines)
		}
	}
	if !strings.Contains(b.log.String(), `msg=guest text="hello\nworld"`) {
		t.Errorf("log: %s", b.log.String())
	}
}

func TestAGuestThatSaysTooMuchIsCutAndTold(t *testing.T) {
	b := compile(t, Config{}, goGuest(t))
	b.want(t, "says_much", "100000", "")
	said := b.said()
	if !strings.Contains(said, "bytes of output were dropped") || len(said) > 100000*4000/10 {
		t.Errorf("%d bytes heard", len(said))
	}
	b.want(t, "echo", "still here", "still here")
}

func TestAGuestSeesNothingOfTheMachine(t *testing.T) {
	b := compile(t, Config{}, goGuest(t))
	b.want(t, "world", "", "[] [] true true true")
}
