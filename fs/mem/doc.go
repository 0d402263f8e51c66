// Package mem is a tree in memory. It serves two ends.
//
// As a test double it is a whole file system: files with holes, directories,
// symlinks, hard links, extended attributes, renames with their flags, files
// that live on after their last name. POSIX ACLs are refused (EOPNOTSUPP).
//
// As the stuff of control trees it holds items: files whose content is made at
// the first read of an open (Text), files that take one line at a time (Lines),
// files with a handle of their own (Func), and folders whose entries a function
// lists (Folder). Items are attached and detached while the tree is mounted;
// nobody but the program changes them through the mount (EPERM).
//
// # Contract
//
// Functions of items are called without any lock held, from any goroutine, and
// may attach and detach. What they return is not kept beyond the handle.
//
// # Lock order
//
//	handle.mu      one per open of a Lines or Text file; held over the item's function
//	  Tree.mu      names, attributes and bytes of everything
//	Tree.watchMu   the receiver of changes; no other lock is held when it is taken
package mem
