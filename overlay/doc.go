// Package overlay is a copy-on-write view of a directory: a stack of layers over
// a base that is never written to, served as a tree.Tree. Taking the changes to
// the base is the business of package overlay/commit.
//
// # Model
//
// A layer (package meta) holds records of inodes and deltas of directories, not
// a mirror of paths: renaming a directory of the base moves one pointer, what
// was removed is a fact and never a file, and any name is the user's. The number
// of an object is its own for good, over copy-up, rename, commit and restart: a
// base object's is its st_ino, the view's own objects have bit 52 set. A base
// object is known by device, inode and birth time; when the base uses a number
// again, the new object gets one of the view's own.
//
// Before a base object is changed, the view binds it: the directory above gets
// an entry for it, and so on up to the root. From then on the view keeps its
// version, whatever is done to that name in the base. Names that nobody bound
// follow the base. What a record does not say itself (see meta.Rec) is asked of
// the base each time.
//
// A whiteout keeps what the view knew of what it hides, so that a commit does not
// remove what somebody changed since. The bytes of a file of the base of at most 1 MiB
// are kept when the view changes it, or when a file made in the view takes its name by
// a rename, as editors save: a merge begins with them.
//
// A file of the base that the view has moved, or in a directory that it has moved,
// is found by its identity: when the base has it no more it reads ESTALE. Config.Pin
// copies it before that can happen.
//
// Content of up to 64 KiB lives in the log, larger content in a data file per
// object. Copy-up happens at the first change of content; changes of mode,
// owner, times, xattrs and names copy nothing.
//
// # Checkpoints
//
// A log only grows, so that a checkpoint is a place in it (meta.Checkpoint), and a number
// below which no data file is written to in place any more, nor removed while a checkpoint
// names it: making one costs a small file, and the view is as fast with a thousand of them
// as with none, for its stack does not grow. That is why a checkpoint is no frozen layer,
// as the freeze of a commit is: with one the stack would, and so would each lookup.
//
// What an operation is about to take out of the base is copied first, once for all
// checkpoints, into a layer of its own that lies directly above the base for those made
// before (Preserve). Past reads a checkpoint: its log up to the place, and those layers
// beneath. Rollback puts that in the place of what the view says; Restore does it for some
// paths, through the tree, with its intent written down so that Resume can finish it. Fork
// writes it into another directory of changes, whose data files are hard links.
//
// # Contract
//
// When a method that changes something returns nil, the change survives SIGKILL
// of the process; after Fsync or Syncfs a power cut too. WritePages leaves the times
// to a kernel that owns them. ENOSPC changes nothing.
// Any other failure to write the log makes the view read-only (EROFS).
//
// Edits in the base show at once in directories that are watched (inotify) and
// within a second elsewhere; Watch hears of the former.
//
// SetBrake limits how much is changed through the view. Beyond it every change is
// EDQUOT, at the entries of Node, Dir and File: bytes of a mapping that arrive then are
// lost, as on any disk whose quota is used up. Reads, and what is not a request of a
// program (freeze, fold, discard, adopt), are never refused.
//
// Author says which process changed an object last, and AuthorOfRemoval who took a name
// away; so does the attribute user.astrid.by of an object that was changed. It is kept
// in memory only, and bounded: Signatures is for who keeps it longer. What a process is
// is read from /proc by a goroutine of its own, never by a request; the first change of
// a process waits for that, a few milliseconds at most. A pid that is used again within
// a second may be taken for the process that had it.
//
// # Lock order
//
//	Overlay.still (by Freeze, Still, and what makes or drops checkpoints)
//	fileNode.io (two files: by node id)
//	    Overlay.gate
//	    hold.mu (the view's before those of its pasts)
//	        At.mu
//	        Overlay.mu (the view's before that of a past)
//	            watcher.mu
//	                table.mu, fdCache.mu
//	            authors.mu
//
// Overlay.mu is never held while content is copied. Reads of names in the base
// happen without it where the answer can be checked afterwards (dirNode.ver),
// and under it where a change depends on them.
package overlay
