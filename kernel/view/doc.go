// Package view is the view server: the process that holds one session's
// overlay and its FUSE connection, and serves the operations on them over a
// private Unix socket in kernel/wire frames.
//
// # Contract
//
// The server owns tmp/<session> for as long as it holds the lock on view.lock;
// there is never a second one. It never waits for the kernel: events go into a
// bounded queue whose losses are counted, and the death of the kernel ends
// nothing but the connections it had. It never touches its own mount.
//
// What the view acknowledged survives the server: killed at any instant, the
// next one replays the log, finishes or rolls back a commit, and mounts the
// view at the same place. A server that ends on purpose writes view.exit, with
// the reason; one that leaves without has crashed.
//
// A connection carries one operation: ViewHello, ViewWelcome, ViewRequest,
// then ViewReply frames up to the one that has Done. Only a peer of the same
// effective uid that knows the nonce is served. Closing the connection cancels
// the operation; a commit that has written its journal goes on.
//
// # Lock order
//
//	server.change          one commit, discard, recovery or stop at a time
//	  server.mu            state and connections; nothing is called under it
//	  queue.mu             the event queue
//	  edits.mu             edits of the workspace that are to be told
//	server.braking         one change of the limits at a time
package view
