// Package meta is the durable record of what a layer changed: a log of facts,
// its replay into memory, and its rewriting when it has grown old.
//
// # Contract
//
// A Tx is a set of facts that hold together or not at all. Layer.Commit writes
// it with one write(2) and then applies it, through the very code that replay
// uses, so that memory never says what a replay would not. When Commit returns
// nil the facts survive SIGKILL of the process at any instant; after Sync they
// survive a power cut. A failed write leaves the layer as it was and breaks it:
// every later Commit fails with the first error.
//
// A Layer is not safe for concurrent use: package overlay guards it.
//
// # Format
//
// All integers are little-endian; "uv" is an unsigned LEB128 varint, "sv" a
// zig-zag one, "str" is uv length and that many bytes.
//
// Beside the logs lie checkpoint-<seq>, see Checkpoint; pre-<n>.log, the layer of what
// operation n replaced in the base, of the same format with n as its epoch, which counts
// for checkpoints whose Folded is below n as soon as n is folded in; and restoring, while
// paths are being restored. A log of which a checkpoint is a place is kept although it is
// not reachable from HEAD.
//
// A directory holds one file per layer, named <epoch>.log with the epoch in
// decimal, a directory data/ with one file per data number (in hexadecimal),
// and HEAD, the text "astrid-head 1\n<epoch>\n": the newest layer. A log that
// is not reachable from HEAD through the Below fields is garbage, as is a data
// file that no record names; opening removes both.
//
//	file    := header record* zeros
//	header  := "ASTRIDL1" version:u32 reserved:u32 epoch:u64 below:u64 crc:u32 zeros
//	           64 bytes; below 0 is the base; crc is CRC-32C of the 32 bytes before it;
//	           version is 3; 1 for a log begun before there was fact 17, 2 before there
//	           was 18: what is appended to such a one may have them, too
//	record  := length:u32 crc:u32 payload       length 1 … 4 MiB; crc is CRC-32C of
//	           the 4 length bytes and the payload
//	payload := fact+
//
// The log ends at the first record that is not whole; what follows is cut when
// the file is opened, never guessed at. The file is preallocated in steps, so
// that removing things works on a full disk; the unused part reads as zeros.
//
//	fact    := 1 rec                                 the record of an inode, replacing any other
//	         | 2 ino:uv                              the record of ino is gone
//	         | 3 dir:uv name:str ino:uv kind:uv birth:uv   dir has name, for ino
//	         | 4 dir:uv name:str                     dir does not have name of its own any more
//	         | 5 dir:uv name:str                     name below is gone (whiteout)
//	         | 6 dir:uv name:str                     name below shows again
//	         | 7 ino:uv time:sv nlink:sv             mtime and ctime of ino are time; nlink changes by nlink
//	         | 8 ino:uv off:uv time:sv data:str      inline content written, as pwrite(2); mtime, ctime
//	         | 9 ino:uv size:uv time:sv              inline content truncated, as ftruncate(2); mtime, ctime
//	         | 10 hash:32 bytes data:str             the original of a base file, by SHA-256
//	         | 11 key ino:uv                         the base inode key has the number ino
//	         | 12 n:uv                               commit n is folded in
//	         | 13 next:uv nextdata:uv birth:uv       numbers below these were given out before
//	         | 14 ino:uv own:uv mode:uv uid:uv gid:uv atime:sv mtime:sv ctime:sv nlink:sv
//	                                                 attributes of a record that is there
//	         | 15 ino:uv n:uv (name:str value:str)*  xattrs of a record that is there
//	         | 16 dir:uv                             nothing is said of dir's names any more
//	         | 17 dir:uv name:str finger flags:uv n:uv mark*   5, and what the view knew of the
//	                                                 name below; flags&1: the marks are not all
//	         | 18 data:uv                            data files with lower numbers are not written to
//	                                                 in place any more: checkpoints name them
//	         | 19 from:str to:str                    a commit took what was at from in the base to to
//	mark    := id:8 bytes state:8 bytes ctime:sv     of what was below a directory, ordered by id;
//	                                                 n at most 65,536
//	finger  := key mode:uv size:sv mtime:sv ctime:sv ino 0: nothing; ctime 0: of no account
//	rec     := ino:uv kind:uv own:uv mode:uv uid:uv gid:uv atime:sv mtime:sv ctime:sv btime:sv
//	           nlink:sv rdev:uv target:str flags:uv
//	           [flags&1: path:str key]               the base object it stands for
//	           [flags&2: finger]                     base file when content was copied up
//	           [flags&4: hash:32 bytes]              its original is kept; of a .git directory
//	                                                 that is gitindex.Digest of its index
//	           [own&4: n:uv (name:str value:str)*]   xattrs, sorted by name
//	           where:uv [where 1: size:uv data:str] [where 2: data:uv epoch:uv]
//	key     := dev:uv ino:uv btime:sv gen:uv
//
// own has the bits 1 (mode and owner), 2 (times), 4 (xattrs), 8 (content): what
// the record says itself; the rest is asked of the base object. Bit 16 says that
// the object is gone, whatever a deeper layer says; bit 32 that it is not where
// the base has it. where is 0 (the
// content is the base's), 1 (inline) or 2 (a data file; epoch is the layer that
// may write to it). Times are nanoseconds since 1970. nlink counts the names of
// a file; of a directory that stands for one of the base it is the difference
// to the base's. id and state are FNV-1a (64 bits) over little-endian u64: id over
// ino and btime; state over the S_IFMT bits and, of what is no directory, size and
// mtime.
package meta
