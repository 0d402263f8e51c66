// Package question asks people for values on behalf of capsules: what an MCP
// server elicits, and what the hook of an installation wants to know.
//
// # Contract
//
// A question is a form: a JSON schema of an object whose members are texts,
// numbers, choices or lists of texts. Ask announces it (Config.Announce), records
// that it was asked and how it ended, and returns when somebody answered, the time
// is over, its context ended or the Desk was closed. Whoever is not answered has
// been declined. When a question cannot be recorded it is not asked.
//
// Who may answer is not decided here: the operation table does, by the session
// that SessionOf names. The first answer counts; a second one is NotFound. An
// answer that does not fit the schema is an error of Kind Usage, and the question
// waits on.
//
// What people answer goes to the asker, and to nobody else: it is in no list, no
// message, no record and no error. A member is secret when its schema says
// writeOnly, or has the format password.
//
// # Bounds
//
// MaxWaiting questions wait at a time, one more is an error of Kind Limit. A
// schema has at most MaxSchema bytes and MaxFields members, an answer MaxAnswer
// bytes; texts are cut at MaxText characters, and cannot draw on a terminal.
//
// # Locks
//
// Desk.mu is a leaf: nothing is announced or recorded while it is held.
package question
