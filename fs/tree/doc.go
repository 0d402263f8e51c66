// Package tree holds the words of a file tree: Node, Dir, File, Symlink, Attr,
// Change. Package fs serves any Tree as a FUSE file system; package overlay
// and package fs/mem are trees. There is no FUSE and no disk in here.
//
// # Contract
//
// Every method returns nil or an error that wraps a syscall.Errno (errors.As
// finds it); anything else is answered as EIO and logged by the face.
//
// Identity. A Node stands for one object, not for a name: two hard links of
// one object are the same Node value for as long as somebody holds it, and
// Node.ID is never used again for another object in the life of the Tree.
//
// References. Every Node returned by Lookup, Mknod, Mkdir, Symlink, Link,
// Tmpfile or handed to a ReadDir callback carries one reference that the
// receiver owns. Forget gives references back. A Node with references stays
// usable after its last name is gone (nlink 0), with all its bytes.
//
// Permission. The caller of a Tree has checked permission already
// (default_permissions). The tree applies the rules of ownership that follow
// from success: set-gid directories, umask, clearing of set-id bits when asked.
//
// Concurrency. Every method may be called from any goroutine at any time. No
// method calls back into the face, and no Change is delivered while a lock is
// held that a method of the Tree may want.
package tree
