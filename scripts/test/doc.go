// Command test runs go test with its arguments and prints what go test prints,
// with two additions: every skipped test and its reason, and how many there
// were, just before the last line of go test.
//
//	go run ./scripts/test -race ./...
//
// A machine without FUSE skips half of the tests without a failure; the count
// is what makes that visible.
package main
