// Package layer is one directory tree on disk, reached by descriptors only: the
// base of a view, the directory that holds a view's own data, the place where a
// commit is staged. It knows *at calls, extended attributes, clones, holes,
// fsync of directories and inotify; it knows nothing of views.
//
// # Contract
//
// A path never crosses a symbolic link and never climbs: Open refuses both, with
// ELOOP and EXDEV. Everywhere else name is a single component (not ".", ".."
// nor one with a slash: those are the caller's mistake and are not looked for),
// or empty for the descriptor itself where the comment says so.
//
// Every descriptor that is handed out is close-on-exec and the caller's to close.
// Errors are syscall.Errno values as the kernel gave them; EINTR is never among
// them. Nothing here is cached and nothing here locks; every function may be
// called from any goroutine.
//
// Times are nanoseconds since 1970 in an int64, clamped at its ends.
package layer
