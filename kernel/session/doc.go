// Package session is the table of sessions: it makes them, starts their view
// servers, finds those that an earlier kernel left running, starts again those
// that died, and carries operations to them over their private sockets.
//
// # Contract
//
// A session is a record on disk (tmp/<name>/session.json) before anything runs
// for it, and the record says whether it is to be up; a kernel that is killed
// at any instant is followed by one that makes the same thing true. A view
// server outlives the kernel: one that is running is taken over and not
// disturbed, also when it speaks a protocol this kernel does not know.
//
// A view server that died without saying why is started again after 0.1 s,
// twice as long each time up to 10 s, at most five times within a minute; then
// the session is failed until the next Up. An operation that meets a restart
// waits up to ten seconds and then fails with Unavailable.
//
// An operation that changes something is done once. When its caller leaves, the
// view server is told to give up, and what came of it is waited for all the same,
// for outcomeTime.
//
// A fork is a session too, with a view server of its own and a record that names
// the session that it was made of, and not one more mount of that one's server as
// was planned at first: so every operation, right, record, control file and sandbox
// is there for it, and a crash is its own. It costs a process, 5 MiB of its own. What it
// begins with is prepared by the view server of its origin, in the TempDir there,
// and renamed into its own before the record is written.
//
// No call hangs on a view: the kernel touches a mount in a goroutine of its own
// and leaves it behind after a deadline.
//
// # Lock order
//
//	Table.making         one session is made at a time
//	  entry.life         up, down and removal of one session exclude each other
//	    Table.mu         the map of sessions
//	    entry.mu         state of one session; nothing is called with it held
package session
