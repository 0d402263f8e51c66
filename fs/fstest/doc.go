// Package fstest proves what a tree does through a real FUSE mount.
//
// Mount mounts a tree for one test and checks at its end that no descriptor,
// goroutine or mount is left. Posix runs go-fuse's posixtest and Run our own
// Suite over any mounted directory, less the known gaps that stand in gaps.go
// or are given by the caller, each with its reason.
//
// A test binary that uses this package calls Main from its TestMain: what must
// happen in another process (a shared mapping, a lock, another user) happens in
// a copy of the test binary. A process must not map a file of a mount that it
// serves: a page fault is not a system call, and the garbage collector would
// wait for it while the server waits for the garbage collector.
//
// Tests that mount do not run in parallel within a process.
package fstest
