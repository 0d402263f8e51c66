//go:build wasip1

package sdk

import "unsafe"

// served is what this capsule serves. A guest is one instance with one goroutine
// of the host's in it, so nothing guards it.
var served = newHandlers()

// Tool serves a tool of the manifest; what it returns is the tool's result.
func Tool(name string, f func(Call) ([]byte, error)) { served.tools[name] = f }

// Interceptor serves an action of an [[interceptor]].
func Interceptor(action string, f func(Call) (Verdict, error)) {
	served.hooks[action] = func(c Call) ([]byte, error) {
		v, err := f(c)
		return v.answer, err
	}
}

// Command serves a slash command; what it returns is shown to the user.
func Command(name string, f func(Call) ([]byte, error)) { served.commands[name] = f }

// Cron serves an action of a plan.
func Cron(action string, f func(Call) error) {
	served.crons[action] = func(c Call) ([]byte, error) { return nil, f(c) }
}

//go:wasmexport astrid_tool_call
func toolCall() int32 { return answer(serve(served.tools, input())) }

//go:wasmexport astrid_hook_trigger
func hookTrigger() int32 { return answer(serve(served.hooks, input())) }

//go:wasmexport astrid_command_run
func commandRun() int32 { return answer(serve(served.commands, input())) }

//go:wasmexport astrid_cron_trigger
func cronTrigger() int32 { return answer(serve(served.crons, input())) }

// answer hands the result of a call to the host.
func answer(out []byte, err error) int32 {
	if err != nil {
		errorSet(block([]byte(err.Error())))
		return -1
	}
	if len(out) > 0 {
		outputSet(block(out), uint64(len(out)))
	}
	return 0
}

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

// block copies bytes into a block of the host's and returns its handle.
func block(data []byte) uint64 {
	at := alloc(uint64(len(data)))
	i := 0
	for ; i+8 <= len(data); i += 8 {
		storeWord(at+uint64(i), *(*uint64)(unsafe.Pointer(&data[i])))
	}
	for ; i < len(data); i++ {
		storeByte(at+uint64(i), uint32(data[i]))
	}
	return at
}

// take copies a block of the host's and gives it back.
func take(at uint64) []byte {
	if at == 0 {
		return nil
	}
	data := make([]byte, length(at))
	i := 0
	for ; i+8 <= len(data); i += 8 {
		*(*uint64)(unsafe.Pointer(&data[i])) = loadWord(at + uint64(i))
	}
	for ; i < len(data); i++ {
		data[i] = byte(loadByte(at + uint64(i)))
	}
	free(at)
	return data
}

// input is what the capsule was called with.
func input() []byte {
	data := make([]byte, inputLength())
	i := 0
	for ; i+8 <= len(data); i += 8 {
		*(*uint64)(unsafe.Pointer(&data[i])) = inputWord(uint64(i))
	}
	for ; i < len(data); i++ {
		data[i] = byte(inputByte(uint64(i)))
	}
	return data
}
