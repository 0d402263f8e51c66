// Package overlaytest is the model of a view: what a plain directory does.
//
// A random sequence of operations is applied to a plain copy of a random base
// and to a view over that base, and after each the two must agree: in errno and
// answer, in names, bytes, modes, owners, link counts, extended attributes and
// times, in which names are one object, and in the numbers of the objects, which
// must not change for as long as the object lives: over copy-up, rename, frozen
// layers, a restart, or SIGKILL. The base itself must stay as it was.
//
// A view is reached through a Driver. Posix drives any directory by system
// calls: the plain copy, and a view that is mounted. Client drives a tree.Tree
// in process, as the kernel would: it looks up, keeps and forgets references,
// refuses what the VFS refuses. Remote drives a Client in another process, which
// can be killed.
//
// Times are compared by a rule that clocks do not disturb: a time that was given
// (all of those lie in the past) must be the same in both; a time that an
// operation left must be recent in both.
package overlaytest
