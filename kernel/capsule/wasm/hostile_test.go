package wasm

import (
	"errors"
	"strings"
	"testing"
	"time"

	"astrid/kernel/fault"
)

// patience is a deadline that a sound call keeps on a busy machine.
const patience = 3 * time.Second

func TestHostileGuestsAreEndedAndNamed(t *testing.T) {
	code := goGuest(t)
	for name, c := range map[string]struct {
		export, input string
		why           Reason
		kind          fault.Kind
		text          string
	}{
		"an endless loop":                    {"spins", "", Deadline, fault.Unavailable, "it took longer than 3s"},
		"a long sleep":                       {"sleeps", "8760h", Deadline, fault.Unavailable, "it took longer"},
		"a flood of host calls":              {"floods_host", "", Deadline, fault.Unavailable, "it took longer"},
		"a flood of host calls with blocks":  {"floods_calls", "", Deadline, fault.Unavailable, "it took longer"},
		"a flood of small blocks":            {"floods_blocks", "", Misuse, fault.Limit, "one too many"},
		"a flood of big blocks":              {"floods_big", "", Misuse, fault.Limit, "one too many"},
		"a bomb of memory":                   {"eats", "", Trap, fault.Internal, "of 65536 KiB of memory in use"},
		"recursion without an end":           {"recurses", "", Trap, fault.Internal, "the guest trapped"},
		"a panic":                            {"panics", "oh no", Trap, fault.Internal, "the guest trapped: unreachable"},
		"an exit with a code":                {"exits", "3", Exit, fault.Internal, "exited with code 3"},
		"a block of 2^64-1 bytes":            {"allocs", "0xffffffffffffffff", Misuse, fault.Limit, "exceeds maximum"},
		"a block of 2^63 bytes":              {"allocs", "0x8000000000000000", Misuse, fault.Limit, "exceeds maximum"},
		"a block one byte too long":          {"allocs", "10485761", Misuse, fault.Limit, "exceeds maximum allowed limit of 10485760 bytes"},
		"a load at 0":                        {"loads", "0", Misuse, fault.Usage, "in no block"},
		"a load past the end of a block":     {"loads", "49", Misuse, fault.Usage, "8 bytes at offset 49, which are in no block"},
		"a load whose end overflows":         {"loads", "0xfffffffffffffffb", Misuse, fault.Usage, "in no block"},
		"a store outside of blocks":          {"stores", "1000000", Misuse, fault.Usage, "in no block"},
		"an output longer than its block":    {"outputs", "9", Misuse, fault.Usage, "in no block"},
		"an output of 2^64-1 bytes":          {"outputs", "0xffffffffffffffff", Misuse, fault.Usage, "in no block"},
		"an argument that is no block":       {"joins", "77777", Misuse, fault.Usage, "a block at offset 77777"},
		"an argument in a block's middle":    {"joins", "17", Misuse, fault.Usage, "a block at offset 17"},
		"an argument far beyond all offsets": {"joins", "0xffffffffffffffff", Misuse, fault.Usage, "and its call has none there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := compile(t, Config{Timeout: patience}, code)
			b.want(t, "count", "", "1")
			b.wantEnded(t, c.export, c.input, c.why, c.kind, c.text)
			b.want(t, "count", "", "1") // a fresh instance, which knows nothing of the other
			b.want(t, "count", "", "2")
			if s := b.Stats(); s.Made != 2 || s.Lost != 1 {
				t.Errorf("%+v", s)
			}
			if c.export == "panics" && !strings.Contains(b.said(), "panic: oh no") {
				t.Errorf("the guest's last words are lost: %s", b.said())
			}
		})
	}
}

func TestTheBoundsThemselvesAreAllowed(t *testing.T) {
	b := compile(t, Config{}, goGuest(t))
	b.want(t, "allocs", "10485760", "")
	b.want(t, "allocs", "0", "")
	b.want(t, "loads", "48", "") // the block after the input "48"
	b.want(t, "outputs", "8", "eight by")
	b.want(t, "outputs", "0", "")
	b.want(t, "exits", "0", "left") // an exit that finds no fault is an answer
	_, err := b.Call(t.Context(), "echo", make([]byte, 10<<20+1))
	wantKind(t, err, fault.Limit, "the input has 10485761 bytes")
}

// fork is code that calls the function that "call" names twice, with one less
// than its parameter, until that is 0: it has no loops.
func fork(call string) string {
	once := "2000 4101 6b" + call
	return "2000 45 0440 0f 0b" + once + once
}

func TestHandMadeGuestsHurtNobody(t *testing.T) {
	wasi := "wasi_snapshot_preview1 "
	for name, c := range map[string]struct {
		module module
		why    Reason
		kind   fault.Kind
		text   string
	}{
		"recursion without loops that takes an age": {module{types: "()→() (i)→()", bodies: []string{"413c 1001", fork("1001")}, typed: []int{0, 1}},
			Deadline, fault.Unavailable, "it took longer"},
		"the same through a table": {module{types: "()→() (i)→()", bodies: []string{"413c 1001", fork("4100 110100")}, typed: []int{0, 1}, table: "70 00 01"},
			Trap, fault.Internal, "the guest trapped"}, // the table is empty; see the next
		"the same through a table that is filled": {module{types: "()→() (i)→()", bodies: []string{"4100 d201 2600 413c 1001", fork("4100 110100")}, typed: []int{0, 1}, table: "70 00 01",
			declared: "01"}, Deadline, fault.Unavailable, "it took longer"},
		"recursion that takes all of the stack": {module{types: "()→()", bodies: []string{"1000"}}, Trap, fault.Internal, "stack overflow"},
		"an endless loop":                       {module{types: "()→()", bodies: []string{"0340 0c00 0b"}}, Deadline, fault.Unavailable, "it took longer"},
		"an endless loop when it begins":        {module{types: "()→()", bodies: []string{"", "0340 0c00 0b"}, start: 2}, Deadline, fault.Unavailable, "it took longer"},
		"a trap when it begins":                 {module{types: "()→()", bodies: []string{"", "00"}, start: 2}, Trap, fault.Internal, "unreachable"},
		"an endless loop to initialise itself":  {module{types: "()→()", bodies: []string{"", "0340 0c00 0b"}, exports: map[string]int{"_initialize": 1}}, Deadline, fault.Unavailable, "it took longer"},
		"unreachable":                           {module{types: "()→()", bodies: []string{"00"}}, Trap, fault.Internal, "the guest trapped: unreachable, with 0 of 65536 KiB"},
		"a division by zero":                    {module{types: "()→()", bodies: []string{"4101 4100 6d 1a"}}, Trap, fault.Internal, "integer divide by zero"},
		"a load outside of its memory":          {module{types: "()→()", bodies: []string{"417f 280000 1a"}, memory: "00 01"}, Trap, fault.Internal, "out of bounds memory access"},
		"an exit when it begins": {module{types: "()→() (i)→()", imports: []string{wasi + "proc_exit 0001"}, bodies: []string{"", "4100 1000"}, exports: map[string]int{"f": 1, "_initialize": 2}},
			Exit, fault.Internal, "exited when it was to begin"},
		"output of the same bytes without an end": {module{types: "()→() (iiii)→i", imports: []string{wasi + "fd_write 0001"}, memory: "00 8008",
			bodies: []string{"4100 4101 41808080 20 fc0b00 0340 4101 4100 41ffffff03 41808080 10 1000 1a 0c00 0b"}, exports: map[string]int{"f": 1}},
			Deadline, fault.Unavailable, "it took longer"},
		"a shim call of no function": {module{types: "()→() (iIIIII)→I", imports: []string{"shim __invokeHostFunc 0001"},
			bodies: []string{"4104 4200 4200 4200 4200 4200 1000 1a"}, exports: map[string]int{"f": 1}}, Misuse, fault.Usage, "number 4, and there are 4"},
		"Extism's HTTP": {module{types: "()→() (II)→I", imports: []string{"extism:host/env http_request 0001"}, bodies: []string{"4200 4200 1000 1a"}, exports: map[string]int{"f": 1}},
			Misuse, fault.Denied, "astrid_http_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := c.module
			if m.exports["f"] == 0 {
				if m.exports == nil {
					m.exports = map[string]int{}
				}
				m.exports["f"] = 0
			}
			var config Config
			if c.why == Deadline {
				config.Timeout = time.Second
			}
			b := compile(t, config, m.bytes())
			b.wantEnded(t, "f", "", c.why, c.kind, c.text)
			b.wantEnded(t, "f", "", c.why, c.kind, c.text) // and again, by a fresh instance
			if s := b.Stats(); s.Made != 2 || s.Lost != 2 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// code is what an export returns.
func (b *bench) code(t *testing.T, export string) uint64 {
	t.Helper()
	_, err := b.Call(t.Context(), export, nil)
	var guest *GuestError
	if err != nil && !errors.As(err, &guest) {
		t.Error(err)
	}
	if guest == nil {
		return 0
	}
	return guest.Code
}

func TestMemoryAndTablesGrowToTheirBoundsOnly(t *testing.T) {
	grow := func(n string) string { return "41" + n + "4000" }
	table := func(n string) string { return "d070 41" + n + "fc0f00" }
	m := module{types: "()→i", memory: "00 01", table: "70 00 01",
		bodies:  []string{grow("808008"), grow("ff07"), grow("01"), table("808010"), table("ffff0f"), table("01")},
		exports: map[string]int{"memory past": 0, "memory": 1, "memory more": 2, "table past": 3, "table": 4, "table more": 5}}
	b := compile(t, Config{}, m.bytes())
	for _, c := range []struct {
		export string
		want   uint64
	}{
		{"memory past", 1<<32 - 1}, {"memory", 1}, {"memory more", 1<<32 - 1}, // 1023 pages more are all
		{"table past", 1<<32 - 1}, {"table", 1}, {"table more", 1<<32 - 1},
	} {
		if got := b.code(t, c.export); got != c.want {
			t.Errorf("%s grows from %d, want %d", c.export, int32(got), int32(c.want))
		}
	}
}

func TestTheShimCallsFunctionsByNumber(t *testing.T) {
	shim := func(n, args string) string { return "41" + n + args + "1002" }
	none := strings.Repeat("4200", 5)
	m := module{types: "()→I ()→i (ii)→i (i)→i (iIIIII)→I", imports: []string{"shim __get_function_arg_type 0002", "shim __get_function_return_type 0003", "shim __invokeHostFunc 0004"},
		bodies: []string{shim("02", none), shim("03", strings.Repeat("4207", 5)), shim("00", none), "4100 4101 1000", "4100 4102 1000", "4103 1001", "4102 1001", "417f 1001"},
		typed:  []int{0, 0, 0, 1, 1, 1, 1, 1},
		exports: map[string]int{"answer": 3, "nothing": 4, "join": 5, "second argument": 6, "third argument": 7,
			"result of nothing": 8, "result of answer": 9, "result of none": 10}}
	b := compile(t, Config{}, m.bytes())
	for export, want := range map[string]uint64{"answer": 1 << 40, "nothing": 0, "join": 0, "second argument": 2, "third argument": 0,
		"result of nothing": 0, "result of answer": 2, "result of none": 0} {
		if got := b.code(t, export); got != want {
			t.Errorf("%s is %d, want %d", export, got, want)
		}
	}
}
