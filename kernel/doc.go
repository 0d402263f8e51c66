// Package kernel is the control plane of Astrid: one Kernel per home owns what it
// remembers (state store, audit log, keys), who may do what (identity,
// capabilities, allowances, approvals, questions), the message bus, the table of sessions,
// the operation table, the capsules and their router, the control tree and the
// socket. It holds no business logic, and nothing else of Astrid reaches a
// workspace but through it.
//
// # Invariants of the whole system
//
//  1. One kernel a home: whoever holds the flock on sessions/system.lock. It is
//     taken before anything but the home's directories is touched and given
//     back last.
//  2. Nothing that is done in a view reaches the workspace but by a commit, and
//     every commit is one operation of the table that its caller was entitled to.
//  3. A commit is all or nothing over a crash at any instant.
//  4. The kernel may be killed at any instant without disturbing a program that
//     works in a view: views are served by processes of their own, and the next
//     kernel takes them over.
//  5. A view server may be killed at any instant without losing what was
//     acknowledged: it is started again and replays its log.
//  6. Every door (socket, control files, command line) goes through the one
//     operation table: one check, one rate, one audit record, one vocabulary of
//     errors. What the table was not told may be done is denied, and a user may
//     do what a capability token grants it and nothing else.
//  7. What is secret is 0600 in a directory 0700 from its first moment; tokens,
//     nonces and what people answer to the questions of capsules appear in no log.
//  8. A client that is slow, silent, malformed or gone costs nobody but itself.
//  9. The kernel serves only the control tree and never opens a path in it. It
//     may touch views like any program, but never without a deadline.
//  10. system.ready exists only while socket and control tree answer. A token
//     on disk is that of the running kernel, or of one that was killed.
//  11. A stop ends within Config.StopTimeout, whatever hangs, and says what it
//     left. Uncommitted work is kept by every way of stopping.
//  12. Every queue, frame, line and rate has a bound that its package states.
//  13. What changes something is in the audit log, synced, before its caller is
//     answered; when the log cannot be written nothing is changed any more. A
//     commit that was finished without a kernel, or whose outcome this one was not
//     told, is recorded as soon as its view answers, and before the next one. A
//     flood of denials of one principal is counted and told in one record a minute.
//  14. Nobody is shown a message of the bus about a session that it may not read,
//     nor one on behalf of another user. A flood of messages evicts no answer
//     and no request for approval, and what is lost is counted and told.
//  15. What is allowed for a session ends with it, or a minute after the last
//     frontend has gone.
//  16. A capsule is loaded with the bytes that somebody agreed to, and may do what
//     its manifest asks for and was granted to it then. What it changes lies in the
//     view of the session that called it; a call ends at its limits, and a capsule
//     that fails does so alone. A capsule of a workspace serves its sessions only.
//     What runs while one is installed is held by the same grant, and leaves nothing
//     when it fails.
//  17. The result of a tool comes from the capsule that serves it, and from nobody
//     else; who may refuse it has seen it before anybody gets it.
//
// # Boot and stop
//
// New is the boot: numbered steps, each logged with its duration. When one
// fails, those before it are undone in reverse and the error names it. Run
// serves until there is a reason to stop, and undoes the steps in reverse.
//
// Reasons to stop: ctx of Run ends (a signal), the operation `shutdown`, or
// nothing left to do: no client is connected, no capsule waits for the world, and
// no session is up after a `down`, or none has been for Config.Linger; or nobody
// has needed the kernel for as long as is configured (package idle), and no program
// works in a view; or a store that takes no more commits, which the next kernel
// opens anew.
//
// # Locks
//
//	Kernel.installing   one installation, removal or reload
//	Kernel.naming       one server that names its tools
//	  capsule.Registry  its own
//	    servers.mu      a leaf
//	Kernel.mu           a leaf
//	missed.mu           a leaf, taken inside a transaction of the state store
package kernel
