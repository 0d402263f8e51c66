// Package change says what a view has changed against its base: a list of
// changed paths, a digest of it, and a patch that git understands.
//
// # Contract
//
// List walks what the view's layers say (Own, Gone and Dirty of its
// directories), so its cost grows with the changes and not with the base; only
// below a directory that was removed or made anew is the base itself read. It
// compares with the base as it is at this moment. On a frozen snapshot the
// answer is that of one instant; on a live one each object is read by itself.
//
// The letters:
//
//	A  a name that the base does not have
//	M  other bytes, or another symlink target or device number
//	D  a name of the base that the view does not have
//	R  an object of the base under another name (a directory: with all below it)
//	T  another kind of object under the same name
//	m  the same bytes, but another mode, owner, set of xattrs or time, or other
//	   names for one object
//
// A file rewritten with identical bytes is no change, whatever its times say; a
// time set on a file whose bytes were not touched is an m. Times of directories
// are never a change by themselves, not even one that was set (touch d): every
// entry made and removed moves them.
// A directory made anew over one of the base is compared with it name by name.
// What was inside a directory that another one was moved over is listed as D
// beside the R, under the same paths.
//
// Paths are slash paths of any bytes without a leading slash; the root is ".".
// Everything is ordered by path, a directory directly before what is in it.
//
// Hunks takes the list apart into what can be committed by itself: runs of lines of text
// files that stand for one of the base by the same path in it, have one name on both
// sides and at most maxText bytes; the attributes of such a file; and else whole paths.
//
// # What a patch cannot say
//
// Patch writes files and symbolic links: content, the execute bit, renames.
// Directories as such, fifos, sockets and devices, owners, extended attributes,
// hard links, times and the other mode bits have no place in git's format and
// are left out, as is everything below a .git directory, which git refuses. A
// symbolic link that leads to itself and becomes a directory is written right,
// but git cannot apply it.
//
// Nothing here writes to the base or to the view, and nothing locks but Cache.
package change
