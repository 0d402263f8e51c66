// Package router hands messages of the bus to the capsules that want them: to
// their interceptors, to the tool that a message calls, to the command that it
// names.
//
// # Contract
//
// Every message runs along its chain: the interceptors of all capsules whose
// pattern matches its topic, lower priority numbers first (100 when a manifest
// says none), then in the order of loading. Each is told the topic, the sender
// and for whom the message is, and answers with a verdict in its first byte:
//
//	0  continue, with the rest of the answer as the payload if there is one
//	1  final: the chain ends, and what would come after it is not done
//	2  deny, with the reason: likewise, and the denial is recorded
//
// Any other answer, as 0.2 guests give it, continues with the payload as it was.
// So does an interceptor that fails: it is logged, and a capsule that is to keep
// something from happening must work.
//
// At the end of the chain, a message on tool.v1.execute.TOOL calls the tool of
// the capsule that declares it, unless that capsule has an interceptor of just that
// topic; one on cli.v1.command.execute runs the command whose name its text begins
// with.
//
// # Results
//
// A call of a tool has one result, and it is the router's to tell. It comes from
// the capsule that serves the tool: the one that declares it or, when none does, one
// with an interceptor of just its topic, which publishes it. Nobody else can
// publish on tool.v1.execute.TOOL.result, and two calls with one id are not under
// way at the same time.
//
// A result runs along the interceptors of its topic before anybody gets it: Call,
// and everybody on the bus. One that is denied, or made into what is no result, is
// an error to the caller; final means that it goes to the caller at once. A call
// that was dropped, or that an interceptor ended, is answered with an error.
//
// # Order and bounds
//
// A capsule gets messages of one topic in the order of the bus (defect D4 of
// 0.2), one at a time. At most QueueLength wait for a capsule; what is beyond
// that is dropped and reported on astrid.v1.event_bus.lagged. A slow capsule
// holds up nobody else. Results wait in a queue of their own, since a tool may
// itself wait for one.
//
// # Locks
//
// Router.mu is a leaf, but that a message is published under it.
package router
