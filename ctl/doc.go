// Package ctl is the control tree: the operation table and the live state as
// files, mounted beside the socket.
//
//	ctl/version            what is running
//	ctl/status             the kernel: pid, uptime, sessions, clients, why it is up
//	ctl/metrics            everything that is counted, for Prometheus
//	ctl/log                the end of the kernel's log
//	ctl/last-error         the sentence behind the last errno that this tree gave
//	ctl/shutdown           one line stops the kernel
//	ctl/events             the messages that the bus remembers, one JSON object a line
//	ctl/events.follow      the same, and then each as it comes: a read waits, so
//	                       it is not listed: grep -r of the tree ends. since=N, written to
//	                       the open file, begins after message N; new, after the last
//	ctl/ask                ACTION RESOURCE [REASON [RISK]]; the write returns with the answer
//	ctl/approvals/ID       a request that waits; a line answers it: approve, approve_session, approve_always, deny
//	ctl/questions/ID       a question of a capsule; a line answers it: decline, FIELD=VALUE, or a JSON object
//	ctl/allowances/ID      what was allowed for longer;  revoke: ID
//	ctl/capabilities/ID    tokens;  grant: USER RESOURCE PERMISSION…   revoke: ID   add: TOKEN
//	ctl/identity/NAME      users;   create: NAME   link: PLATFORM ACCOUNT USER [METHOD]   unlink: PLATFORM ACCOUNT
//	                       tokens: those that users connect with   revoke: ID
//	ctl/capsules/ID/{status,log}  plugins;  install: PATH   trust, remove, enable, disable: ID   call: TOOL JSON   reload: all
//	ctl/audit/log          the last records   ctl/audit/verify   verifies all of it
//	ctl/bus/status         subscribers and what they lost   ctl/bus/publish   TOPIC JSON
//	ctl/call               {"method":…,"params":…}: any operation; read back, its reply
//	ctl/sessions/NAME/
//	    status  changes    what the session is, what it changed
//	    patch              the same as a git patch
//	    blame              what it changed, and which process did it
//	    hunks              the same in pieces that a commit can take, lines of JSON
//	    commit  discard    one line, one operation; read back, the last result
//	    undo  redo         last, or the number of a commit
//	    history            the commits, undos and redos, the last first
//	    brake              deleted=N changed=N bytes=SIZE ops-per-second=N bytes-per-second=SIZE, reset, off
//	    conflicts/N/       {path,why,base,mine,theirs} of what stands in the way of a commit
//	    checkpoint         NAME [NOTE], - [NOTE] for any name, or --drop NAME…
//	    checkpoints        name, when, who, last commit, before what it was made; the note
//	    rollback           CHECKPOINT [PATH…]
//	    fork               NAME [CHECKPOINT]
//	    resolve            mine PATH… or theirs PATH…
//
// The text of these files is in package text.
//
// # Contract
//
// Everything goes through the operation table; nothing here decides who may do
// what, beyond asking that a caller has the kernel's own uid (checked at each
// open and each line, besides the modes and the mount). A file to read is made
// when it is first read and stays the same for that open. A write is one
// operation a line, wherever the writes are split; it returns when the
// operation has ended, with its errno, and the words are in last-error and in
// the file itself. A line that is not understood is EINVAL and does nothing; an
// empty line does nothing.
//
// A commit that applied what it could and held the rest back answers EPERM, as
// the command line exits with 6: the file says which is which.
//
// A write is not interrupted by signals: whoever repeats a write after EINTR
// would commit twice. A read is.
//
// The process that serves the tree must never open a path in it.
//
// # Locks
//
// Tree.mu is a leaf.
package ctl
