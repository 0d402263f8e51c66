// Command bridge is the skeleton of a web frontend: it serves the operations and
// messages of a kernel over HTTP and server-sent events, on the loopback
// interface only.
//
//	POST /call/METHOD   params as JSON; the reply as JSON
//	GET  /events        messages of the bus as server-sent events
//
// A browser reaches every port of its machine, whatever page it shows, so each
// request must carry the bridge's own token (Authorization: Bearer, drawn at the
// start and printed once on standard output), name the bridge itself as its Host,
// which a name that was re-pointed to the loopback does not, and, if it names an
// Origin, be from the bridge. To the kernel the bridge is the user whose token
// it was given, and can do no more than that user.
package main
