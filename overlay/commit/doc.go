// Package commit brings the changes of a view to its base, all of them or none,
// so that a kill or a power cut at any instant loses nothing.
//
// # Contract
//
// Commit freezes the view, decides what is taken, looks for conflicts, prepares
// everything new in DIR/.astrid/commit-<n>/, writes the whole plan down in a
// journal outside the workspace, and only then makes the first visible step.
// Every step is a rename (or a link) within the workspace that is checked before
// and after; a step that finds something unexpected makes the commit take all
// its steps back and end with a *ConflictError. Recover, at the next start, does
// the rest of the steps of an interrupted commit or takes them back. Both touch
// only what they find exactly as the plan says; anything else is left, both
// versions are kept and named. Nothing that lies in the workspace is ever read as
// a plan.
//
// The steps come in an order that needs no graph: additional names of base
// objects; then everything that leaves its place, deepest first, into the
// staging directory; then everything that arrives, parents first and
// repositories last, by RENAME_NOREPLACE or, over something, by RENAME_EXCHANGE;
// then attributes of what stays; then the times of directories. A swap, a cycle
// or a directory moved into one that was in it are no special cases. A name that
// something replaces is never absent.
//
// What a file is replaced by is a new inode; a base file with names that the
// changes do not know is never changed in place. The objects that a commit took
// away, its pre-images, go to the undo store with the journal: those of the last
// ten commits, up to 1 GiB, and always those of the last one. One that shares
// its inode with a name that stays in the workspace becomes a copy there, unless
// we may not make its like; names outside of the workspace cost no copy where that
// is worth a look through the workspace.
//
// What the view removed or replaced is compared with what the view knew of it, by
// the grave that the whiteout keeps (meta.Grave): the object at the name by inode,
// birth time, size, mtime and ctime, and everything below a directory too. An
// edit, a replacement by a like file, and a name that is new there are conflicts,
// whatever else the view did in the directory since. A name that is gone is none.
// The view knew a file as it was when it removed the name or, if it had changed
// it, when it did that first. Not compared are the times and sizes of directories
// and the ctime of files with several names, which other names move. Where a grave
// says nothing (a log of version 1, a directory of more than meta.MaxMarks objects,
// or one from which more than some hundred objects were moved out before both were
// removed) time decides: a conflict is what was written, made or moved in after the
// last moment at which the view can have taken the name away.
//
// Of a repository the entries of the index are compared, not its bytes (package
// gitindex): a git status in the workspace is no conflict. An index that cannot be
// read, and one of a session of before, is compared by its time.
//
// Commit, Recover and Discard hold a lock (flock) of the base directory and
// refuse with ErrBusy when somebody else does. The lock of the overlay is not
// held over any of it but Freeze, Thaw, Fold and Discard.
//
// # Undo
//
// Undo takes a commit back by an operation of its own, with a number and a journal:
// the steps of the other plan, read backwards. What that commit had replaced becomes
// the staging directory; what it had brought ends up there, and so in the undo store,
// from where a redo takes it: the same operation with the plan of the undo. The store
// of an operation that was taken back is its successor's.
//
// Everything that the commit left must be in the workspace as it was left, by
// inode, size, time, mode and owner, and nothing else in directories that it made; a
// directory that it moved goes back with all that is in it by now. The view must not
// have changes of the paths concerned. Else the undo is a *ConflictError. The view
// follows the workspace (overlay.Restored); what was open there and is gone reads
// ESTALE, as after any edit in the workspace.
//
// A pre-image that had become a copy, because its file had a name that stayed, is
// a name of that file again when the file has not changed.
//
// The file history.jsonl beside the journals has one Entry a line for each commit,
// undo and redo: at most 1 MiB, the older half goes. An operation that was killed may
// be in it twice.
//
// # Conflicts
//
// Disputes lists them with their versions: the view's, the workspace's and, of a file
// of at most 1 MiB that the view changed or replaced, what that began with. Resolve
// ends one by dropping the view's change, or by making what the workspace has now that
// on which the change builds (overlay.Adopt); nothing in the workspace changes by it.
// A merge is a matter of whoever asks for it: it writes into the view and keeps that,
// as long as Dispute.State is what it was.
//
// # Selection
//
// See change.NewMatch for paths and globs. A glob that matches no change is named
// in Result.Outside. What a chosen change cannot be without
// comes along: the directories it lies in, what makes room for it, the other
// names of its object. A change that needs one that is held back is held back. A
// directory that was made anew over one of the base is committed with all that is
// missing in it or not at all. The changes below one .git directory are one unit.
//
// # Hunks
//
// Request.Hunks takes changes apart (change.Hunks). A file of which some hunks are
// taken is staged as what the workspace has with those in it, with the attributes that
// it has there, or the view's when these were taken, and the time of the commit. The
// view's object goes on as it is and builds on that file from then on, original and
// fingerprint included, so that the rest is committed like any change. An undo gives it
// what it had built on before, if the file has no other names; a file taken whole leaves
// the view by an undo as ever.
//
// # Journal
//
// A file commit-<n>.journal in Config.Journal; undo-<n>.journal when the commit
// is complete, left-<n>.journal when it could be taken back only in part. All
// integers are little-endian.
//
//	file   := "ASTRIDJ1" version:u32 record*          version is 1
//	record := length:u32 crc:u32 kind:u8 body         length counts kind and body, at most 256 MiB;
//	          crc is CRC-32C of the 4 length bytes, kind and body
//	kind   := 'b' a commit begins: {Number, Stage, MadeDot, Root: key, Time, Of}
//	        | 'p' the plan, see below; before it nothing was visible
//	        | 'a' every step is made   | 'f' the view knows it   | 'r' the steps are taken back
//	        | 'd' pre-images that are copies: [{Slot, Key of what is copied}]
//
// Bodies are JSON. Paths are relative to the workspace; '%' and bytes that are
// not UTF-8 are written %XX. Times are nanoseconds since 1970, kinds the S_IFMT
// bits. A plan is
//
//	{Number, Boot, Base: key, Stage, MadeDot, Message, By, Time, Op, Of, Commit, What: [{Op, Path, From}], Bytes,
//	 Open: [meta], Steps: [step], Meta: [meta], Times: [time], Links: [step], Done: [done]}
//	step := {Do: "link"|"move"|"swap", From, To, Obj: ident, Pre: ident, Tree}
//	meta := {Base, Path, Key: key, Kind, Perm, Times, Xattrs, Before: attrs, After: attrs}
//	time := {Base, Path, Key: key, Before, After, Free}
//	done := {Path, Ino, Key: key, Mode, UID, GID, Size, Mtime, Part}
//	ident := {Key: key, Kind, Size, Mtime}              key := {Dev, Ino, Btime, Gen}
//
// made in the order Open, Steps, Meta, Times. A file that ends in the middle of a
// record says what it says up to there.
//
// # What is discarded
//
// Discard makes a checkpoint of the view first, which keeps what it drops for a day:
// a rollback to it brings that back.
//
// # Checkpoints
//
// Before the plan of an operation is written down, the overlay copies what that is to
// take out of the workspace, if there is a checkpoint (overlay.Preserve): a checkpoint
// goes on showing what it showed.
package commit
