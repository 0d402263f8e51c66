// Package op is the one table of operations: everything that the kernel can be
// asked to do is one entry with its name, the types of its params and reply,
// the capability it needs, its rate limit, whether it is audited, and its
// handler. The socket, the control files and the command line are doors to this
// table and hold no checks of their own.
//
// # What a door may rely on
//
// Table.Do and Run check, in this order: that the table is open, that the
// operation exists, that the context has a caller who is somebody, the shape of
// the params and the session name in them, without which nobody can say what the
// caller must be entitled to; that the caller is entitled to it, that it can be
// recorded if it must be, its rate, and last a right that is good once, which is
// spent by it. Then the handler runs. Every operation is counted, and audited where
// the entry says so or when it was denied, whatever came of it, before its caller
// is answered. Every error has a fault.Kind. A handler that panics is an error of
// Kind Internal, logged with its stack.
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
