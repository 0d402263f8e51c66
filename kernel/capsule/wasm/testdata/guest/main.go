// The guest of the tests: each export does one thing to its host.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

//go:wasmimport extism:host/env alloc
func alloc(n uint64) uint64

//go:wasmimport extism:host/env free
func free(at uint64)

//go:wasmimport extism:host/env length
func length(at uint64) uint64

//go:wasmimport extism:host/env load_u8
func loadByte(at uint64) uint32

//go:wasmimport extism:host/env load_u64
func loadWord(at uint64) uint64

//go:wasmimport extism:host/env store_u8
func storeByte(at uint64, b uint32)

//go:wasmimport extism:host/env store_u64
func storeWord(at uint64, w uint64)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u8
func inputByte(at uint64) uint32

//go:wasmimport extism:host/env input_load_u64
func inputWord(at uint64) uint64

//go:wasmimport extism:host/env output_set
func outputSet(at, n uint64)

//go:wasmimport extism:host/env error_set
func errorSet(at uint64)

//go:wasmimport extism:host/env var_get
func varGet(key uint64) uint64

//go:wasmimport extism:host/env var_set
func varSet(key, value uint64)

//go:wasmimport extism:host/env config_get
func configGet(key uint64) uint64

//go:wasmimport extism:host/env log_warn
func logWarn(text uint64)

//go:wasmimport extism:host/env get_log_level
func logLevel() uint32

//go:wasmimport extism:host/user join
func join(a, b uint64) uint64

//go:wasmimport extism:host/user wait
func wait(a uint64)

//go:wasmimport extism:host/user answer
func answer() uint64

//go:wasmimport extism:host/user nothing
func nothing()

func main() {}

func word(b []byte) *uint64 { return (*uint64)(unsafe.Pointer(&b[0])) }

func put(text []byte) uint64 {
	at := alloc(uint64(len(text)))
	for i := 0; i < len(text); i++ {
		if i%8 == 0 && len(text)-i >= 8 {
			storeWord(at+uint64(i), *word(text[i : i+8]))
			i += 7
			continue
		}
		storeByte(at+uint64(i), uint32(text[i]))
	}
	return at
}

func get(at uint64) []byte {
	text := make([]byte, length(at))
	for i := 0; i < len(text); i++ {
		if i%8 == 0 && len(text)-i >= 8 {
			*word(text[i : i+8]) = loadWord(at + uint64(i))
			i += 7
			continue
		}
		text[i] = byte(loadByte(at + uint64(i)))
	}
	return text
}

func input() []byte {
	text := make([]byte, inputLength())
	for i := 0; i < len(text); i++ {
		if i%8 == 0 && len(text)-i >= 8 {
			*word(text[i : i+8]) = inputWord(uint64(i))
			i += 7
			continue
		}
		text[i] = byte(inputByte(uint64(i)))
	}
	return text
}

func output(text []byte) int32 {
	outputSet(put(text), uint64(len(text)))
	return 0
}

func number() uint64 {
	n, err := strconv.ParseUint(string(input()), 0, 64)
	if err != nil {
		panic(err)
	}
	return n
}

//go:wasmexport echo
func echo() int32 { return output(input()) }

//go:wasmexport upper
func upper() int32 { return output([]byte(strings.ToUpper(string(input())))) }

//go:wasmexport fail
func fail() int32 {
	errorSet(put(input()))
	return 7
}

//go:wasmexport fail_silently
func failSilently() int32 { return -1 }

// freed sets an output and frees its block, as some guests do.
//
//go:wasmexport freed
func freed() int32 {
	at := put(input())
	outputSet(at, length(at))
	free(at)
	if length(at) != 0 {
		panic("a freed block has a length")
	}
	return 0
}

//go:wasmexport joined
func joined() int32 {
	a, b, _ := strings.Cut(string(input()), " ")
	return output(get(join(put([]byte(a)), put([]byte(b)))))
}

//go:wasmexport waits
func waits() int32 {
	wait(put(input()))
	return output([]byte("waited"))
}

//go:wasmexport answers
func answers() int32 {
	nothing()
	return output([]byte(strconv.FormatUint(answer(), 10)))
}

var calls int

//go:wasmexport count
func count() int32 {
	calls++
	return output([]byte(strconv.Itoa(calls)))
}

// vars sets variable k to the input and tells what it was.
//
//go:wasmexport vars
func vars() int32 {
	key := put([]byte("k"))
	old := get(varGet(key))
	varSet(key, put(input()))
	return output(old)
}

//go:wasmexport config
func config() int32 { return output(get(configGet(put([]byte("k"))))) }

//go:wasmexport says
func says() int32 {
	text := string(input())
	fmt.Println(text)
	fmt.Fprint(os.Stderr, text, "\nhalf a line")
	logWarn(put([]byte(text)))
	return output([]byte(strconv.Itoa(int(logLevel()))))
}

//go:wasmexport says_much
func saysMuch() int32 {
	line := []byte(strings.Repeat("x", 4000) + "\n")
	for range number() {
		os.Stdout.Write(line)
	}
	return 0
}

// world tells of what WASI shows of the machine.
//
//go:wasmexport world
func world() int32 {
	_, errRoot := os.ReadDir("/")
	_, errFile := os.Open("/etc/passwd")
	return output(fmt.Appendf(nil, "%v %v %t %t %t", os.Environ(), os.Args, errRoot != nil, errFile != nil, time.Now().Year() > 2000))
}

//go:wasmexport sleeps
func sleeps() int32 {
	d, err := time.ParseDuration(string(input()))
	if err != nil {
		panic(err)
	}
	time.Sleep(d)
	return output([]byte("slept"))
}

//go:wasmexport spins
func spins() int32 {
	for {
		calls++
	}
}

//go:wasmexport panics
func panics() int32 { panic(string(input())) }

//go:wasmexport exits
func exits() int32 {
	output([]byte("left"))
	os.Exit(int(number()))
	return 0
}

//go:wasmexport eats
func eats() int32 {
	var all [][]byte
	for {
		all = append(all, make([]byte, 1<<20))
		runtime.KeepAlive(all)
	}
}

//go:wasmexport recurses
func recurses() int32 { return recurse([1000]int32{1}) }

func recurse(n [1000]int32) int32 {
	if n[0] == 0 {
		return n[999]
	}
	return recurse(n) + recurse(n)
}

//go:wasmexport floods_blocks
func floodsBlocks() int32 {
	for {
		alloc(1)
	}
}

//go:wasmexport floods_big
func floodsBig() int32 {
	for {
		alloc(1 << 20)
	}
}

//go:wasmexport floods_calls
func floodsCalls() int32 {
	a := put([]byte("a"))
	for {
		free(join(a, a))
	}
}

//go:wasmexport floods_host
func floodsHost() int32 {
	for {
		nothing()
	}
}

//go:wasmexport allocs
func allocs() int32 { alloc(number()); return 0 }

//go:wasmexport loads
func loads() int32 { put([]byte("eight by")); loadWord(number()); return 0 }

//go:wasmexport stores
func stores() int32 { put([]byte("eight by")); storeByte(number(), 1); return 0 }

//go:wasmexport outputs
func outputs() int32 { outputSet(put([]byte("eight by")), number()); return 0 }

//go:wasmexport joins
func joins() int32 { n := number(); join(n, n); return 0 }

//go:wasmexport run
func run() {
	for get(join(put([]byte("next")), put(nil)))[0] != 'x' {
	}
}
