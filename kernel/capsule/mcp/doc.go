// Package mcp makes servers of the Model Context Protocol the tools of a
// capsule.
//
// # Processes
//
// A Server is one [[mcp_server]] of one capsule. Its program runs once for each
// session that calls it, and once for no session (""), at most MaxPrograms at a
// time; a session that finds no room takes that of the one that has been idle
// longest. A program is started when it is first needed and ended when nobody
// has called it for Config.Idle, by EndSession, by Close, or when it breaks the
// protocol. To end it, its input is closed; if that is not enough within two
// seconds the context of its Launch ends.
//
// A program that ended by itself is started again by the next call. After the
// second time within a minute of its start that takes two seconds at least, and
// double that after every further one, up to two minutes; calls fail at once in
// between. After Config.MaxEnds of them none is started any more.
//
// # What a program may do
//
// It is not trusted. A message of more than MaxMessage bytes, output that is no
// message, more than MaxUnasked messages a minute that nobody asked for, input
// that it does not read and three calls in a row that it does not answer are
// its end. The lists that it gives, its results, what it writes to its standard
// error and the questions that it asks are bounded by the constants of this
// package.
//
// It is offered one root, the workspace of its session, and no sampling. A server
// whose programs ask for the roots is called once they have had the answer. What it
// asks people (elicitation) goes to Config.Approve while one of its calls runs,
// one question at a time, and is declined otherwise. Questions with a URL are
// always declined.
//
// The protocol is that of 2025-11-25, or an older one that the program knows.
//
// # Contract
//
// A Server may be used from any goroutine. Every error has a fault.Kind:
// Unavailable when the program ended, could not be started or does not answer,
// Usage when the program says that the call failed, Limit when a bound of this
// package is in the way. A call whose context ends returns at once, and the
// program is told to give up. Close and EndSession return when the programs and
// all that belongs to them have ended. No hook is called with a lock held.
//
// # Locks
//
//	Server.mu
//	  child.mu
//
// Nothing of another package but Config.Now is called while one of them is held.
package mcp
