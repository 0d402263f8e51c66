// Package optest is a table of sessions and a kernel that live in memory, so
// that the doors to the operation table are tested without a mount.
package optest
