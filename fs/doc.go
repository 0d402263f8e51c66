// Package fs is the FUSE face of a tree: it mounts any tree.Tree as a file
// system and answers the kernel's requests out of it.
//
// # Two modes
//
// A view (Options.Opens false) answers ENOSYS to OPEN, OPENDIR, FLUSH, CREATE
// and ACCESS. The kernel remembers that and stops asking, so an open, a read of
// cached pages and a close cost no request at all; permission is checked by the
// kernel (default_permissions), and a node is kept until FORGET, which comes
// after the last close. A control tree (Options.Opens true) is the opposite:
// each open is served, reads and writes go past the page cache, nothing is
// cached, and a read may block until it is interrupted.
//
// With Options.Writeback a view's kernel collects what is written and owns size and
// times of regular files from its first answer about them on; see ledger.go. It
// hands over at close(2), although FLUSH is not served, and with fsync(2) and
// syncfs(2); the times come last, and are applied last. A file that the tree changes
// by itself becomes another inode; on the old one reads fail with EIO, and pages
// that were changed on top of it with ESTALE. SEEK_DATA is the kernel's to answer.
//
// # Contract
//
// A request is answered once. An error of the tree reaches the caller as the
// syscall.Errno it wraps; anything else is EIO and a log line. A panic is EIO, a
// log line with the stack, and one more in Server.Panics; the mount lives.
//
// STATFS of a view is answered only after every change read before it has been
// applied: after syncfs(2), statfs(2) is the barrier that a freeze needs. With
// Options.Writeback it comes before whatever replaces content in the tree, too.
//
// Changes that the tree publishes (Tree.Watch) are handed to one notifier
// goroutine, never to the kernel from inside a request. An answer computed
// while a change arrived is not cached by the kernel.
//
// The process that serves a mount must never use it: no stat, no open, no
// child with its working directory or its program in it, no mapping of a file
// of it. Mounts, Holders and the unmount work from /proc alone for that reason.
//
// # Reading requests
//
// One goroutine, the leader, reads a request and answers it on the same thread,
// which saves the wake-up of another one. Before an operation that may wait for
// a disk or for another program it makes a follower the leader. A watchdog does
// the same when the leader stays with one request for longer than patience.
// Exactly one goroutine reads at any time, so requests have an order.
//
// # Lock order
//
//	Server.mu            who is idle; nothing is called with it held
//	table shard          ids; held over tree.Node.Forget, so the tree's locks come after it
//	  (locks of the tree)  the tree may hold them in a ReadDir callback: no shard is taken there
//	notifier.mu          the queue of changes; taken by the tree's callers, leaf
//	flight.mu            waiting for requests under way, leaf
//	handles.mu           open control files, leaf
//	ledger.mu            what the kernel believes of files, leaf
package fs
