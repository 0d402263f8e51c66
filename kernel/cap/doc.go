// Package cap says who may do what: the runtime key, capability tokens, which
// grant permissions on resources, and allowances, which spare a person the same
// question twice.
//
// # Tokens
//
// Form and signature are those of Astrid 0.2 exactly: JSON for people and
// stores, and signing bytes, version 1, of which the content hash is the BLAKE3
// hash. What the signature does not cover, such as parts of a second, is not
// read. A token counts while its issuer is the runtime key or a pinned one
// (nobody is pinned by default), it has not expired, to the second and without
// grace, was not revoked or used up, and its parent counts.
//
// An attenuated token is one whose id is a UUID of version 8; its
// approval_audit_id is then the id of its parent. Both are signed, so the bond
// needs no record of its own: without its parent such a token is dead.
//
// Check denies by default. After Revoke of a resource pattern no token grants
// anything that the pattern matches. A single-use token is used once, over
// restarts and races: Use returns nil after that is on disk.
//
// A question is answered from the tokens of one user, and the same question again
// from memory until some token changes: the bus asks for every message it delivers.
//
// Tokens of a session live in memory and end with it. The others are in
//
//	caps:tokens   uuid → token JSON      gone a day after the token expired
//	caps:revoked  uuid → 0x01            likewise
//	caps:used     uuid → 0x01            likewise
//
// # Resources
//
// A resource is a scheme (mcp://server:tool, file:///path, exec://command,
// net://host:port, capsule://id:capability, astrid://SESSION/CAPABILITY with the
// session - for what is about none) and a text. A pattern with *, ? or [ is a
// glob: * and ? stay within a segment, ** crosses /, /**/ is also one /, a final
// /** also matches what is before it, \ takes the meaning of the next character
// away, and classes are refused. A segment .. is refused everywhere. That a
// pattern lies within another is decided on their automata; what takes too long
// to prove is not so.
//
// # Allowances
//
// An allowance is bound to one capsule, one principal, and a session (or, when
// it is not session_only, to none), and matches actions by its pattern. Those of
// a session are in memory; the others are in
//
//	allowances    uuid → signature[64] JSON
//	signature     := Ed25519("astrid allowance 1\0" JSON), by the runtime key
//
// and are verified when they are loaded. A use is on disk before Match returns.
//
// # Locks
//
//	Store.write, Allowances.write    one change at a time, disk included
//	  Store.mu, Allowances.mu        the maps; nothing is called while it is held
package cap
