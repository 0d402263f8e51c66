// Package socket is the door through which frontends reach the operation
// table: one Unix stream socket in the home, framed JSON both ways.
//
// # Who gets in
//
// The directory is 0700, the socket 0600. The peer's uid must be the kernel's
// own (SO_PEERCRED), else the connection is dropped without a word. The first
// frame must be a wire.Hello with the right protocol version and a token: that
// of sessions/system.token, compared in constant time, whose holder is the owner
// and may do everything, or one that was minted for a user, who may do what that
// user was granted, until the token is revoked or expires: then Recheck ends the
// connection. A Hello may narrow the connection to one session. A frame
// that is no Hello is dropped without a word too, since it may come from a
// probe. Handshakes run beside the accept loop, each under its own deadline, and
// at most MaxPending of them at a time: a silent client holds up nobody.
//
// # Requests
//
// Each frame after that is one wire.Message. What has no topic or no payload, or
// is no JSON, is logged and dropped, unless it is a request as far as its topic
// can be read: then it is answered. None of that ends the connection. A frame
// over 10 MiB, or one that stops arriving halfway, does: the stream is out
// of step. Frames over 16 KiB share MaxReceive bytes over all clients, from before
// they are read until they are understood, and wait for room.
//
// A raw_json payload on astrid.v1.request.ID runs one operation and is answered
// on astrid.v1.response.ID, always, exactly once, whether it succeeded, failed,
// was malformed or over its rate. Requests of one client run side by side, at
// most MaxInflight of them; answers come in the order in which they end, so a
// client tells them apart by ID. When a client goes away its operations are
// cancelled.
//
// # Messages
//
// What clients of 0.2 may publish (ingress.go) goes to the bus with the
// connection's own id as its source, on behalf of its user; answers to a
// request for approval and to a question are the operations approve and answer, and
// are not shown to anybody. All other topics are dropped. Each client is sent the topics of egress.go as far as it may see the
// messages (Visible): its own, those about sessions that it may read, and those
// on behalf of nobody. A client that does not keep up gets neighbouring pieces
// of a stream of text joined; what it loses all the same it is told on
// astrid.v1.event_bus.lagged.
//
// # Streams
//
// An operation that streams (patch) is answered by any number of messages with
// status "Chunk", seq 1, 2, 3… and data a base64 string of at most 256 KiB of
// bytes, and then by exactly one with "Success" or "Error", on the same topic.
//
// # Slow clients
//
// Each client has a queue of its own, bounded in frames and bytes. An operation whose
// client does not read waits for room, nobody else does. A frame that cannot be
// written within WriteTimeout plus a millisecond a KiB ends the connection.
//
// # Locks
//
//	Server.mu
//	conn.mu        never held with Server.mu
package socket
