// Package cli holds the verbs of the astrid command, one file a verb.
//
// # Contract
//
// A verb reads its surroundings from Env alone. It prints its result on
// standard output, in words or, with --json, as one JSON value; advice,
// questions and progress go to standard error. It returns an error whose
// fault.Kind is the exit code, or an exit of its own; Main prints errors, once.
//
// Nothing asks when standard input is no terminal: what would destroy work then
// needs --yes. An interrupt at any moment is harmless: the kernel gives up what
// has not passed its point of no return and finishes what has.
package cli
