// Package wasm runs the WebAssembly module of a capsule.
//
// An Engine compiles modules and caches the machine code. A Module is one
// capsule's: Call calls an export on an instance of a small pool, Run lives in
// its "run" export. The capsule's host functions come in as a table; this
// package knows none of them.
//
// # Contract
//
// Nothing a guest does harms anybody else. It has a bounded memory, bounded
// tables, blocks and variables, a deadline and, if configured, a budget of the
// processor's time; it sees no file, environment or argument of the machine;
// what it says is bounded too. A guest that breaks a rule is ended where it is
// and the error says which rule (Ended). Its instance is thrown away, the next
// call gets a fresh one: no caller ever sees what another call left broken. A
// guest that returns an error (GuestError) keeps its instance.
//
// The deadline counts the guest's time and that of its host functions, except
// between Call.Pause and its resume. The budget counts the guest's own code only.
// When one is used up, or the caller's context or the Module ends, the context of
// the host function that runs ends too; the guest is ended at its next loop, call
// or return from the host. So a call lasts as long as its host functions do.
//
// An instance serves one call at a time. What a guest keeps in its memory and
// variables lasts as long as its instance, which an idle Config.Idle, a fault of
// any call and a pool of more than one make forget: what must last belongs into
// the capsule's store. Calls wait for an instance in no particular order, and
// whoever lets many wait holds their inputs.
//
// What it costs: each turn of a guest's loop, and each call of a function that is
// not a leaf, asks whether it must end, some 25 ns. Recursion without bound takes
// up to 150 MiB for its stack, for a moment, before it is a trap.
//
// # What a guest is
//
// A module of the core specification 2.0, at most MaxModule bytes, which imports
// nothing but functions: of Extism's two modules, of "shim" and of
// wasi_snapshot_preview1. What can be called are its exported functions without
// parameters and with no result or one i32 or i64. If it exports _initialize
// (else __wasm_call_ctors), that is called once when an instance is made.
//
// An export reads its input, sets an output and returns 0. If it returns anything
// else it has failed, and the error it set is why. WASI's proc_exit(0) is an
// answer too, after which the instance is gone; any other code ends the guest.
//
// Host and guest hand bytes to each other in blocks, which are outside of the
// guest's memory: a block is known by its offset, an i64, and 0 is the empty one.
// Blocks live until they are freed or the call ends; no offset is given twice in
// a call. At most Config.MaxBlock bytes are in one and MaxArena in all, each
// counted with 64 bytes more. In a run, which goes on for ever, the oldest blocks
// are freed when there are too many. A load or store that is not within one block
// ends the guest.
//
//	extism:host/env
//	  alloc(n i64) i64                   a block of n zeros
//	  free(at i64)
//	  length(at i64) i64                 also length_unsafe; 0 for what is no block
//	  load_u8(at i64) i32                store_u8(at i64, byte i32)
//	  load_u64(at i64) i64               store_u64(at, word i64), little-endian
//	  input_length() i64                 input_offset() i64
//	  input_load_u8(i i64) i32           input_load_u64(i i64) i64; 0 past the end
//	  output_set(at, n i64)              n bytes within a block
//	  error_set(at i64)                  text in UTF-8; error_get() i64
//	  reset()                            frees all blocks, input and output too
//	  var_get(key i64) i64               var_set(key, value i64); 0 removes
//	  config_get(key i64) i64            always 0
//	  get_log_level() i32                0 trace … 4 error
//	  log_trace, log_debug, log_info, log_warn, log_error(text i64)
//	  http_request(request, body i64) i64    always ends the guest
//	  http_status_code() i32             http_headers() i64; always 0
//	extism:host/user
//	  NAME(block i64, …) i64             one for each of Config.Functions: blocks in,
//	                                     nothing, a block or a plain integer out
//	shim
//	  __get_function_arg_type(function, argument i32) i32     0 none, 2 i64
//	  __get_function_return_type(function i32) i32            0 none, 2 i64
//	  __invokeHostFunc(function i32, a, b, c, d, e i64) i64   by number in the table
//
// WASI has clocks, random bytes, sleep, and standard output and error, which come
// out by the line. Standard input is empty; there is nothing else.
//
// # On disk
//
// The cache belongs to wazero, which names, versions and checks its files. It
// holds machine code, so its directory must be writable by its owner only. A
// cache that is of no use is cleared and made anew.
//
// # Locks
//
//	Engine.mu      a leaf
//	Module.mu      a leaf
//	stopwatch.mu   the context of a call is ended under it
//
// Host functions, Config.Stdio and Config.Log are called with no lock held.
package wasm
