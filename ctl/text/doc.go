// Package text is the text of the control files, printed and parsed.
//
// # What is read
//
// A status is lines of "key: value"; a value that would not fit a line is
// C-quoted. A list of changes is one line a path:
//
//	A src/new.go
//	R "old name.go" new.go
//	M .git/config # held back: protected
//
// with the letters of wire.Change.Op. A path is C-quoted when it holds anything
// but visible ASCII, or a quote, or begins with '#'; the bytes of a path are
// never changed. What follows " # " is a note for people.
//
// # What is written
//
// One line is one operation. It is shell words (quotes ' and ", backslash) or
// one JSON object:
//
//	commit    all | PATH…  [--if=DIGEST] [--exclude=GLOB]… [--git|--no-git] [--dry-run] [-m TEXT] [--]
//	          {"all":true} | {"paths":[…]}  with "if", "exclude", "git", "dry_run", "message"
//	discard   all | PATH…  [--]
//	          {"all":true} | {"paths":[…]}
//
// "all" must be said: an empty line does nothing, and a line that names neither
// paths nor all is an error. A path called "all" is written "./all". In a JSON
// object of a control file an unknown name is an error, since a misspelt
// "paths" would mean everything.
package text
