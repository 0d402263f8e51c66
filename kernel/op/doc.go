// Package op is the one table of operations: everything that the kernel can be
// asked to do is one entry with its name, the types of its params and reply,
// the capability it needs, its rate limit, whether it is audited, and its
// handler. The socket, the control files and the command line are doors to this
// table and hold no checks of their own.
//
// # What a door may rely on
//
// Table.Do and Run check, in this order: that the table is open, that the
// operation exists, that the caller in the context is entitled to it, its rate,
// the shape of the params and the session name in them; then the handler runs
// and the operation is counted and, where the entry says so, audited, whatever
// came of it. Every error has a fault.Kind. A handler that panics is an error
// of Kind Internal, logged with its stack.
//
// A context without a Caller is nobody and is denied everything.
//
// # Adding an operation
//
// Add one line to entries. The capability is an argument without a default: an
// entry that names none does not compile, and the zero Capability is granted to
// nobody. The tests of the doors fail until the new entry is reachable.
//
// # Locks
//
// Table.mu and each window.mu are leaves: nothing is called while one is held.
package op
