// Package capsule reads what capsules say of themselves, finds those that are
// installed, and puts them in the order in which they are loaded.
//
// A capsule is a directory with a Capsule.toml and the files that it names. Its
// format is that of Astrid 0.2 (section 8.1 of that protocol).
//
// # Contract
//
// Parse refuses what is given twice, has a wrong type or breaks a rule, with its
// line where the fault is in the text; a key that nobody knows is a warning. What
// a component declares of capabilities counts for the capsule, since 0.2 capsules
// write them there.
//
// Discover never fails as a whole: a directory that holds no sound capsule is a
// Problem, and the others are found. Of two capsules with one id the one of the
// earlier root counts.
//
// Order is stable: capsules come in the order in which they were found, but
// after those that provide what they require, and uplinks before all others. A
// requirement that nobody satisfies, and a cycle, are Problems and keep nobody
// from being loaded.
//
// A server of servers.toml is a capsule that has nothing else, with Found.Listed. The
// file is its manifest and the owner's consent in one, and refused when anybody else
// may touch it.
//
// What a capsule asks for are its Rights. What it may do is what its manifest asks
// for and Config.Permit leaves of it; Permit also keeps out, as Untrusted, what
// nobody has agreed to as it is.
//
// A capsule may be signed by its publisher (SignatureName). Installer.Compare verifies
// that before anybody is asked; whose signature is good enough is the kernel's to say.
//
// A capsule's Source is a UUID of its id and content: the same capsule has the
// same one after each restart, and a changed one another (defect D29 of 0.2).
package capsule
