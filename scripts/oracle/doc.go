// Package oracle runs a guest under the Extism SDK and under our engine, with the
// same answers from the host, and compares what comes of it: the output, the error
// and what the guest asked the host for.
//
//	make oracle
//
// What both serve is compared. What only ours has (limits of a call's time, of
// memory and of messages) is in the tests of kernel/capsule/wasm.
//
// It is a module of its own: what it compares Astrid with is no part of the program.
package oracle
