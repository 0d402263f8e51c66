// Command peers measures how fast messages go from a publisher to 1, 10 and 100
// subscribers, by Astrid's bus and by what others use: in one process a Go channel
// each, the bus, and an embedded NATS server over its in-process connections; from
// process to process D-Bus (dbus-daemon, godbus) and the kernel's socket
// (kernel/client).
//
//	scripts/bench/run --only '^peers:' --rounds 5
//
// Latency is the time from before a publish until a subscriber has the message, over
// all subscribers, one message at a time. Throughput is of messages that reach every
// subscriber, in batches that no queue loses any of; what is published next waits for
// the batch before. In each round every system is measured once, in an order that
// rotates; the table has the medians of the rounds.
//
// What the rows have in common is the work, not the guarantees: a channel has one
// reader and knows no topics; NATS and D-Bus do not number, replay or judge messages;
// the kernel's socket checks the right of every receiver and answers every publish,
// of which 16 are under way at once, while a D-Bus signal is not answered at all.
//
// It is a module of its own: what it measures Astrid against is no part of the program.
package main
