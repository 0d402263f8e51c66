// Package fault is the error vocabulary of Astrid: one total table from Kind to
// errno, wire code and exit code. A Kind decides behaviour; a text never does.
//
// Services make errors with New and Wrap; each door (socket, control files,
// command line) asks KindOf once and looks the answer up in the table. An error
// that nobody classified is Internal: EIO, "internal", exit code 1.
//
// The package is a leaf and holds no state.
package fault
