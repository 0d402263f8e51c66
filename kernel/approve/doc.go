// Package approve asks people for permission on behalf of capsules and tools,
// and remembers what they allowed.
//
// # Contract
//
// Ask returns when an answer came, the time is over, its context ended, or the
// Desk was closed. What was allowed before answers at once. Otherwise the request
// is announced (Config.Announce), waits, and is recorded: that it was asked and
// what came of it, before the asker learns of it. When it cannot be recorded it
// is denied.
//
// Who may answer is not decided here: the operation table does, by the session
// that SessionOf names. The first answer counts; a second one is NotFound.
// Everything but approve, approve_session and approve_always denies.
//
// approve_session leaves an allowance that ends with the session, approve_always
// one that stays; both for the same capsule, principal, session and action only.
//
// A request that nobody answered in time is kept for DeferredFor, as one that was
// asked with Defer is: an answer that comes late allows the next such request,
// once if it is a plain approve. Kept requests survive a restart.
//
// # Bounds
//
// MaxWaiting requests wait at a time, MaxDeferred are kept; one more is an error
// of Kind Limit. Texts are bounded as in 0.2: an action over MaxAction characters
// is an error, resource and risk are cut.
//
// # Locks
//
// Desk.mu is a leaf: nothing is announced, recorded or stored while it is held.
package approve
